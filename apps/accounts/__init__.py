"""Owns staff, roles, API clients, the audit trail and shop settings.

May import core. Its services write its tables.
"""
