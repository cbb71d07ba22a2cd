"""Owns the one table of long work: kind, stage, progress, log, cancel, heartbeat.

May import accounts and below. Its services write its tables.
"""
