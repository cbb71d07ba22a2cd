"""The simulator against the real site over HTTP."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.accounts.services import api_client_create
from apps.core import clock
from apps.events.models import Exposure, Interaction
from apps.merchandising.services import placements_ensure
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.seeding import demo_seed
from apps.serving.batch import lists_missing_build
from recoportal.client import ApiError, RecoPortal
from tests.processes import RealProcess, free_port


@pytest.fixture
def shop(live_site: RealProcess, settings: Settings, tmp_path: Path) -> tuple[str, str]:
    """A small demo shop behind a running site: its address and a key."""
    settings.MEDIA_ROOT = tmp_path
    demo_seed(size=Size(150, 150, 20, 5), end=clock.now())
    placements_ensure()
    _, key = api_client_create(name="storefront", scopes=("recommend", "events"))
    return live_site.url, key


def simulate(*arguments: str) -> dict[str, Any]:
    """Run the command; returns its last line."""
    out = StringIO()
    call_command("simulate_traffic", *arguments, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_shoppers_come_look_and_report(shop: tuple[str, str], live_site: RealProcess) -> None:
    url, key = shop
    before = Interaction.objects.count()

    tally = simulate("--base-url", url, "--api-key", key, "--sessions", "12", "--rate", "0", "--json")

    assert tally["sessions"] == 12
    new = Interaction.objects.filter(session__startswith="sim-")
    assert Interaction.objects.count() - before == new.count() == tally["events"]
    # The site writes them a moment after its answers.
    live_site.wait_until("exposures", lambda: Exposure.objects.count() == tally["slates"])
    served = set(Exposure.objects.values_list("request_id", flat=True))
    assert set(new.values_list("request_id", flat=True)) <= served
    assert new.filter(shopper_id__isnull=False).exists()


def test_policies_are_compared_without_leaving_events(shop: tuple[str, str]) -> None:
    url, key = shop
    before = Interaction.objects.count()

    report = simulate("--url", url, "--api-key", key, "--compare", "120")

    assert Interaction.objects.count() == before
    assert list(report["policies"]) == ["true_taste", "api", "popular", "random"]


@pytest.mark.slow
def test_over_http_purchases_order_truth_then_models_then_best_sellers_then_chance(
    live_site: RealProcess, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    demo_seed(size=Size(600, 900, 60, 5), end=clock.now())
    placements_ensure()
    call_command("train_now", recipes="popular,als,ease", inline=True, stdout=StringIO())
    lists_missing_build()

    report = simulate("--base-url", live_site.url, "--compare", "300", "--seed", "3")

    for pair, (_, low, _high) in report["differences"].items():
        assert low > 0, f"{pair}: {report}"


def test_without_a_key_the_simulator_makes_its_own(shop: tuple[str, str]) -> None:
    url, _ = shop
    for _again in range(2):
        tally = simulate("--base-url", url, "--sessions", "1", "--rate", "0", "--json", "--policy", "random")
        assert tally["sessions"] == 1
    assert not Interaction.objects.filter(session__startswith="sim-", request_id__isnull=False).exists()


@pytest.mark.django_db
def test_without_a_demo_shop_the_command_says_what_to_do() -> None:
    with pytest.raises(CommandError, match="seed_demo"):
        call_command("simulate_traffic", "--sessions", "1")


def test_a_shop_that_stays_away_is_given_up() -> None:
    client = RecoPortal(f"http://127.0.0.1:{free_port()}", "key", patience=0.5)
    with pytest.raises(ApiError, match="refused"):
        client.slate("home")
