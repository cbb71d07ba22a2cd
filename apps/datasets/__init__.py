"""Owns immutable snapshots of the shop's data and the adapters for public data sets.

May import events and below. Its snapshots module writes its tables.
"""
