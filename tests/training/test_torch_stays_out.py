"""Web processes import the training app's reads and its registry; none of that may load torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recoportal.env import BASE_DIR
from tests.processes import child_environment

MODULES = (
    "models",
    "selectors",
    "registry",
    "recipes",
    "evaluations",
    "gate",
    "hybrid",
    "runs",
    "tasks",
    "reports",
    "choices",
)


@pytest.mark.parametrize("module", MODULES)
def test_module_loads_no_torch(module: str) -> None:
    code = (
        f"import django; django.setup()\nimport apps.training.{module}, sys\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), cwd=BASE_DIR, check=False)
    assert done.returncode == 0
