"""`make bench-serving`: what a slate costs beside what this machine, Django and one query cost."""
