"""Owns recipes, runs and the registry of model versions.

May import datasets and below, and apps.ml. Its runs and registry modules write its tables.
"""
