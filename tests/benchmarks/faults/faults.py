"""The faults: each is made, stays for a while, and is taken away again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import redis

from tests.benchmarks.faults.load import Caller, Load
from tests.benchmarks.faults.servers import INBOX_MB, SHOP, Servers

Fault = Callable[[Servers, Load], AbstractContextManager[None]]
SLOW_SECONDS = 2.0
MOST_CONNECTIONS = 400
HALF_WRITTEN = """
INSERT INTO merchandising_publication
    (placement_id, number, weights, normalisation, rules, note, published_at)
SELECT placement_id, number + 1000, '[0.5]', normalisation, '[{"id": "r1", "kind": "boo"}, 7]', '', now()
FROM merchandising_publication WHERE id = %s RETURNING id
"""


def frozen(service: str) -> Fault:
    """The server neither answers nor hangs up."""

    @contextmanager
    def fault(servers: Servers, load: Load) -> Iterator[None]:
        servers.signal(service, signal.SIGSTOP)
        yield
        servers.signal(service, signal.SIGCONT)

    return fault


def killed(service: str) -> Fault:
    """The server dies at once and is started again later, on the files it left."""

    @contextmanager
    def fault(servers: Servers, load: Load) -> Iterator[None]:
        servers.signal(service, signal.SIGKILL)
        yield
        servers.restart(service)

    return fault


@contextmanager
def postgres_slow(servers: Servers, load: Load) -> Iterator[None]:
    """Every answer comes two seconds later."""
    servers.gate.delay = SLOW_SECONDS
    yield
    servers.gate.delay = 0.0


@contextmanager
def pool_full(servers: Servers, load: Load) -> Iterator[None]:
    """Somebody else has all connections, and the site's were cut."""
    with contextlib.ExitStack() as held:
        first = held.enter_context(psycopg.connect(servers.database_url, autocommit=True))
        mine = [first.info.backend_pid]
        with contextlib.suppress(psycopg.OperationalError):
            while len(mine) < MOST_CONNECTIONS:
                more = held.enter_context(psycopg.connect(servers.database_url, autocommit=True))
                mine.append(more.info.backend_pid)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> ALL(%s)"
        first.execute(cut, [SHOP, mine])
        with contextlib.suppress(psycopg.OperationalError):
            while len(mine) < MOST_CONNECTIONS:
                more = held.enter_context(psycopg.connect(servers.database_url, autocommit=True))
                mine.append(more.info.backend_pid)
        yield


@contextmanager
def cache_flushed(servers: Servers, load: Load) -> Iterator[None]:
    """Everything in the cache is gone."""
    with redis.Redis.from_url(servers.cache_url) as cache:
        cache.flushall()
    yield


@contextmanager
def inbox_full(servers: Servers, load: Load) -> Iterator[None]:
    """The consumer stands still until the stream takes no more."""
    os.kill(servers.inbox.popen.pid, signal.SIGSTOP)
    try:
        caller = Caller(servers.port, servers.key)
        with servers.valkey() as inbox:
            while int(inbox.get(f"{{{SHOP}}}:inbox:bytes") or 0) < INBOX_MB * 1_000_000 - 150_000:
                load.post(caller, 1_000)
        for _ in range(3):
            load.post(caller, 1_000)
        yield
    finally:
        os.kill(servers.inbox.popen.pid, signal.SIGCONT)


@contextmanager
def workers_killed(servers: Servers, load: Load) -> Iterator[None]:
    """The consumer and the Celery workers die; their supervisor starts them again."""
    for running in (servers.inbox, servers.worker):
        running.signal_group(signal.SIGKILL)
    yield


@contextmanager
def web_worker_killed(servers: Servers, load: Load) -> Iterator[None]:
    """One of the two web workers dies; granian starts another."""
    os.kill(servers.web_workers()[0], signal.SIGKILL)
    yield


@contextmanager
def publication_half_written(servers: Servers, load: Load) -> Iterator[None]:
    """The live publication's rules and weights are of no shape anybody can read."""
    select = "SELECT live_publication_id FROM merchandising_placement WHERE code = 'home'"
    [(before,)] = servers.ask(select)
    [(broken,)] = servers.ask(HALF_WRITTEN, [before])
    servers.ask("UPDATE merchandising_placement SET live_publication_id = %s WHERE code = 'home'", [broken])
    yield
    servers.ask("UPDATE merchandising_placement SET live_publication_id = %s WHERE code = 'home'", [before])


@contextmanager
def artifact_truncated(servers: Servers, load: Load) -> Iterator[None]:
    """The file of a new live model is cut in half when its lists are to be built, and whole again later.

    It is over when they are built. Lists that failed are given out again after two minutes: not waited for.
    """
    version, name = servers.django("artifact.make()").split()
    path = Path(name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    servers.django("artifact.give_out()")
    yield
    built = "SELECT completed_at IS NOT NULL FROM serving_listbuild WHERE version_id = %s"
    if servers.ask(built, [version]) != [(False,)]:
        raise RuntimeError("lists were built from a damaged file, or nobody tried")
    path.write_bytes(whole)
    servers.ask("UPDATE serving_listbuild SET sent_at = now() - interval '1 hour'")
    servers.django("artifact.give_out()")
    deadline = time.monotonic() + 30
    while servers.ask(built, [version]) != [(True,)]:
        if time.monotonic() > deadline:
            raise RuntimeError("the lists of a whole file were not built")
        time.sleep(0.2)


FAULTS: dict[str, Fault] = {
    "postgres_stopped": frozen("postgres"),
    "postgres_killed": killed("postgres"),
    "postgres_slow": postgres_slow,
    "pool_full": pool_full,
    "cache_stopped": frozen("valkey-cache"),
    "cache_killed": killed("valkey-cache"),
    "cache_flushed": cache_flushed,
    "inbox_stopped": frozen("valkey-broker"),
    "inbox_killed": killed("valkey-broker"),
    "inbox_full": inbox_full,
    "workers_killed": workers_killed,
    "web_worker_killed": web_worker_killed,
    "artifact_truncated": artifact_truncated,
    "publication_half_written": publication_half_written,
}
# These are over as soon as they happened.
MOMENTARY = frozenset({"cache_flushed", "workers_killed", "web_worker_killed"})
