"""Benchmarks of experiments: readouts, and real experiments looked at day by day."""
