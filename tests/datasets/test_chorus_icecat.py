"""Electronics with thousands of attributes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from apps.catalog.models import Product
from apps.core.errors import InvalidInput
from apps.datasets.adapters.chorus_icecat import frames_load
from apps.datasets.services import dataset_import
from tests.factories.datasets import shared_file

GOOD = {
    "id": "1", "title": "HP 80 Cyan", "name": "80", "supplier": "HP", "price": 12595, "ean": ["088"],
    "date_released": "2006-07-01T00:00:00Z", "img_500x500": "http://img.example/1.jpg",
    "short_description": "Ink", "attr_t_colour": "Cyan", "attr_n_width": 56.0, "attr_b_rohs": "True",
}  # fmt: skip


def write(tmp_path: Path, *rows: Any) -> Path:
    """A gzipped file of these rows (objects, or raw text)."""
    place = tmp_path / "products.jsonl.gz"
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    place.write_bytes(gzip.compress(text.encode()))
    return place


@pytest.mark.django_db
def test_products_land_with_their_attributes_and_bad_lines_are_counted(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path
    place = write(
        tmp_path, GOOD, GOOD, "{", "[]", GOOD | {"id": ""}, GOOD | {"id": "2", "title": ""},
        GOOD | {"id": "3", "price": 0}, GOOD | {"id": "4", "price": "free"},
        GOOD | {"id": "5", "date_released": "?"},
    )  # fmt: skip
    result = dataset_import(name="chorus-icecat", path=place)
    assert result.skipped == {
        "repeated_id": 1, "unreadable_line": 2, "no_id": 1, "no_title": 1, "bad_price": 2, "bad_date": 1,
    }  # fmt: skip
    assert result.rows == result.products + sum(result.skipped.values()) == 9
    product = Product.objects.get()
    assert (product.brand, str(product.price), product.first_seen_at.year) == ("HP", "125.95", 2006)
    assert product.attributes == {"colour": "Cyan", "width": 56.0, "rohs": True, "ean": ["088"]}
    again = dataset_import(name="chorus-icecat", path=place)
    assert again.products == 0
    assert again.skipped["already_stored"] == 1


def test_a_file_that_is_not_gzip_says_so(tmp_path: Path) -> None:
    place = tmp_path / "products.jsonl.gz"
    place.write_text("plain", encoding="utf-8")
    with pytest.raises(InvalidInput):
        frames_load(place)


@pytest.mark.real_data
def test_the_real_file_is_read_whole() -> None:
    frames = frames_load(shared_file("chorus-icecat", "products.jsonl.gz"))
    assert (frames.rows, len(frames.products), len(frames.skipped)) == (19_406, 19_406, 0)
    assert frames.products["sku"].is_unique
