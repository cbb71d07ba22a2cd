"""The site with yardsticks: what Django can do here at best, with one look-up, and granian without Django.

granian --interface wsgi tests.benchmarks.ceilings:application
"""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
site = get_wsgi_application()
import_module("tests.benchmarks.ceiling_views")  # needs the apps to be loaded


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site, and `/bench/hello`, which shows what the load generator itself can do."""
    if environ["PATH_INFO"] == "/bench/hello":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]
    return site(environ, start_response)
