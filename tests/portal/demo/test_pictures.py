"""Every product has a picture of its own kind."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.pictures import picture, pictures_write
from apps.portal.demo.world import World


def test_pictures_are_small_well_formed_and_quite_distinct(world: World) -> None:
    drawn = [picture(look) for look in world.catalogue.looks]
    assert max(map(len, drawn)) < 16_000
    for svg in drawn:
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert len(set(drawn)) > 0.97 * len(drawn)


def test_a_colour_a_style_and_a_category_each_show(world: World) -> None:
    colours, styles = vocabulary().colours, vocabulary().styles
    for leaf in vocabulary().leaves:
        look = next(look for look in world.catalogue.looks if look.leaf is leaf)
        hues = {picture(replace(look, pack=colours[code])) for code in (leaf.colours or leaf.pack)}
        assert len(hues) == len(leaf.colours or leaf.pack)
        looks = {picture(replace(look, style=style, style_name=styles[style])) for style in leaf.styles}
        assert len(looks) == len(leaf.styles)
    plain = replace(world.catalogue.looks[0], style="minimal", pack=colours["navy"], size=None)
    kinds = Counter(
        picture(replace(plain, leaf=leaf, noun=0)).split("</defs>")[1] for leaf in vocabulary().leaves
    )
    assert set(kinds.values()) == {1}


def test_every_shape_draws_all_its_forms_and_turns(world: World) -> None:
    for leaf in vocabulary().leaves:
        look = next(look for look in world.catalogue.looks if look.leaf is leaf)
        for noun in range(len(leaf.nouns)):
            forms = {picture(replace(look, noun=noun, series=series)) for series in vocabulary().series[:24]}
            assert len(forms) > 4


def test_writing_again_changes_no_file(world: World, tmp_path: Path) -> None:
    skus = world.products["sku"].tolist()
    assert pictures_write(skus=skus, looks=world.catalogue.looks, folder=tmp_path) == len(skus)
    assert pictures_write(skus=skus, looks=world.catalogue.looks, folder=tmp_path) == 0
    assert {path.stem for path in tmp_path.iterdir()} == set(skus)
