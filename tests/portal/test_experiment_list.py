"""The list of experiments, what is done from it, trials in History, the warning before publishing."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.experiments.models import Experiment, ExperimentStatus, Readout
from apps.experiments.services import experiment_decide, experiment_launch
from apps.merchandising.services import draft_save
from tests.portal.experiment_forms import draft_make
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> SmallShop:
    return small_shop_make()


@pytest.fixture
def browser(client_of: ClientOf, maya: User, shop: SmallShop) -> Client:
    return client_of(maya)


def launched(code: str = "taste") -> Experiment:
    return experiment_launch(actor=None, experiment_id=draft_make(code).pk)


def test_an_empty_list_has_one_button(browser: Client) -> None:
    body = browser.get("/experiments/").content.decode()
    assert "No experiment yet" in body
    assert body.count("Design the first experiment") == 1
    assert 'data-go="e"' in body


def test_lines_say_state_days_verdict_light_and_shoppers(browser: Client) -> None:
    made = launched()
    draft_make("idle")
    Readout.objects.create(
        experiment=made,
        computed_at=timezone.now(),
        units=1234,
        analysis={"srm": {"alarm": "warning"}, "verdict": {"action": "ship", "variant": "b"}},
    )
    body = browser.get("/experiments/").content.decode()
    for words in ("Ship Taste", "Look into it", "1,234", "14 days left", "A/B test · Home page", "Running"):
        assert words in body, words
    assert body.index("Taste</strong>") < body.index("Idle</strong>")
    assert "/experiments/idle/design/" in body
    experiment_decide(actor=None, experiment_id=made.pk, decision="roll_back")
    body = browser.get("/experiments/?state=ended").content.decode()
    assert "Rolled back" in body
    assert "Idle" not in body
    assert "No experiment is in this state" in browser.get("/experiments/?state=paused").content.decode()
    assert "Idle" in browser.get("/experiments/?where=home&state=draft").content.decode()
    assert "Idle" not in browser.get("/experiments/?where=cart").content.decode()


def test_a_draft_goes_only_by_its_name(browser: Client) -> None:
    draft_make()
    assert "Its design goes for good." in browser.get("/experiments/taste/ask/delete/").content.decode()
    body = browser.post("/experiments/taste/do/delete/", {"typed": "taste"}).content.decode()
    assert "That is not the name" in body
    assert Experiment.objects.exists()
    assert browser.post("/experiments/taste/do/delete/", {"typed": "Taste"}).status_code == 302
    assert not Experiment.objects.exists()


def test_what_runs_is_never_deleted_and_pauses_by_the_dialog_of_its_page(browser: Client) -> None:
    made = launched()
    assert browser.get("/experiments/taste/ask/delete/").status_code == 404
    assert "/experiments/taste/act/pause/" in browser.get("/experiments/").content.decode()
    answer = browser.post("/experiments/taste/act/pause/now/", {"note": "a sale"})
    assert answer["Location"] == "/experiments/taste/"
    made.refresh_from_db()
    assert made.status == "paused"
    assert "/experiments/taste/act/resume/" in browser.get("/experiments/").content.decode()
    for what in ("pause", "resume", "end", "anything"):  # one way only
        assert browser.get(f"/experiments/taste/ask/{what}/").status_code == 404
        assert browser.post(f"/experiments/taste/do/{what}/").status_code == 404


def test_a_copy_is_a_draft_of_its_own(browser: Client) -> None:
    launched()
    answer = browser.post("/experiments/taste/do/copy/", {"name": "Taste again"})
    assert answer["Location"] == "/experiments/taste-again/design/"
    copy = Experiment.objects.get(code="taste-again")
    assert copy.status == ExperimentStatus.DRAFT
    assert [one.code for one in copy.variants.all()] == ["control", "b"]


def test_history_labels_trials_and_offers_no_return_to_them(browser: Client) -> None:
    launched()
    body = browser.get("/history/?placement=home&only=1").content.decode()
    entry = body.partition('rp-num">#2<')[2].partition("</li>\n        \n")[0].partition('rp-num">#1<')[0]
    assert "For an experiment" in entry
    assert '<a href="/experiments/taste/">Taste</a>' in entry
    assert "Taste match: weight from 0.50 to 0.90" in entry
    assert "Return to #2" not in body


def test_publishing_under_an_experiment_is_warned_of(browser: Client, shop: SmallShop) -> None:
    draft_save(placement=shop.home, revision=0, weights={"popular": 1.0})
    asked = "/draft/publish/?placement=home&shopper=shopper-1"
    assert "is testing this placement" not in browser.get(asked).content.decode()
    launched()
    body = browser.get(asked).content.decode()
    assert "“Taste” is testing this placement." in body
    assert "reaches only shoppers who take no part" in body


def test_others_look_only(client_of: ClientOf, ana: User, mel: User, shop: SmallShop) -> None:
    draft_make()
    for person in (ana, mel):
        browser = client_of(person)
        body = browser.get("/experiments/").content.decode()
        assert "Taste" in body
        assert "New experiment" not in body
        assert "that needs the merchandiser role" in body
        assert browser.post("/experiments/taste/do/delete/", {"typed": "Taste"}).status_code == 403
    assert Experiment.objects.exists()
