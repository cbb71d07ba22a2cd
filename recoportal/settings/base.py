"""Everything all environments share. What may differ between machines is read from `recoportal.env`."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from kombu import Queue

from recoportal import env
from recoportal.databases import database_settings
from recoportal.settings.unfold import UNFOLD as UNFOLD

BASE_DIR = env.BASE_DIR
ENV = env.load()

# --- where things are kept ----
DATA_DIR = ENV.get_path("RECOPORTAL_DATA_DIR")
MEDIA_URL = "/media/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_URL = "/static/"

# --- database: one database is one shop (apps/adr/0002) ----
DATABASE_URL = ENV.get_str("DATABASE_URL")
DATABASES: dict[str, dict[str, Any]] = {
    "default": database_settings(
        DATABASE_URL,
        pool_max=ENV.get_int("RECOPORTAL_DB_POOL_MAX"),
        pool_timeout=ENV.get_int("RECOPORTAL_DB_POOL_TIMEOUT"),
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The shop's name keeps its files, cache keys and task queues apart from those of other shops.
SHOP_NAME: str = DATABASES["default"]["NAME"]
SHOP_DIR = DATA_DIR / "shops" / SHOP_NAME
MEDIA_ROOT = SHOP_DIR / "media"

# --- security ----
SECRET_KEY = ENV.get_str("RECOPORTAL_SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS: list[str] = ENV.get_list("RECOPORTAL_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS: list[str] = ENV.get_list("RECOPORTAL_CSRF_TRUSTED_ORIGINS")
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Ten wrong passwords for one name from one address rest that pair for 15 minutes: guessing stops, and
# nobody can lock a colleague out from elsewhere.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "portal/locked_out.html"
AXES_VERBOSE = False

# --- applications ----
INSTALLED_APPS = [
    "recoportal.apps.RecoportalConfig",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "axes",
    # the stack, lowest first (apps/README.md)
    "apps.accounts",
    "apps.jobs",
    "apps.catalog",
    "apps.events",
    "apps.datasets",
    "apps.training",
    "apps.metrics",
    "apps.merchandising",
    "apps.experiments",
    "apps.serving",
    "apps.monitoring",
    "apps.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "apps.core.contentpolicy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.portal.language.ReaderLanguageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "recoportal.urls"
WSGI_APPLICATION = "recoportal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
# --- language and time ----
LANGUAGE_CODE = ENV.get_str("RECOPORTAL_LANGUAGE")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = ENV.get_str("RECOPORTAL_TIME_ZONE")

# --- static files: the project's own, and Plotly from its wheel; no CDN ----
STATICFILES_DIRS = [path for path in (BASE_DIR / "static",) if path.is_dir()]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "recoportal.staticfinders.PlotlyFinder",
]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- cache (evicting) and broker with inbox (append-only): two servers, apps/adr and DESIGN 4 ----
CACHE_URL = ENV.get_str("CACHE_URL")
REDIS_URL = ENV.get_str("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": SHOP_NAME,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
    }
}

# --- tasks: three queues, ours to name; a task sent to any other queue is an error ----
# Redelivery happens (a worker dies, its unacknowledged task is handed out again): tasks are idempotent
# wake-ups and the rows' status is the truth. Recovery in seconds is the sweeper's work, not the broker's.
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = 3600
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = [Queue("default"), Queue("score"), Queue("train")]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ALWAYS_EAGER = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TRACK_STARTED = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A caller whose broker is down must hear of it within a second, not wait for the default retries.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2}
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    # Several shops may share one broker: each has its own keys, so no worker sees another shop's tasks.
    "global_keyprefix": f"{SHOP_NAME}:",
    "visibility_timeout": ENV.get_int("RECOPORTAL_TASK_VISIBILITY_SECONDS"),
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 2,
}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"global_keyprefix": f"{SHOP_NAME}:"}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / f"beat-{SHOP_NAME}")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "jobs-sweep": {"task": "apps.jobs.tasks.jobs_sweep", "schedule": 10.0},
    "jobs-prune": {"task": "apps.jobs.tasks.jobs_prune", "schedule": 86_400.0},
    "serving-exports-prune": {"task": "apps.serving.tasks.exports_prune", "schedule": 86_400.0},
    "serving-traces-prune": {"task": "apps.serving.tasks.traces_prune", "schedule": 86_400.0},
    "serving-lists": {"task": "apps.serving.tasks.lists_missing_build", "schedule": 5.0},
    "training-schedules": {"task": "apps.training.tasks.schedules_run", "schedule": 60.0},
    "monitoring-workers": {"task": "apps.monitoring.tasks.workers_look", "schedule": 30.0},
    "metrics-rollups": {"task": "apps.metrics.tasks.rollups_build", "schedule": 180.0},
    "merchandising-campaigns": {"task": "apps.merchandising.tasks.campaigns_count", "schedule": 60.0},
    "experiments-watch": {"task": "apps.experiments.tasks.experiments_watch", "schedule": 600.0},
    "experiments-deliveries": {"task": "apps.experiments.tasks.deliveries_watch", "schedule": 60.0},
    "events-partitions": {"task": "apps.events.tasks.partitions_ensure", "schedule": 86_400.0},
}

# --- REST ----
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "EXCEPTION_HANDLER": "apps.core.api.exception_handler",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "RecoPortal API",
    "DESCRIPTION": "What a shop asks (recommendations) and what it reports (events).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.openapi.documented_paths_add",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- mail ----
EMAIL_HOST = ENV.get_str("RECOPORTAL_EMAIL_HOST")
EMAIL_PORT = ENV.get_int("RECOPORTAL_EMAIL_PORT")
EMAIL_HOST_USER = ENV.get_str("RECOPORTAL_EMAIL_USER")
EMAIL_HOST_PASSWORD = ENV.get_str("RECOPORTAL_EMAIL_PASSWORD")
EMAIL_USE_TLS = ENV.get_bool("RECOPORTAL_EMAIL_TLS")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENV.get_str("RECOPORTAL_EMAIL_FROM")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"

# --- logging ----
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENV.get_str("RECOPORTAL_LOG_LEVEL")},
    "loggers": {"django.server": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}

# --- the product's own ----
DEVICE = ENV.get_str("RECOPORTAL_DEVICE")
WEB_HOST = ENV.get_str("RECOPORTAL_HOST")
WEB_PORT = ENV.get_int("RECOPORTAL_PORT")
WEB_WORKERS = ENV.get_int("RECOPORTAL_WEB_WORKERS")
INBOX = ENV.get_str("RECOPORTAL_INBOX")
INBOX_STRICT = ENV.get_bool("RECOPORTAL_INBOX_STRICT")
INBOX_MB = ENV.get_int("RECOPORTAL_INBOX_MB")
EVENT_KEY_DAYS = ENV.get_int("RECOPORTAL_EVENT_KEY_DAYS")
JOB_DAYS = ENV.get_int("RECOPORTAL_JOB_DAYS")
BEHIND_PROXY = ENV.get_bool("RECOPORTAL_BEHIND_PROXY")
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    AXES_IPWARE_PROXY_COUNT = 1
ENV.problems.extend(ENV.unknown_names())
