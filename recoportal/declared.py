"""Everything that can be set, in the order of `.env.example`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set. `kind`: str, int, bool, list, path, url:<schemes>, choice:<a|b>, zone."""

    name: str
    kind: str
    default: str
    meaning: str
    secret: bool = False
    low: int = 0
    high: int = 2**31


DATABASE_SCHEMES = "url:postgresql|postgres"
VALKEY_SCHEMES = "url:redis|rediss|valkey|unix"

DECLARED: tuple[Setting, ...] = (
    Setting(
        "DATABASE_URL",
        DATABASE_SCHEMES,
        "",
        "PostgreSQL 15+ with pgvector. Empty: an embedded server.",
        secret=True,
    ),
    Setting(
        "REDIS_URL",
        VALKEY_SCHEMES,
        "",
        "Valkey or Redis for the task broker and the event inbox; must be "
        "append-only and never evict. Empty: an embedded server.",
        secret=True,
    ),
    Setting(
        "CACHE_URL",
        VALKEY_SCHEMES,
        "",
        "Valkey or Redis for the cache; may evict. Empty: an embedded server.",
        secret=True,
    ),
    Setting(
        "RECOPORTAL_DATA_DIR",
        "path",
        str(BASE_DIR / ".data"),
        "Folder for embedded databases, snapshots, model artifacts, uploaded and collected files.",
    ),
    Setting(
        "RECOPORTAL_SECRET_KEY",
        "str",
        "",
        "Signs sessions. Needed in production, 32 characters or more; "
        "elsewhere one is made and kept in the data folder.",
        secret=True,
    ),
    Setting(
        "RECOPORTAL_DEBUG",
        "bool",
        "",
        "Django's debug pages. Default: on in development, never in production.",
    ),
    Setting(
        "RECOPORTAL_ALLOWED_HOSTS",
        "list",
        "",
        "Host names the site answers to, comma separated. Needed in production.",
    ),
    Setting(
        "RECOPORTAL_CSRF_TRUSTED_ORIGINS",
        "list",
        "",
        "Origins (https://shop.example) whose forms are trusted, comma separated.",
    ),
    Setting("RECOPORTAL_HTTPS", "bool", "1", "Production only: secure cookies, redirect to https, HSTS."),
    Setting(
        "RECOPORTAL_BEHIND_PROXY",
        "bool",
        "0",
        "Trust X-Forwarded-Proto and X-Forwarded-For of one proxy in front.",
    ),
    Setting("RECOPORTAL_LANGUAGE", "choice:en|zh-hans", "en", "Language of people who have chosen none."),
    Setting("RECOPORTAL_TIME_ZONE", "zone", "UTC", "Time zone of the shop until it is set in the portal."),
    Setting("RECOPORTAL_LOG_LEVEL", "choice:DEBUG|INFO|WARNING|ERROR", "INFO", "How much the processes log."),
    Setting(
        "RECOPORTAL_DB_POOL_MAX",
        "int",
        "4",
        "Most database connections per web process. 0: no pool, one lasting connection.",
        high=500,
    ),
    Setting(
        "RECOPORTAL_DB_POOL_TIMEOUT",
        "int",
        "2",
        "Seconds to wait for a database connection before giving up.",
        low=1,
        high=600,
    ),
    Setting(
        "RECOPORTAL_TASK_VISIBILITY_SECONDS",
        "int",
        "7200",
        "Seconds after which an unacknowledged task is handed out again; longer than the longest task.",
        low=60,
    ),
    Setting("RECOPORTAL_EMAIL_HOST", "str", "", "Mail server for invitations. Empty: nothing is mailed."),
    Setting("RECOPORTAL_EMAIL_PORT", "int", "587", "Port of the mail server.", low=1, high=65535),
    Setting("RECOPORTAL_EMAIL_USER", "str", "", "Account on the mail server."),
    Setting("RECOPORTAL_EMAIL_PASSWORD", "str", "", "Its password.", secret=True),
    Setting("RECOPORTAL_EMAIL_TLS", "bool", "1", "Speak STARTTLS to the mail server."),
    Setting("RECOPORTAL_EMAIL_FROM", "str", "recoportal@localhost", "Sender of the mails."),
    Setting("RECOPORTAL_DEVICE", "choice:auto|cpu|cuda", "auto", "Where models are trained."),
    Setting("RECOPORTAL_HOST", "str", "127.0.0.1", "Address the web server listens on."),
    Setting(
        "RECOPORTAL_PORT",
        "int",
        "8000",
        "Port the web server listens on; `make demo` takes a free one if it is taken.",
        low=1,
        high=65535,
    ),
    Setting(
        "RECOPORTAL_EVENT_KEY_DAYS",
        "int",
        "100",
        "Days for which event ids are remembered; the events API takes no older events.",
        low=2,
        high=3650,
    ),
    Setting(
        "RECOPORTAL_JOB_DAYS",
        "int",
        "90",
        "Days for which ended jobs and exported files are kept; the jobs of training runs stay with them.",
        low=1,
        high=3650,
    ),
    Setting(
        "RECOPORTAL_INBOX",
        "choice:valkey|postgres",
        "valkey",
        "Where events are kept before they are acknowledged: the stream in Valkey (REDIS_URL), which "
        "`manage.py consume_events` drains, or Postgres at once. The other one steps in while the chosen one "
        "is away or full.",
    ),
    Setting(
        "RECOPORTAL_INBOX_STRICT",
        "bool",
        "0",
        "Wait for the disk before each event is acknowledged, so that a power cut loses none (otherwise up "
        "to two seconds of them). Run Valkey with appendfsync always then; the embedded one is.",
    ),
    Setting(
        "RECOPORTAL_INBOX_MB",
        "int",
        "128",
        "Megabytes of events that may wait in the stream; when it is full they go straight to Postgres.",
        low=1,
        high=1_000_000,
    ),
    Setting("RECOPORTAL_WEB_WORKERS", "int", "0", "Web processes. 0: one per core.", high=256),
)
