"""The statistics of experiments: pure functions over moments, NumPy and SciPy only.

moments          what an arm says of a metric: counts, means, centred second moments; merging, JSON
frequentist      Welch's t, relative changes by delta method and Fieller
quantiles        quantiles of units, winsorising
cuped            CUPED and post-stratification
corrections      Holm, Benjamini-Hochberg
srm              sample ratio (fixed, by segment, sequential), bias before the start, several exposures
power            units, least change and days before the start
sequential       intervals that hold however often anybody looks
bayes            chance to win, expected loss
bandit           shares by Thompson sampling, and an honest analysis of them
interleaving     which of two rankings shoppers prefer
switchback       whole-shop changes, slot by slot

Formulas and defaults follow the sources named in each docstring. What is undefined (no unit, no spread, a
control mean of zero) is None, never NaN and never an exception from arithmetic.
"""
