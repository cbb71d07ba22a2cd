"""Health of everything the shop stands on: database, cache, broker, workers, beat, models, disk."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import clock
from apps.events.models import SetAside
from apps.events.stream import InboxAway, stream
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import STALE_AFTER
from apps.serving.models import ListBuild
from apps.training.selectors import recipes_list, version_is_stale

State = Literal["ok", "warn", "down"]
QUEUES = ("default", "score", "train")
LOOK_KEY = "monitoring:workers"
# Workers are looked for by a task that beat sends every half minute: an old look means that beat or the
# worker of the queue `default` has stopped.
LOOK_STALE = timedelta(seconds=100)
# A consumer that was killed is followed by another within seconds.
INBOX_SLOW_SECONDS = 30.0
DISK_WARN_FREE = 2 * 1024**3
DISK_DOWN_FREE = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `message` says what is found and, unless ok, what to do. `milliseconds` is the
    answer's.
    """

    code: str
    title: str | Promise
    state: State
    message: str
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All checks with the worst state among them."""

    checks: list[Check]

    @property
    def state(self) -> State:
        """The worst state."""
        states = {check.state for check in self.checks}
        return "down" if "down" in states else "warn" if "warn" in states else "ok"


def health_report() -> Health:
    """Every check; a service that is away never raises, it is reported."""
    checks = [postgres_check(), cache_check(), broker_check()]
    if checks[0].state != "down":
        checks += [*worker_checks(), beat_check(), inbox_check(), models_check(), jobs_check()]
    return Health([*checks, disk_check()])


def services_report() -> Health:
    """Just the three services a request needs; cheap enough for a load balancer."""
    return Health([postgres_check(), cache_check(), broker_check()])


def _timed(code: str, title: str | Promise, ask: Callable[[], str], remedy: str) -> Check:
    started = time.perf_counter()
    try:
        message = ask()
    except (DatabaseError, redis.RedisError, OSError) as error:
        return Check(code, title, "down", f"{type(error).__name__}: {remedy}")
    return Check(code, title, "ok", message, round((time.perf_counter() - started) * 1000, 2))


def postgres_check() -> Check:
    """Whether the database answers."""

    def ask() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
            version, size = cursor.fetchone()
        return _("PostgreSQL %(version)s, %(size)s MB") % {"version": version, "size": round(size / 1024**2)}

    remedy = _("no answer. See that the server of DATABASE_URL runs.")
    return _timed("postgres", gettext_lazy("Database"), ask, remedy)


def cache_check() -> Check:
    """Whether the cache stores and gives back."""

    def ask() -> str:
        cache.set("monitoring:probe", 1, 10)
        if cache.get("monitoring:probe") != 1:
            raise redis.RedisError("not stored")
        return _("stores and answers")

    remedy = _("no answer. See that the server of CACHE_URL runs; slates are slower until then.")
    return _timed("cache", gettext_lazy("Cache"), ask, remedy)


def _broker() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=2)


def broker_check() -> Check:
    """Whether the broker answers, and how many tasks wait in each queue."""

    def ask() -> str:
        prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("global_keyprefix", "")
        with _broker() as broker:
            waiting = {queue: broker.llen(f"{prefix}{queue}") for queue in QUEUES}
        shown = ", ".join(f"{queue} {count}" for queue, count in waiting.items())
        return _("waiting: %(queues)s") % {"queues": shown}

    remedy = _("no answer. See that the server of REDIS_URL runs; no task is started until then.")
    return _timed("broker", gettext_lazy("Task broker"), ask, remedy)


def workers_look_store(*, queues: dict[str, list[str]]) -> None:
    """Keep what the last look found: worker names by queue."""
    cache.set(LOOK_KEY, {"at": clock.now().timestamp(), "queues": queues}, 3600)


def _last_look() -> tuple[float | None, dict[str, list[str]]]:
    """Seconds since the last look, and what it found."""
    try:
        look = cache.get(LOOK_KEY)
    except (redis.RedisError, OSError):
        look = None
    if not look:
        return None, {}
    return clock.now().timestamp() - look["at"], look["queues"]


def worker_checks() -> list[Check]:
    """Each queue: the workers that answered the last look, or a job of it with a fresh heartbeat."""
    age, queues = _last_look()
    fresh = age is not None and age < LOOK_STALE.total_seconds()
    checks = []
    for queue in QUEUES:
        title = _("Worker “%(queue)s”") % {"queue": queue}
        names = queues.get(queue, []) if fresh else []
        if names:
            checks.append(Check(f"worker_{queue}", title, "ok", ", ".join(sorted(names))))
        else:
            message = _("No worker answers. Start one: celery -A recoportal worker -Q %(queue)s -c 1")
            state: State = "down" if fresh else "warn"
            checks.append(Check(f"worker_{queue}", title, state, message % {"queue": queue}))
    return checks


def beat_check() -> Check:
    """Whether the scheduler still sends."""
    title = gettext_lazy("Scheduler")
    age, _queues = _last_look()
    if age is None:
        return Check("beat", title, "warn", _("Not seen yet. Start it: celery -A recoportal beat"))
    if age > LOOK_STALE.total_seconds():
        message = _("Silent for %(seconds)s s. Start it: celery -A recoportal beat")
        return Check("beat", title, "down", message % {"seconds": round(age)})
    return Check("beat", title, "ok", _("%(seconds)s s ago") % {"seconds": round(age)})


def inbox_check() -> Check:
    """Whether acknowledged events reach the database, and whether some were set aside lately."""
    title = gettext_lazy("Event inbox")
    try:
        count, oldest = stream().waiting()
    except InboxAway:
        return Check("inbox", title, "warn", _("The stream is away; events go to the database directly."))
    if oldest > INBOX_SLOW_SECONDS:
        message = _("%(count)s entries wait, the oldest %(seconds)s s. Start it: manage.py consume_events")
        return Check("inbox", title, "down", message % {"count": count, "seconds": round(oldest)})
    aside = SetAside.objects.filter(at__gt=clock.now() - timedelta(days=1)).count()
    if aside:
        message = _("%(count)s events of the last day were set aside; look at them in the admin.")
        return Check("inbox", title, "warn", message % {"count": aside})
    return Check("inbox", title, "ok", _("%(count)s entries wait") % {"count": count})


def models_check() -> Check:
    """Whether every active recipe has a live version that is fresh and whose lists are built."""
    title = gettext_lazy("Models")
    missing, stale, unbuilt, total = [], [], [], 0
    built = set(ListBuild.objects.filter(completed_at__isnull=False).values_list("version_id", flat=True))
    for recipe in recipes_list(active_only=True):
        total += 1
        live = getattr(recipe, "live_versions", [])
        if not live:
            missing.append(recipe.name)
        elif live[0].pk not in built:
            unbuilt.append(recipe.name)
        elif version_is_stale(live[0]):
            stale.append(recipe.name)
    parts = [
        _("nothing live: %(names)s") % {"names": ", ".join(missing)} if missing else "",
        _("lists not built yet: %(names)s") % {"names": ", ".join(unbuilt)} if unbuilt else "",
        _("older than its schedule: %(names)s") % {"names": ", ".join(stale)} if stale else "",
    ]
    if total and len(missing) == total:
        return Check("models", title, "down", _("No model is live. Train them under Models."))
    found = "; ".join(part for part in parts if part)
    return Check(
        "models", title, "warn" if found else "ok", found or _("%(n)s live and fresh") % {"n": total}
    )


def jobs_check() -> Check:
    """Whether jobs run that are dead, or failed within the last day."""
    title = gettext_lazy("Jobs")
    now = clock.now()
    dead = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__lt=now - 2 * STALE_AFTER).count()
    failed = Job.objects.filter(status=JobStatus.FAILED, finished_at__gt=now - timedelta(days=1)).count()
    if dead:
        return Check(
            "jobs", title, "down", _("%(n)s without heartbeat: the sweeper is not running.") % {"n": dead}
        )
    if failed:
        return Check(
            "jobs", title, "warn", _("%(n)s failed within a day; see the jobs drawer.") % {"n": failed}
        )
    running = Job.objects.filter(status=JobStatus.RUNNING).count()
    return Check("jobs", title, "ok", _("%(n)s running, none failed within a day") % {"n": running})


def disk_check() -> Check:
    """Room left where snapshots and artifacts are kept."""
    title = gettext_lazy("Disk")
    try:
        use = shutil.disk_usage(settings.DATA_DIR)
    except OSError as error:
        return Check("disk", title, "down", f"{settings.DATA_DIR}: {error.strerror}")
    message = _("%(free)s GB of %(total)s GB free") % {
        "free": round(use.free / 1024**3, 1),
        "total": round(use.total / 1024**3, 1),
    }
    state: State = "down" if use.free < DISK_DOWN_FREE else "warn" if use.free < DISK_WARN_FREE else "ok"
    return Check("disk", title, state, message)
