"""Owns what can be sold: products, texts, categories, prices, stock, images; feed import.

May import jobs and below. Its services write its tables.
"""
