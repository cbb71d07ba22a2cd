"""Owns immutable snapshots of the shop's data, whom they leave out, and the adapters for public data sets.

May import events and below. Its snapshots and leftout modules write its tables.
"""
