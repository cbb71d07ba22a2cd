"""Recommenders, evaluation and blending as a plain library.

Owns: datasets in memory, models, artifacts, ranking metrics, the blender. Has no tables.
May import: NumPy, SciPy, pandas, scikit-learn, PyTorch. Never Django, Celery or SQL; data arrives as files
or arrays.
"""
