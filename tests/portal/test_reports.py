"""Report pages: asked for on a model's page, read in words and charts; suspects left out and taken back."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import AuditEntry, User
from apps.datasets.models import LeftOutShopper
from apps.jobs.models import Job, JobStatus
from apps.training.reports import ROBUSTNESS, SHILLING, UPDATES
from tests.portal.small_shop import SmallShop, small_shop_make

pytestmark = pytest.mark.django_db


def point(share: float, ndcg: float, exposure: float | None = None) -> dict[str, Any]:
    return {
        "share": share,
        "ndcg10": ndcg,
        "low": ndcg - 0.01,
        "high": ndcg + 0.01,
        "kept": ndcg / 0.2,
        "exposure": exposure,
    }


CURVES = {
    "snapshot_hash": "h",
    "variant": "all",
    "users": 40,
    "curves": {
        "noise": [point(0.0, 0.2), point(0.2, 0.15)],
        "missing": [point(0.0, 0.2), point(0.2, 0.18)],
        "fake": [point(0.0, 0.2), point(0.2, 0.19, 0.125)],
    },
}


def way(ndcg: float, cpu: float, lost: list[float] | None) -> dict[str, Any]:
    forgetting = {"before": 0.1, "after": 0.09, "lost": lost, "quiet_lost": None, "shoppers": 30}
    return {
        "ndcg10": ndcg,
        "recall20": 0.3,
        "intervals": {"ndcg10": [ndcg - 0.02, ndcg + 0.02], "recall20": [0.2, 0.4]},
        "seconds": cpu,
        "cpu_seconds": cpu,
        "updates": 2,
        "ndcg10_by_day": [ndcg, None],
        "forgetting": forgetting if lost else None,
    }


MONTH = {
    "snapshot_hash": "h",
    "variant": "new",
    "days": ["2026-03-01", "2026-03-02"],
    "judged": 12,
    "ways": {
        "full": way(0.2, 10.0, [0.001, -0.002, 0.004]),
        "warm": way(0.19, 2.0, [0.01, 0.005, 0.015]),
        "frozen": way(0.1, 0.0, None),
    },
}


def job_done(kind: str, result: dict[str, Any], **params: Any) -> Job:
    return Job.objects.create(
        kind=kind, title="t", params=params, result=result, status=JobStatus.DONE, progress=1.0
    )


@pytest.fixture
def shop() -> SmallShop:
    return small_shop_make()


def test_a_report_is_asked_for_on_the_models_page(shop: SmallShop, mel: User, client_of: Any) -> None:
    client: Client = client_of(mel)
    page = client.get("/models/recipe/ease/").content.decode()
    assert "Put it to the test" in page
    answer = client.post("/models/recipe/ease/reports/updates/", {"days": "7", "variant": "new"})
    job = Job.objects.get(kind=UPDATES)
    assert answer["Location"] == f"/models/reports/{job.pk}/"
    assert job.params == {"recipe": "ease", "days": 7, "variant": "new"}
    assert job.requested_by == mel
    assert "every 1s" in client.get(answer["Location"]).content.decode()
    assert "It is being made." in client.get("/models/recipe/ease/").content.decode()
    assert client.post("/models/recipe/ease/reports/updates/", {"days": "7"}).status_code == 409
    assert client.post("/models/recipe/ease/reports/other/").status_code == 404


def test_robustness_is_read_in_words_charts_and_csv(shop: SmallShop, ana: User, client_of: Any) -> None:
    client: Client = client_of(ana)
    job = job_done(ROBUSTNESS, CURVES, recipe="ease", variant="all")
    page = client.get(f"/models/reports/{job.pk}/").content.decode()
    assert "With 20% of the interactions wrong, 75% of its NDCG@10 is left." in page
    assert "before 12.5% of the shoppers" in page
    assert "every 1s" not in page
    answer = client.get(f"/models/reports/{job.pk}/robustness.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(answer)))
    assert len(rows) == 6
    assert rows[1]["Share of interactions"] == "0.2"
    assert client.get(f"/models/reports/{job.pk}/other.csv").status_code == 404
    assert "75%" in client.get("/models/recipe/ease/").content.decode()
    assert client.post("/models/recipe/ease/reports/robustness/").status_code == 403
    chinese = client.get(f"/models/reports/{job.pk}/", headers={"accept-language": "zh-hans"})
    assert "NDCG@10 还剩 75%" in chinese.content.decode()


def test_updates_are_read_against_a_full_retrain(shop: SmallShop, ana: User, client_of: Any) -> None:
    client: Client = client_of(ana)
    job = job_done(UPDATES, MONTH, recipe="ease", variant="new", days=2)
    page = client.get(f"/models/reports/{job.pk}/").content.decode()
    assert "95% of the quality of a full retrain, in 20% of its core-seconds." in page
    assert "Left as it was: 50% of the quality of a full retrain, for nothing." in page
    assert "Trained anew every day: no old purchase is clearly forgotten." in page
    assert "old purchases lose 0.0100 of NDCG@10 (0.0050 to 0.0150)." in page
    for key, rows in (("updates-days", 2), ("updates-cost", 3), ("updates-forgetting", 2)):
        table = client.get(f"/models/reports/{job.pk}/{key}.csv").content.decode("utf-8-sig")
        assert len(table.splitlines()) == rows + 1


def test_a_crowd_is_left_out_and_taken_back(shop: SmallShop, mel: User, ana: User, client_of: Any) -> None:
    client: Client = client_of(mel)
    assert "Nobody has looked yet." in client.get("/data/suspects/").content.decode()
    client.post("/data/suspects/look/")
    job = Job.objects.get(kind=SHILLING)
    assert "every 1s" in client.get("/data/suspects/").content.decode()
    people = [shop.shoppers[f"shopper-{n}"] for n in (1, 2)]
    crowd = {
        "target": shop.products["P03"].pk,
        "members": [*(one.pk for one in people), 987_654],
        "first": 1.77e9,
        "last": 1.7701e9,
        "evidence": {"burst": 8.0, "similarity": 2.5, "length": 0.2},
    }
    facts = {
        "snapshot_hash": "h",
        "flagged": crowd["members"],
        "shoppers": 6,
        "share": 0.5,
        "crowds": [crowd],
    }
    Job.objects.filter(pk=job.pk).update(status=JobStatus.DONE, result=facts)
    page = client.get("/data/suspects/").content.decode()
    assert shop.title("P03") in page
    assert "Far more newcomers bought it at once" in page
    assert "nearly equally long" not in page
    assert client_of(ana).post("/data/suspects/leave/", {"crowd": "0"}).status_code == 403
    client.post("/data/suspects/leave/", {"crowd": "0"})
    left_out = LeftOutShopper.objects.order_by("shopper__external_id")
    assert [one.shopper for one in left_out] == people
    assert shop.title("P03") in left_out[0].reason
    assert left_out[0].left_out_by == mel
    page = client.get("/data/suspects/").content.decode()
    assert "2 left out" in page
    assert "Leave them out of training" not in page
    client.post("/data/suspects/back/", {"shopper": str(people[0].pk)})
    assert LeftOutShopper.objects.get().shopper == people[1]
    client.post("/data/suspects/back/", {"crowd": "0"})
    assert not LeftOutShopper.objects.exists()
    assert list(AuditEntry.objects.filter(actor=mel).order_by("pk").values_list("verb", flat=True)) == [
        "shoppers.leave_out",
        "shoppers.take_back",
        "shoppers.take_back",
    ]
    assert client.post("/data/suspects/leave/", {"crowd": "7"}).status_code == 404
    assert len(client.get("/data/suspects/crowds.csv").content.decode("utf-8-sig").splitlines()) == 2
