"""Owns placements, blends, rules, drafts and publications.

May import training, metrics and below. Its services write its tables; `rules` is pure.
"""
