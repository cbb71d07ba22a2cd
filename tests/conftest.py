"""One set of throw-away servers for the run, started before pytest-django loads the settings."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["DJANGO_SETTINGS_MODULE"] = "recoportal.settings.test"

from tests.services_for_run import services_start_for_run

DATA_DIR = services_start_for_run()

pytest_plugins = ["tests.processes", "tests.people"]
