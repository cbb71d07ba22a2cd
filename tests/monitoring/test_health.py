"""Health as pages and load balancers see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import override_settings

from apps.core import clock
from apps.jobs.models import Job
from apps.jobs.services import job_claim, job_create
from apps.monitoring import health
from apps.monitoring.health import Check, health_report, workers_look_store
from apps.monitoring.tasks import workers_look
from recoportal.keptonce import site_mark_ensure
from tests.processes import RealProcess, free_port


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.delete(health.LOOK_KEY)


def by_code() -> dict[str, Check]:
    return {check.code: check for check in health_report().checks}


@pytest.mark.django_db
def test_services_that_run_are_ok() -> None:
    checks = by_code()
    assert {checks[code].state for code in ("postgres", "cache", "broker", "disk", "jobs")} == {"ok"}
    assert checks["postgres"].milliseconds is not None


@pytest.mark.django_db
def test_queue_without_worker_is_down_once_somebody_looked() -> None:
    assert by_code()["worker_train"].state == "warn"  # nobody has looked yet
    workers_look_store(queues={"default": ["a@host"], "score": ["b@host"]})
    checks = by_code()
    assert [checks[f"worker_{queue}"].state for queue in health.QUEUES] == ["ok", "ok", "down"]
    assert "-Q train" in checks["worker_train"].message
    assert checks["beat"].state == "ok"
    with clock.pinned(clock.now() + timedelta(minutes=5)):
        assert by_code()["beat"].state == "down"


@pytest.mark.django_db
def test_dead_job_is_reported() -> None:
    job = job_claim(job_id=job_create(kind="test.inline", title="Work").pk)
    assert job is not None
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - timedelta(minutes=5))
    assert by_code()["jobs"].state == "down"


@pytest.mark.django_db
def test_broker_that_is_away_is_reported_not_raised() -> None:
    with override_settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"):
        check = by_code()["broker"]
    assert check.state == "down"
    assert "REDIS_URL" in check.message


@pytest.mark.django_db
def test_health_needs_no_key_and_tells_no_details() -> None:
    answer = Client().get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "site": (settings.DATA_DIR / f"site-{settings.SHOP_NAME}").read_text(),
        "services": {"postgres": "ok", "cache": "ok", "broker": "ok"},
    }
    assert Client().get("/api/v1/health/ready").status_code == 200
    assert Client().post("/api/v1/health").status_code == 405


@pytest.mark.django_db
def test_mark_of_a_site_tells_nothing_about_its_secrets(tmp_path: Path) -> None:
    first = site_mark_ensure(tmp_path, "shop")
    assert site_mark_ensure(tmp_path, "shop") == first
    assert len({first, site_mark_ensure(tmp_path, "other"), site_mark_ensure(tmp_path / "new", "shop")}) == 3


@pytest.mark.django_db
def test_health_is_in_the_openapi_document() -> None:
    document = Client().get("/api/schema/?format=json").json()
    assert document["paths"]["/api/v1/health"]["get"]["operationId"] == "health"
    assert "503" in document["paths"]["/api/v1/health/ready"]["get"]["responses"]


def test_database_that_is_away_leaves_the_process_alive_but_not_ready(
    live_site_start: Callable[..., RealProcess],
) -> None:
    site = live_site_start(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    import urllib.error
    import urllib.request

    with urllib.request.urlopen(f"{site.url}/api/v1/health", timeout=30) as answer:
        body = answer.read()
    assert b'"degraded"' in body
    assert b'"postgres":"down"' in body
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{site.url}/api/v1/health/ready", timeout=30)
    assert caught.value.code == 503


def test_look_finds_a_real_worker(celery_worker_process: Callable[..., RealProcess]) -> None:
    celery_worker_process("default", "score")
    deadline = time.monotonic() + 30
    while by_code()["worker_default"].state != "ok":
        assert time.monotonic() < deadline
        workers_look()
    checks = by_code()
    assert checks["worker_score"].state == "ok"
    assert checks["worker_train"].state == "down"
