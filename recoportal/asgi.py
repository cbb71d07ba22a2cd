"""ASGI entry point, for servers that know nothing else: the site is served by WSGI, which costs a sixth."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
application = get_asgi_application()

from recoportal.checks import start_or_stop

start_or_stop()
