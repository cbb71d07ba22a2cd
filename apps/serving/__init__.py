"""Owns candidate lists, the slate pipeline with its fallbacks, and the recommendation API.

May import merchandising and below, and apps.ml. Its batch module writes its tables.
"""
