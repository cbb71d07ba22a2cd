"""The statistics of experiments: pure functions over moments, NumPy and SciPy only.

Formulas and defaults follow the sources named in each docstring. What is undefined (no unit, no spread, a
control mean of zero) is None, never NaN and never an exception from arithmetic.
"""
