"""Files of slates for e-mail: whom they hold, that they are whole, and that a second run goes on."""

import csv
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.core.errors import InvalidInput, NotFound
from apps.events.models import Exposure, Shopper
from apps.serving import exports
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
from tests.factories.shop import shoppers_make
from tests.serving.memory import serving_memory_fresh
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("serving_memory_fresh")]
__all__ = ["serving_memory_fresh"]
NAMES = [f"c{n:02}" for n in range(10)]


@pytest.fixture
def shop(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten shoppers with lists of their own, of whom one opted out and one is another; two in each shard."""
    settings.SHOP_DIR = tmp_path
    monkeypatch.setattr(exports, "SHOPPERS_PER_SHARD", 2)
    catalogue_make()
    shoppers = shoppers_make(*NAMES)
    lists = {(ListScope.SHOPPER_NEW, shopper.pk): SKUS[n:] for n, shopper in enumerate(shoppers.values())}
    version_make("als", lists)
    home_make({"als": 1.0})
    Shopper.objects.filter(external_id="c03").update(opted_out=True)
    Shopper.objects.filter(external_id="c04").update(merged_into=shoppers["c05"])
    return tmp_path


def read(job_id: int) -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    """Rows of the CSV, objects of the JSON lines."""
    with exports.export_file(job_id=job_id, format="csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = exports.export_file(job_id=job_id, format="jsonl").read_bytes().splitlines()
    return rows, [orjson.loads(line) for line in lines]


def test_the_files_hold_the_slates_that_are_served(shop: Path) -> None:
    job = exports.export_create(placement="home", first="c01", last="c07", n=3)
    done = exports.export_run(job_id=job.pk)
    assert done is not None
    assert {name: done.result[name] for name in ("shoppers", "opted_out", "items")} == {
        "shoppers": 5, "opted_out": 1, "items": 15,
    }  # fmt: skip
    rows, lines = read(job.pk)
    assert [line["shopper"] for line in lines] == ["c01", "c02", "c05", "c06", "c07"]
    for line in lines:
        slate = recommend(SlateRequest(placement="home", shopper=str(line["shopper"]), n=3))
        mine = [row for row in rows if row["shopper"] == line["shopper"]]
        assert [row["sku"] for row in mine] == [item.sku for item in slate.items]
        assert {row["request_id"] for row in mine} == {line["request_id"]}
    seen = {str(pk) for pk in Exposure.objects.values_list("request_id", flat=True)}
    assert seen == {line["request_id"] for line in lines}, "a click on the mail can be counted"
    assert not list(exports.exports_dir().glob("*.parts"))


def test_a_killed_export_goes_on_and_shows_no_half_file(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = exports.export_create(placement="home")
    write, worked = exports._shard_write, list[int]()

    def dies(*args: Any) -> None:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(args[1])
        write(*args)

    monkeypatch.setattr(exports, "_shard_write", dies)
    with pytest.raises(KeyboardInterrupt):
        exports.export_run(job_id=job.pk)
    assert not [path for path in exports.exports_dir().iterdir() if path.is_file()]
    with pytest.raises(NotFound):
        exports.export_file(job_id=job.pk, format="csv")
    worked_before = list(worked)

    def goes_on(*args: Any) -> None:
        worked.append(args[1])
        write(*args)

    monkeypatch.setattr(exports, "_shard_write", goes_on)
    assert exports.export_run(job_id=job.pk) is not None
    assert not set(worked_before) & set(worked[len(worked_before) :]), "no shard twice"
    assert [line["shopper"] for line in read(job.pk)[1]] == [n for n in NAMES if n not in ("c03", "c04")]


def test_old_files_go(shop: Path) -> None:
    done = exports.export_run(job_id=exports.export_create(placement="home", last="c01").pk)
    assert done is not None
    assert exports.exports_prune(days=30) == 0
    old = exports.export_file(job_id=done.pk, format="csv")
    os.utime(old, (0, 0))
    assert exports.exports_prune(days=30) == 1
    assert not old.exists()


def test_the_command_writes_and_refuses(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_slates", "home", first="c08")
    said = capsys.readouterr().out.splitlines()
    assert [Path(line).suffix for line in said[1:]] == [".csv", ".jsonl"]
    with pytest.raises(CommandError, match="placement"):
        call_command("export_slates", "nowhere")
    with pytest.raises(InvalidInput):
        exports.export_create(placement="home", n=0)
    with pytest.raises(InvalidInput):
        exports.export_create(placement="home", first="c5", last="c1")
