"""The fixtures that start real processes."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

from apps.accounts.models import User
from tests.processes import RealProcess


def test_a_worker_runs_a_task_sent_from_the_test(celery_worker_process: Callable[..., RealProcess]) -> None:
    from recoportal.celery import app

    worker = celery_worker_process("default", "train")

    assert app.control.ping(timeout=5) == [{"worker0@test": {"ok": "pong"}}]
    assert worker.popen.poll() is None


def test_the_live_site_sees_rows_the_test_committed(live_site: RealProcess, maya: User, ana: User) -> None:
    with urllib.request.urlopen(f"{live_site.url}/admin/login/") as answer:
        assert answer.status == 200
