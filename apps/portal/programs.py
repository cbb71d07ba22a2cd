"""Which processes make up RecoPortal on one machine, and with which settings each is started."""

from __future__ import annotations

import os
import socket

from apps.portal.stack import Program

# BLAS and OpenMP read these once, at load: several threads on shared cores spin-wait up to 8 times slower.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BLOCKING_THREADS = 2


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def web_port(host: str, wanted: int) -> int:
    """Return the wanted port if it is free, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError(f"no free port on {host}")


def web_program(*, host: str, port: int, workers: int) -> Program:
    """Return the site behind granian: WSGI, a process per core, never torch, connections from a pool."""
    return Program(
        name="web",
        arguments=(
            *("-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)),
            *("--workers", str(workers or cores()), "--blocking-threads", str(BLOCKING_THREADS)),
            *("--respawn-failed-workers", "--workers-kill-timeout", "3", "--no-ws", "--log-level", "warning"),
            "recoportal.wsgi:application",
        ),
        environment={**ONE_THREAD, "RECOPORTAL_DB_POOL_MAX": "4"},
    )


def worker_program(queue: str, *, concurrency: int, more: tuple[str, ...] = ()) -> Program:
    """Return a Celery worker of one queue. Prefork: a task that dies takes no other with it."""
    return Program(
        name=f"worker-{queue}",
        arguments=(
            *("-m", "celery", "-A", "recoportal", "worker", "--queues", queue, "--hostname", f"{queue}@%h"),
            *("--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "INFO"),
            *("--without-mingle", "--without-gossip", *more),
        ),
        environment={**ONE_THREAD, "RECOPORTAL_DB_POOL_MAX": "0"},
        ready_sign=" ready.",
    )


def beat_program() -> Program:
    """Return the clock that sends the scheduled tasks."""
    return Program(
        name="beat",
        arguments=("-m", "celery", "-A", "recoportal", "beat", "--loglevel", "INFO"),
        environment={**ONE_THREAD, "RECOPORTAL_DB_POOL_MAX": "0"},
        ready_sign="beat: Starting",
    )


def inbox_program() -> Program:
    """Return what moves acknowledged events from the stream into Postgres."""
    return Program(
        name="inbox",
        arguments=("manage.py", "consume_events"),
        environment={**ONE_THREAD, "RECOPORTAL_DB_POOL_MAX": "0"},
        ready_sign=" ready.",
    )


def background_programs() -> list[Program]:
    """Return everything behind the site: the inbox's consumer, three queues and the clock."""
    return [
        inbox_program(),
        worker_program("default", concurrency=2),
        worker_program("score", concurrency=1),
        # Memory of a training run returns to the system with its child.
        worker_program("train", concurrency=1, more=("--max-tasks-per-child", "10")),
        beat_program(),
    ]


def simulator_program(address: str) -> Program:
    """Return the shoppers, who know the site by its address alone."""
    return Program(
        name="shoppers",
        # About twice the demo history's pace: lively, and today still resembles yesterday.
        arguments=("manage.py", "simulate_traffic", "--url", address, "--rate", "0.06"),
        environment={**ONE_THREAD, "RECOPORTAL_DB_POOL_MAX": "0"},
    )
