"""Makers of valid rows and frames for tests."""
