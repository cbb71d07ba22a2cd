"""Adapters of public data sets: file in, frames and counts of what was left out. Pure pandas, no database."""
