"""Owns all staff HTML, the charts, the demo shop and its traffic simulator.

May import everything below. Nothing imports it.
"""
