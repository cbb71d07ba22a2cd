"""`python -m apps.ml.cli`."""

from __future__ import annotations

from apps.ml.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
