"""The frame around every page: access by role, the menu, the context kept in the URL."""

from collections.abc import Callable

import pytest
from django.test import Client, RequestFactory

from apps.accounts.models import User
from apps.jobs.models import JobStatus
from apps.jobs.services import job_create
from apps.merchandising.models import Placement
from apps.portal.context_bar import PageContext
from apps.portal.navigation import sidebar

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db


def test_visitor_is_sent_to_the_login(client: Client) -> None:
    answer = client.get("/jobs/drawer/?placement=home")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?next=/jobs/drawer/%3Fplacement%3Dhome")


def test_outsider_is_told_whom_to_ask(client_of: ClientOf, otto: User) -> None:
    answer = client_of(otto).get("/jobs/drawer/")
    assert answer.status_code == 403
    assert "Ask an admin of this shop" in answer.content.decode()


def test_menu_carries_the_context_and_is_empty_for_an_outsider(maya: User, otto: User) -> None:
    request = RequestFactory().get("/jobs/drawer/", {"placement": "home", "shopper": "s-1"})
    request.user = maya
    items = [item for group in sidebar(request) for item in group["items"]]
    assert {"Inspect", "Weights", "Rules", "History"} <= {str(item["title"]) for item in items}
    ours = [item["link"] for item in items if not item["link"].startswith("/admin/")]
    assert all("placement=home" in link for link in ours)
    request.user = otto
    assert sidebar(request) == []


def test_context_reads_and_writes_the_url() -> None:
    query = "?placement=cart&shopper=s-1&items=A%2CB&lang=zh-hans&at=2026-03-01T10%3A00"
    context = PageContext.of(RequestFactory().get("/" + query))
    assert context.skus == ("A", "B")
    assert context.query() == query
    assert context.query(shopper="", items="C", at="", lang="") == "?placement=cart&items=C"


def test_context_ignores_a_moment_it_cannot_read() -> None:
    assert PageContext.of(RequestFactory().get("/?at=2026-13-45T99:00")).at is None


def test_archived_placements_are_not_offered() -> None:
    Placement.objects.all().delete()
    Placement.objects.create(code="old", name="Old", kind="shopper", archived_at="2026-01-01T00:00Z")
    kept = Placement.objects.create(code="home", name="Home", kind="shopper")
    assert PageContext.of(RequestFactory().get("/?placement=old")).placement == kept


def test_drawer_polls_only_while_something_is_active(client_of: ClientOf, maya: User) -> None:
    client = client_of(maya)
    assert "every 1s" not in client.get("/jobs/drawer/").content.decode()
    job_create(kind="training", title="Train als", requested_by=maya)
    body = client.get("/jobs/drawer/").content.decode()
    assert "every 1s" in body
    assert "Train als" in body


def test_own_job_can_be_cancelled_and_another_persons_not(client_of: ClientOf, maya: User, ana: User) -> None:
    job = job_create(kind="training", title="Train als", requested_by=maya)
    assert client_of(ana).post(f"/jobs/{job.pk}/cancel/").status_code == 403
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED
    assert client_of(maya).post(f"/jobs/{job.pk}/cancel/").status_code == 200
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED


def test_raw_records_carry_the_shell(client_of: ClientOf, adam: User) -> None:
    body = client_of(adam).get("/admin/").content.decode()
    assert 'id="jobs-drawer"' in body
    assert "portal/portal.css" in body


def test_jobs_page_lists_what_ended_too(client_of: ClientOf, ana: User) -> None:
    for number in range(31):
        job_create(kind="training", title=f"Train {number}")
    client = client_of(ana)
    assert "Train 30" in client.get("/jobs/").content.decode()
    older = client.get("/jobs/?page=2").content.decode()
    assert "Train 0" in older
    assert "Train 30" not in older
