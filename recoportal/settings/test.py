"""Tests: the servers that tests/conftest.py starts for one run, no pool, cheap passwords.

Without conftest (mypy's plugin, `manage.py check`) nothing needs to run: no connection is made on load.
"""

from recoportal.databases import database_settings
from recoportal.settings.base import *

SECRET_KEY = "test-only-key-that-signs-nothing-of-value"
ALLOWED_HOSTS = ["*"]
# A pool's idle connections would stop Django from dropping the test database.
# A test's own web server may have one: it ends before that.
DATABASES = {
    "default": database_settings(
        DATABASE_URL,
        pool_max=ENV.get_int("RECOPORTAL_DB_POOL_MAX") if ENV.text("RECOPORTAL_DB_POOL_MAX") else 0,
        pool_timeout=5,
    )
}
# A worker or web process started by a test opens the test database by its name; shop folder, cache keys
# and task queues must be the same ones there as in the test itself.
SHOP_NAME = "test_shop"
SHOP_DIR = DATA_DIR / "shops" / SHOP_NAME
MEDIA_ROOT = SHOP_DIR / "media"
DATABASES["default"]["TEST"] = {"NAME": SHOP_NAME}
CACHES["default"]["KEY_PREFIX"] = SHOP_NAME
CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = f"{SHOP_NAME}:"
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS["global_keyprefix"] = f"{SHOP_NAME}:"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
# A test's transaction is not seen by the consumer: events go straight to Postgres unless a test of real
# processes chooses the stream.
INBOX = ENV.get_str("RECOPORTAL_INBOX") if ENV.text("RECOPORTAL_INBOX") else "postgres"
