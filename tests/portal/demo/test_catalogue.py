"""Generated products: complete, believable, the same for the same seed."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from apps.catalog.cleaning import products_clean
from apps.portal.demo.catalogue import Catalogue, catalogue_build
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.world import PRODUCTS, World
from tests.portal.demo.conftest import END

CHINESE = re.compile(r"[\u4e00-\u9fff]")
TWICE = re.compile(r"\b(\w{4,}) \1\b")


@pytest.fixture(scope="module")
def whole() -> Catalogue:
    return catalogue_build(
        count=PRODUCTS, start=END - timedelta(days=90), days=90, rng=np.random.default_rng(1)
    )


def test_counts_tree_and_languages(whole: Catalogue) -> None:
    frame = whole.products
    assert len(frame) == PRODUCTS >= 2000
    assert frame["sku"].is_unique
    assert frame["category"].nunique() == len(vocabulary().leaves) >= 30
    assert frame["category"].value_counts().min() >= 20
    assert frame["title_zh_hans"].str.contains(CHINESE).all()
    assert frame["description_zh_hans"].str.contains(CHINESE).all()
    assert not (frame["title"] + frame["description"]).str.contains(CHINESE).any()
    assert set(frame["currency"]) == {"EUR"}


def test_the_feed_passes_the_importers_own_checks(whole: Catalogue) -> None:
    clean, errors = products_clean(frame=whole.products, zone=ZoneInfo("UTC"))
    assert errors == []
    assert len(clean) == len(whole.products)


def test_sentences_are_whole(whole: Catalogue) -> None:
    text = whole.products["description"]
    assert not text.str.contains(r"[{}\x00]|  ").any()
    assert text.str.count(r"[.]").min() >= 3
    assert not text.str.contains(r"\b[Aa] [aeio]").any(), "an article before a vowel"
    assert not text.map(lambda line: bool(TWICE.search(line))).any()
    assert text.str.match("[A-Z]").all()


def test_no_product_is_made_of_what_its_kind_is_not_made_of(whole: Catalogue) -> None:
    for look, (_, row) in zip(whole.looks, whole.products.iterrows(), strict=True):
        leaf, attributes = look.leaf, row["attributes"]
        assert row["category"] == leaf.path
        assert attributes[leaf.facet_name] in {facet.en for facet in leaf.facets}
        assert look.style in leaf.styles
        assert look.brand.makes(leaf)
        assert ("colour" in attributes) == bool(leaf.colours)
        if look.colour:
            assert look.colour.code in leaf.colours
        if "size" in attributes:
            assert attributes["size"] in {size.en for size in leaf.sizes}


def test_prices_are_believable(whole: Catalogue) -> None:
    frame = whole.products
    cents = (frame["price"] * 100).round().astype(int) % 100
    assert set(cents) <= {95, 99, 49}
    assert (frame["cost"] < frame["price"]).mean() > 0.98
    assert (frame["cost"] > 0).all()
    reduced = frame[frame["attributes"].map(lambda attributes: "promotion" in attributes)]
    assert 0.02 < len(reduced) / len(frame) < 0.25
    assert (reduced["price"] < reduced["list_price"]).all()
    assert frame["list_price"].count() == len(reduced), "only what is on promotion cost more before"
    means = frame.groupby(frame["brand"].map({b.name: b.tier for b in vocabulary().brands}))["price"].mean()
    assert means[1] < means[3]


def test_stock_arrivals_and_variants(whole: Catalogue) -> None:
    frame = whole.products
    assert 0.02 < (frame["stock"] == 0).mean() < 0.1
    assert 0.03 < frame["stock"].between(1, 4).mean() < 0.15
    assert 0.03 < (frame["created_at"] > END - timedelta(days=28)).mean() < 0.25
    assert (frame["created_at"] <= END).all()
    groups = frame[frame["group_key"] != ""].groupby("group_key")
    assert groups.size().between(2, 4).all()
    assert (groups["category"].nunique() == 1).all()
    assert (groups["brand"].nunique() == 1).all()


def test_the_seed_decides(world: World) -> None:
    def build(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        return catalogue_build(count=300, start=world.start, days=60, rng=rng).products

    pd.testing.assert_frame_equal(build(7), build(7))
    assert build(7)["title"].tolist() != build(8)["title"].tolist()
