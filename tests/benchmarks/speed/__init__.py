"""How fast the classical models are beside the fastest peers: runs taken in turn, medians, wall and CPU.

`python -m tests.benchmarks.speed.<als|ease|item_knn|bpr>` prints one JSON object as its last line.
Each side is a process of its own that has loaded the same arrays before the clock starts; `--threads` is
given to both.
"""
