"""Owns who shops and what they did and saw: shoppers, event kinds, interactions, exposures, reviews.

May import catalog and below. Its services write its tables.
"""
