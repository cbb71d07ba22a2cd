"""Owns experiments: who gets which variant, and whether it was better.

May import merchandising and below. Its services module and readouts write its tables.
"""
