"""The site with one view more, as a yardstick: the events endpoint doing one bare XADD.

granian --interface wsgi tests.benchmarks.ingest.site:application
"""

import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
application = get_wsgi_application()
import_module("tests.benchmarks.ingest.ceiling_view")  # needs the apps to be loaded
