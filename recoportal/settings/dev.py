"""Development and `make demo`: embedded services, one machine, loopback only."""

from recoportal.keptonce import secret_key_ensure
from recoportal.settings.base import *

DEBUG = ENV.get_bool("RECOPORTAL_DEBUG", default=True)
ALLOWED_HOSTS = [*ALLOWED_HOSTS, "localhost", "127.0.0.1", "[::1]"]
SECRET_KEY = SECRET_KEY or secret_key_ensure(DATA_DIR)
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
if not DEBUG:
    # The demo serves what a shop would serve: collected, named by content, cached for ever.
    STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
