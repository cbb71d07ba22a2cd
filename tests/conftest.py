"""One set of throw-away servers for the run, started before Django's settings load."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["DJANGO_SETTINGS_MODULE"] = "recoportal.settings.test"

import django
import hypothesis
from django.conf import settings

from recoportal.translations import translations_compile
from tests.services_for_run import services_start_for_run

# A run says the same twice; HYPOTHESIS_PROFILE=search looks for examples nobody has seen.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.register_profile("search", derandomize=False)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
if settings.configured:
    raise RuntimeError("the settings loaded before the servers had addresses: run pytest without --ds")
translations_compile()
services_start_for_run()
django.setup()

pytest_plugins = ["tests.processes", "tests.people", "tests.caches", "tests.gates", "tests.serving.memory"]
