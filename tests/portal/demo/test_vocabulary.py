"""The words of the demo shop are complete and consistent."""

import re

import pytest

from apps.portal.demo.leaves import Leaf, vocabulary
from apps.portal.demo.pictures import SHAPES

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LEAVES = vocabulary().leaves


def test_the_tree_has_many_leaves_under_few_departments() -> None:
    paths = [leaf.path for leaf in LEAVES]
    assert len(paths) == len(set(paths)) >= 30
    assert len({path.split(" > ")[0] for path in paths}) <= 10


def test_every_node_of_the_tree_has_a_chinese_name() -> None:
    nodes = {
        " > ".join(leaf.path.split(" > ")[: depth + 1])
        for leaf in LEAVES
        for depth in range(len(leaf.path.split(" > ")))
    }
    assert nodes == set(vocabulary().categories)
    assert all(CHINESE.search(name) for name in vocabulary().categories.values())


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_a_leaf_is_complete(leaf: Leaf) -> None:
    words = vocabulary()
    assert leaf.code in SHAPES
    assert bool(leaf.colours) != bool(leaf.pack), "a product has a colour of its own or coloured packaging"
    assert set(leaf.colours) | set(leaf.pack) <= set(words.colours)
    assert set(leaf.styles) <= set(words.styles)
    assert set(leaf.life) <= {life.code for life in words.lifestyles}
    assert set(leaf.goes_with) <= {other.code for other in LEAVES} - {leaf.code}
    assert sum(brand.makes(leaf) for brand in words.brands) >= 3
    assert leaf.price[0] < leaf.price[1]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_each_phrase_is_written_in_both_languages(leaf: Leaf) -> None:
    for phrase in (*leaf.nouns, *leaf.details, *leaf.uses, *leaf.care):
        assert phrase.en
        assert not CHINESE.search(phrase.en)
        assert CHINESE.search(phrase.zh) or phrase.zh == phrase.en
    for sentence in (*leaf.uses, *leaf.care):
        assert sentence.en.endswith(".")
        assert sentence.zh.endswith("。")


def test_every_brand_makes_something() -> None:
    idle = [brand.name for brand in vocabulary().brands if not any(brand.makes(leaf) for leaf in LEAVES)]
    assert idle == []
