"""Production: nothing is started or made up here; what is missing stops the start (recoportal.checks)."""

from recoportal.settings.base import *

HTTPS = ENV.get_bool("RECOPORTAL_HTTPS")
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# What the shop's other host names do, and whether browsers are told before the first visit, is its decision.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
ENV.problems.extend(ENV.missing_in_production())
# Django refuses an empty key before any check can explain; the check above still stops the start.
SECRET_KEY = SECRET_KEY or "missing"
