"""`python -m apps.ml.cli`."""

from __future__ import annotations

from apps.ml.cli import main

raise SystemExit(main())
