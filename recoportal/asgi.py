"""ASGI entry point. The site is served by WSGI, which costs a sixth; this is for servers that know only ASGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
application = get_asgi_application()
