"""The site with two views more, as yardsticks: what Django can do here at best, and with one look-up.

granian --interface wsgi tests.benchmarks.ceilings:application
"""

import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
application = get_wsgi_application()
import_module("tests.benchmarks.ceiling_views")  # needs the apps to be loaded
