"""WSGI entry point: `granian --interface wsgi recoportal.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
application = get_wsgi_application()

from recoportal.checks import start_or_stop

start_or_stop()
