"""Data pages: the feed from upload to report, event kinds, snapshots, quality; and who may."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django.fixtures import Settings

from apps.accounts.models import AuditEntry, User
from apps.catalog.imports import feed_import_run
from apps.catalog.models import FeedImport, Product
from apps.core.clock import now
from apps.datasets.models import Snapshot
from apps.events.models import EventKind
from apps.jobs.models import Job
from tests.factories.shop import event, events_record, products_make
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
FEED = b"sku,title,price\na,Mug,10.50\nb,,8\nc,Pan,cheap\nd,Bowl,4\n"


@pytest.fixture(autouse=True)
def shop_folder(settings: Settings, tmp_path: Path) -> None:
    """Uploads and reports of a test lie in a folder of its own."""
    settings.SHOP_DIR = tmp_path


def feed_file(content: bytes = FEED, name: str = "feed.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_feed_is_imported_with_its_bad_rows_named(mel: User) -> None:
    client = logged_in(mel)
    answer = client.post("/data/feeds/new/", {"file": feed_file(), "format": ""})
    feed = FeedImport.objects.get()
    assert answer["Location"] == f"/data/feeds/{feed.pk}/"
    assert "every 1s" in client.get(answer["Location"]).content.decode()
    feed_import_run(job_id=Job.objects.get().pk)
    page = client.get(f"/data/feeds/{feed.pk}/state/", headers={"HX-Request": "true"}).content.decode()
    assert "every 1s" not in page
    assert "Refused rows" in page
    assert "cheap" in page
    report = client.get(f"/data/feeds/{feed.pk}/report.csv")
    lines = report.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "line,field,value,remedy"
    assert {line.split(",")[0] for line in lines[1:]} == {"3", "4"}
    assert set(Product.objects.values_list("sku", flat=True)) == {"a", "d"}
    history = client.get("/data/").content.decode()
    assert "feed.csv" in history
    assert f"/data/feeds/{feed.pk}/report.csv" in history


def test_a_file_of_no_known_kind_is_refused_in_words(mel: User) -> None:
    client = logged_in(mel)
    page = client.post("/data/feeds/new/", {"file": feed_file(name="feed.docx")}).content.decode()
    assert "Name the format" in page
    assert "Choose a file first." in client.post("/data/feeds/new/", {}).content.decode()
    assert not FeedImport.objects.exists()


def test_an_event_kind_is_added_and_changed(mel: User) -> None:
    client = logged_in(mel)
    facts = {"name": "Quiz answer", "code": "quiz", "role": "like", "weight": "2.5", "active": "on"}
    assert client.get("/data/kinds/new/", headers={"HX-Request": "true"}).status_code == 200
    done = client.post("/data/kinds/save/", facts, headers={"HX-Request": "true"})
    assert done["HX-Redirect"] == "/data/kinds/"
    kind = EventKind.objects.get(code="quiz")
    assert (kind.role, kind.weight) == ("like", 2.5)
    client.post(f"/data/kinds/{kind.pk}/save/", {**facts, "code": "other", "weight": "0"})
    kind.refresh_from_db()
    assert (kind.code, kind.weight) == ("quiz", 0.0)
    assert AuditEntry.objects.filter(verb="event_kind.save", actor=mel).count() == 2


def test_code_and_meaning_of_a_built_in_kind_stay(mel: User) -> None:
    kind = EventKind.objects.get(code="purchase")
    dialog = logged_in(mel).get(f"/data/kinds/{kind.pk}/").content.decode()
    assert dialog.count("disabled") >= 2
    facts = {"name": "Bought", "code": "x", "role": "view", "weight": "9", "active": "on"}
    logged_in(mel).post(f"/data/kinds/{kind.pk}/save/", facts)
    kind.refresh_from_db()
    assert (kind.code, kind.role, kind.weight) == ("purchase", "purchase", 9.0)


def test_a_taken_code_is_refused_in_the_dialog(mel: User) -> None:
    facts = {"name": "Look", "code": "view", "role": "view", "weight": "1", "active": "on"}
    assert b"already" in logged_in(mel).post("/data/kinds/save/", facts).content


def test_snapshots_show_hash_window_and_manifest(ana: User) -> None:
    made = Snapshot.objects.create(
        content_hash="c0ffee" * 10, path="/x", window_end=now(), interactions=1234, items=5, shoppers=6,
        manifest={"counts": {"left_out": {"bot": 7}}, "kinds": {"view": 1200}},
    )  # fmt: skip
    client = logged_in(ana)
    page = client.get("/data/snapshots/").content.decode()
    assert "c0ffeec0ffee" in page
    assert "1,234" in page
    assert "1,200" in client.get(f"/data/snapshots/{made.pk}/").content.decode()
    assert client.get("/data/snapshots/999/").status_code == 404


def test_quality_names_what_is_missing(ana: User) -> None:
    products_make("p1", "p2", price=[None, 10.0])
    events_record(event("view", sku="p1"), event("view", sku="unknown-sku"))
    page = logged_in(ana).get("/data/quality/").content.decode()
    assert "Products without a price" in page
    assert "of 2 (50.0%)" in page
    assert "Products known only from events" in page


@pytest.mark.parametrize("name", ["maya", "ana", "otto"])
def test_others_change_no_data(name: str, request: pytest.FixtureRequest) -> None:
    client = logged_in(request.getfixturevalue(name))
    kind = EventKind.objects.get(code="view")
    facts = {"name": "x", "code": "view", "role": "view", "weight": "50", "active": "on"}
    denied = [("/data/feeds/new/", {"file": feed_file()}), (f"/data/kinds/{kind.pk}/save/", facts)]
    for path, data in [*denied, ("/data/kinds/save/", {**facts, "code": "new"})]:
        assert client.post(path, data).status_code == 403, path
    kind.refresh_from_db()
    assert kind.weight != 50
    assert not FeedImport.objects.exists()
    assert not Job.objects.exists()
    assert not EventKind.objects.filter(code="new").exists()


def test_outsider_reads_no_data(otto: User) -> None:
    client = logged_in(otto)
    for path in ("/data/", "/data/kinds/", "/data/snapshots/", "/data/quality/", "/pipeline/"):
        assert client.get(path).status_code == 403
