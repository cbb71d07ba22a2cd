"""Encoders: a product's picture or words become a vector. Weights come from packages, not the net."""
