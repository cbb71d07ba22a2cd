"""Owns the one definition of each behavioural metric and the daily rollups.

May import datasets and below. Its rollups module writes its tables.
"""
