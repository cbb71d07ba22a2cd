"""Seeding a shop through the real services, once and again; truths come back as they went in."""

from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_forget
from apps.accounts.services import shop_settings_update
from apps.catalog.models import Category, Product, ProductText
from apps.core import clock
from apps.events.models import EventKind, Interaction, Review, Shopper
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.packs.shop import picture_folder
from apps.portal.demo.seeding import Seeded, demo_seed
from apps.portal.demo.truth import stage_load, truth_of, world_head
from apps.portal.demo.world import world_build
from apps.portal.management.commands.demo import Command
from apps.portal.models import DemoTruth
from apps.portal.stack import Stack, StackError
from recoportal.env import BASE_DIR
from tests.portal.demo.conftest import END
from tests.processes import child_environment

pytestmark = pytest.mark.django_db


def seed() -> Seeded:
    """A tiny shop."""
    return demo_seed(size=Size(150, 80, 20, 9), end=END)


@pytest.fixture(autouse=True)
def _media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def test_everything_lands_and_a_second_run_adds_nothing() -> None:
    done = seed()
    rows = [Product, ProductText, Shopper, Interaction, Review, DemoTruth]
    counts = [model._default_manager.count() for model in rows]

    assert done.fresh
    assert counts[:3] == [150, 150, 80]
    assert counts[3] == done.events > 1_000
    assert counts[4] == done.reviews
    assert len(list(picture_folder().glob("*.svg"))) == done.pictures == 150
    assert EventKind.objects.filter(code__in=["coupon", "sponsored_impression"], weight=0).count() == 2
    mugs = Category.objects.get(path="Home > Kitchen > Mugs")
    assert mugs.names["zh-hans"] == "杯子"

    again = seed()

    assert not again.fresh
    assert again.pictures == 0
    assert [model._default_manager.count() for model in rows] == counts


def test_lost_pictures_are_drawn_again_as_they_were() -> None:
    seed()
    before = {path.name: path.read_text(encoding="utf-8") for path in picture_folder().iterdir()}
    for path in list(picture_folder().iterdir())[:40]:
        path.unlink()

    assert seed().pictures == 40
    assert {path.name: path.read_text(encoding="utf-8") for path in picture_folder().iterdir()} == before
    urls = set(Product.objects.values_list("image_url", flat=True))
    assert urls == {f"/media/demo/{name}" for name in before}


def test_an_interrupted_seeding_is_taken_up() -> None:
    seed()
    DemoTruth.objects.all().delete()
    events = Interaction.objects.count()

    done = seed()

    assert done.fresh
    assert Interaction.objects.count() == events
    assert world_head() is not None


def test_the_simulators_minds_are_those_that_made_the_history() -> None:
    seed()
    world = world_build(end=END, seed=9, products=150, shoppers=80, days=20)
    stage = stage_load()
    users, items = np.arange(80), np.tile(np.arange(150), (80, 1))
    day = np.full(80, world.horizon, dtype=np.float32)

    assert stage.skus == world.products["sku"].tolist()
    assert stage.day_of(END) == pytest.approx(world.horizon)
    np.testing.assert_allclose(
        stage.minds.wanting(users, items, day), world.minds.wanting(users, items, day), atol=0.01
    )
    np.testing.assert_array_equal(stage.minds.owned, world.minds.owned)
    assert len(stage_load(shoppers=10).shoppers) == 10
    assert truth_of("review") == {key: {"aspects": said} for key, said in world.reviews.truths.items()}
    assert set(truth_of("coupon")) == {"C1", "C2", "C3", "C4"}


def test_shop_that_somebody_runs_is_refused_and_gets_no_demo_logins() -> None:
    User.objects.create_user("owner", password="x")
    with pytest.raises(CommandError, match="not the demo"):
        call_command("seed_demo", products=150, shoppers=80, days=20)
    assert not Product.objects.exists()
    User.objects.all().delete()
    shop_settings_update(set_up_at=clock.now())
    shop_settings_forget()
    with pytest.raises(CommandError, match="not the demo"):
        call_command("seed_demo", products=150, shoppers=80, days=20)
    assert not Product.objects.exists()


@pytest.mark.slow
def test_demo_gives_a_foreign_shop_no_logins(
    committed_db: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    User.objects.create_user("owner", password="x")
    for name, value in child_environment().items():
        monkeypatch.setenv(name, value)
    demo = Command()
    demo.seconds = {}
    with pytest.raises(StackError, match="seed_demo --pack shop ended with code 1"):
        demo.start(Stack(data_dir=tmp_path, root=BASE_DIR, say=print))
    assert list(User.objects.values_list("username", flat=True)) == ["owner"]
