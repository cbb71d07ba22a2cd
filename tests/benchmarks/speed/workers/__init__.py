"""What the timed processes run: `turns.py` and one script per side. Peers' scripts import NumPy and SciPy
only.
"""
