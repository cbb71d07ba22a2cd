"""Feeds as shops send them: encodings, separators, formats, and every bad row named."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.catalog.feeds import feed_parse, text_decode
from apps.catalog.imports import feed_import_create, feed_import_run, feed_upload
from apps.catalog.models import FeedImport, Product
from apps.catalog.reports import cell_safe, report_find
from apps.core.errors import InvalidInput, NotFound
from apps.jobs.models import Job, JobStatus

CSV = "sku,title,price,colour\nm1,Red mug,9.50,red\nm2,Blue mug,8,blue\n"


def parse(tmp_path: Path, content: str | bytes, name: str = "feed.csv") -> Any:
    """Parse content as a file of that name."""
    place = tmp_path / name
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return feed_parse(path=place)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_in_any_encoding_and_separator(tmp_path: Path, encoding: str, separator: str) -> None:
    title = "红色羊毛围巾" if encoding == "gb18030" else "Crème brûlée für zwei"
    text = separator.join(["sku", "title", "price"]) + "\r\n" + separator.join(["a", title, "9.5"]) + "\r\n"
    parsed = parse(tmp_path, text.encode(encoding))
    assert parsed.frame["title"].tolist() == [title]
    assert parsed.frame["price"].tolist() == [9.5]
    assert parsed.separator == separator
    assert not parsed.errors


def test_a_filled_sale_price_is_the_price_and_the_other_what_it_was(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "id,title,price,sale_price\na,A,10 EUR,7 EUR\nb,B,10 EUR,\n")
    assert parsed.frame["price"].tolist() == [7.0, 10.0]
    assert parsed.frame["list_price"].fillna(0).tolist() == [10.0, 0.0]
    assert parsed.columns["sale_price"] == "price"
    alone = parse(tmp_path, "id,title,sale_price\na,A,7\n")
    assert alone.frame["price"].tolist() == [7.0]


def test_columns_are_known_by_other_names_and_unknown_ones_become_attributes(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        "Product ID;Name;Image-Link;Quantity;attr_size;Material\np1;Mug;https://x.example/a.png;5;L;\n",
    )
    row = parsed.frame.iloc[0]
    assert (row["sku"], row["title"], row["image_url"], row["stock"]) == (
        "p1",
        "Mug",
        "https://x.example/a.png",
        5,
    )
    assert json.loads(row["attributes"]) == {"size": "L"}
    assert parsed.columns["Quantity"] == "stock"
    assert parsed.columns["attr_size"] == "attributes.size"


def test_our_own_name_wins_over_an_alias(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "id,sku,title\n7,real,Mug\n")
    assert parsed.frame["sku"].tolist() == ["real"]
    assert json.loads(parsed.frame["attributes"].iloc[0]) == {"id": "7"}


def test_lines_are_those_of_the_file_also_after_quoted_line_breaks(tmp_path: Path) -> None:
    text = 'sku,title,price\na,"Two\nlines",1\n\nb,Mug,oops\nc,Mug\nd,Mug,4\na,Again,5\n'
    parsed = parse(tmp_path, text)
    assert parsed.frame["sku"].tolist() == ["a", "d"]
    assert parsed.frame["line"].tolist() == [2, 7]
    assert [(error.line, error.field) for error in parsed.errors] == [(5, "price"), (6, "line"), (8, "sku")]
    assert "line 2" in parsed.errors[2].remedy
    assert parsed.rows == 5


def test_json_lines_and_a_json_array(tmp_path: Path) -> None:
    rows = [
        {"sku": "a", "title": "Mug", "price": 9.5, "attributes": {"x": 1}, "tags": ["t"]},
        {"sku": "b", "title": "Cup"},
    ]
    lines = "\n".join(json.dumps(row) for row in rows) + "\nnot json\n5\n"
    parsed = parse(tmp_path, lines, "feed.jsonl")
    assert parsed.frame["sku"].tolist() == ["a", "b"]
    assert json.loads(parsed.frame["attributes"].iloc[0]) == {"x": 1, "tags": ["t"]}
    assert [(error.line, error.field) for error in parsed.errors] == [(3, "line"), (4, "line")]
    assert parsed.rows == 4
    assert parse(tmp_path, json.dumps(rows), "feed.json").frame["sku"].tolist() == ["a", "b"]


def test_parquet(tmp_path: Path) -> None:
    place = tmp_path / "feed.parquet"
    pd.DataFrame({"sku": [1, 2], "title": ["Mug", None], "price": [1.5, 2.0], "weight": [3, 4]}).to_parquet(
        place
    )
    parsed = feed_parse(path=place)
    assert parsed.frame["sku"].tolist() == ["1"]
    assert json.loads(parsed.frame["attributes"].iloc[0]) == {"weight": 3}
    assert [(error.line, error.field) for error in parsed.errors] == [(2, "title")]


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("a.csv", "", "file"),
        ("a.csv", "foo,bar\n1,2\n", "columns"),
        ("a.csv", "sku,sku,title\n1,2,3\n", "columns"),
        ("a.jsonl", "", "file"),
        ("a.json", "[{", "file"),
        ("a.parquet", "PAR1 nope", "file"),
        ("a.exe", "x", "file"),
    ],
)
def test_a_file_that_is_no_feed_says_why(tmp_path: Path, name: str, content: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(tmp_path, content, name)
    assert caught.value.field == field
    assert caught.value.remedy


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_decoded(content: bytes) -> None:
    text, encoding = text_decode(content)
    assert isinstance(text, str)
    assert encoding


@settings(max_examples=40, deadline=None)
@given(content=st.text(alphabet='ab,;"\n\r 5é红|', max_size=60))
def test_any_text_is_parsed_or_refused_and_no_row_is_lost(tmp_path_factory: Any, content: str) -> None:
    place = tmp_path_factory.mktemp("feed")
    try:
        parsed = parse(place, "sku,title,x\n" + content)
    except InvalidInput:
        return
    assert len(parsed.frame) + len(parsed.errors) == parsed.rows


def test_cells_can_not_run_in_a_spreadsheet() -> None:
    for bad in ("=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "  =x"):
        assert str(cell_safe(bad)).startswith("'")
    for fine in ("red", "-5", "+5.2", "", "a=b", 7):
        assert cell_safe(fine) == fine


@pytest.mark.django_db
def test_an_import_lands_reports_and_repeats(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path / "shop"
    place = tmp_path / "feed.csv"
    place.write_text(CSV + "m3,Cup,=1+1,\n", encoding="utf-8")
    _feed, job = feed_import_create(file_name=place.name, path=place)
    done = feed_import_run(job_id=job.pk)
    assert done is not None
    assert (done.rows, done.inserted, done.rejected) == (3, 2, 1)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE
    assert job.result["inserted"] == 2
    report = pd.read_csv(report_find(done.report_path), encoding="utf-8-sig")
    assert report.to_dict("records") == [
        {"line": 4, "field": "price", "value": "'=1+1", "remedy": "Write a number like 1234.50."}
    ]
    assert feed_import_run(job_id=job.pk) is None  # a redelivered message does nothing
    _feed, second = feed_import_create(file_name=place.name, path=place)
    again = feed_import_run(job_id=second.pk)
    assert again is not None
    assert (again.inserted, again.updated, again.unchanged, again.rejected) == (0, 0, 2, 1)
    with pytest.raises(NotFound):
        report_find("/etc/passwd")


@pytest.mark.django_db
def test_a_broken_file_fails_its_job_with_the_reason(tmp_path: Path) -> None:
    place = tmp_path / "feed.csv"
    place.write_text("a,b\n1,2\n", encoding="utf-8")
    _feed, job = feed_import_create(file_name=place.name, path=place)
    with pytest.raises(InvalidInput):
        feed_import_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert "sku" in job.error


@pytest.mark.django_db
def test_an_upload_is_kept_and_registered(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path
    job = feed_upload(file_name="../../evil.csv", content=io.BytesIO(CSV.encode()))
    feed = FeedImport.objects.get(job_id=job.pk)
    assert Path(feed.path).parent == tmp_path / "uploads"
    assert feed.file_name == "evil.csv"
    assert feed_import_run(job_id=job.pk)
    with pytest.raises(InvalidInput):
        feed_upload(file_name="a.exe", content=io.BytesIO(b""))
    assert len(list((tmp_path / "uploads").iterdir())) == 1


@pytest.mark.django_db
def test_the_command_prints_one_json_object_last(tmp_path: Path, settings: Any, capsys: Any) -> None:
    settings.SHOP_DIR = tmp_path
    place = tmp_path / "feed.csv"
    place.write_text(CSV, encoding="utf-8")
    call_command("import_products", str(place), "--json")
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["inserted"] == 2
    assert {"rows", "inserted", "updated", "unchanged", "rejected", "report", "seconds"} == set(answer)
    assert Product.objects.get(sku="m1").attributes == {"colour": "red"}
    assert Job.objects.get().status == JobStatus.DONE
    with pytest.raises(CommandError):
        call_command("import_products", str(tmp_path / "gone.csv"))
