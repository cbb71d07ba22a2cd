"""How good and how fast the models are beside those of other libraries: `make bench-models`."""
