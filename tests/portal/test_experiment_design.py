"""The design of an experiment: each step keeps, refuses at its field and loses nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.experiments.models import Experiment, ExperimentStatus, VariantPublication
from apps.experiments.services import experiment_launch, variants_set
from apps.merchandising.models import Publication
from apps.merchandising.services import draft_save
from tests.portal.experiment_forms import IDEA, audience_form, draft_make, metrics_form, variants_form
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> SmallShop:
    return small_shop_make()


@pytest.fixture
def browser(client_of: ClientOf, maya: User, shop: SmallShop) -> Client:
    return client_of(maya)


def test_five_steps_design_and_launch(browser: Client, shop: SmallShop) -> None:
    answer = browser.post("/experiments/new/save/", IDEA)
    assert answer["Location"] == "/experiments/more-taste/design/variants/?template=blend"
    assert "What do you want to test?" in browser.get("/experiments/more-taste/design/").content.decode()
    for step, form, after in (
        ("variants", variants_form(), "audience"),
        ("audience", audience_form(ramp="careful"), "metrics"),
        ("metrics", metrics_form(), "check"),
    ):
        assert browser.get(f"/experiments/more-taste/design/{step}/").status_code == 200
        answer = browser.post(f"/experiments/more-taste/design/{step}/save/", form)
        assert answer.status_code == 302, answer.content.decode()
        assert answer["Location"] == f"/experiments/more-taste/design/{after}/"
    body = browser.get("/experiments/more-taste/design/check/").content.decode()
    assert "50% “As it is”, 50% “Taste” of the shoppers" in body
    assert "No two variants show the same." in body
    assert browser.post("/experiments/more-taste/design/launch/").status_code == 302
    made = Experiment.objects.get(code="more-taste")
    assert (made.status, made.traffic, made.primary) == ("running", 0.01, "cart_rate")
    assert made.guardrails == [{"metric": "sessions_per_shopper", "margin": 0.02}]
    shown = VariantPublication.objects.get(variant__experiment=made, variant__code="b").publication
    assert shown.trial
    assert (shown.weights["als"], shown.weights["ease"]) == (0.9, 0.1)
    assert browser.get("/experiments/more-taste/design/")["Location"] == "/experiments/more-taste/"


def test_an_idea_without_a_name_comes_back_as_it_was_typed(browser: Client) -> None:
    body = browser.post("/experiments/new/save/", IDEA | {"name": ""}).content.decode()
    assert "This field is required." in body
    assert IDEA["hypothesis"] in body
    assert not Experiment.objects.exists()


def test_two_ideas_of_one_name_get_codes_of_their_own(browser: Client) -> None:
    for _ in range(2):
        browser.post("/experiments/new/save/", IDEA)
    browser.post("/experiments/new/save/", IDEA | {"name": "更多口味"})
    browser.post("/experiments/new/save/", IDEA | {"name": "New"})
    codes = set(Experiment.objects.values_list("code", flat=True))
    assert codes == {"more-taste", "more-taste-2", "experiment", "new-2"}


WRONG_VARIANTS: list[tuple[dict[str, str], str]] = [
    ({"v.1.share": "40"}, "The shares add up to 90 %, not to 100."),
    ({"v.1.share": "half"}, "Give a number, such as 50."),
    ({"v.1.name": ""}, "Give it a name that says what is different."),
    ({"v.1.b.home.w.als": "7"}, "Give a number from 0 to 1."),
    ({"v.1.b.home.page_size": "1000"}, "Give a whole number from 1 to 100."),
]


def test_a_wrong_variant_is_refused_at_its_field(browser: Client) -> None:
    draft_make(weight=None)
    for changes, words in WRONG_VARIANTS:
        answer = browser.post("/experiments/taste/design/variants/save/", variants_form(**changes))
        body = answer.content.decode()
        assert answer.status_code == 200
        assert words in body.replace("&#x27;", "'")
        assert 'value="0.1"' in body
        assert not Publication.objects.filter(trial=True).exists()


def test_a_variant_equal_to_control_is_refused_with_the_remedy(browser: Client, shop: SmallShop) -> None:
    draft_make(weight=None)
    live = shop.home.live_publication
    assert live is not None
    weights = {f"v.1.b.home.w.{code}": str(weight) for code, weight in live.weights.items()}
    body = browser.post("/experiments/taste/design/variants/save/", variants_form(**weights)).content.decode()
    assert "It shows the same as As it is. Change its weights, rules, page size or versions." in body
    assert not Experiment.objects.get().variants.exists()


def test_the_forms_own_buttons_keep_what_was_typed(browser: Client) -> None:
    draft_make(weight=None)
    form = variants_form(do="add", **{"v.1.name": "Sharp taste"})
    body = browser.post("/experiments/taste/design/variants/shape/", form).content.decode()
    assert 'value="Sharp taste"' in body
    assert body.count('name="rows"') == 3
    assert 'value="33.34"' in body
    form = variants_form(do="drop:1")
    assert (
        browser.post("/experiments/taste/design/variants/shape/", form).content.decode().count('"rows"') == 1
    )
    assert not Experiment.objects.get().variants.exists()


def test_a_start_from_the_studios_draft_takes_its_weights_and_rules(browser: Client, shop: SmallShop) -> None:
    rule = {"id": "r1", "kind": "pin", "position": 2, "target": {"type": "product", "skus": ["P20"]}}
    draft_save(placement=shop.home, revision=0, weights={"popular": 1.0}, rules=[rule])
    draft_make(weight=None)
    form = variants_form(do="from:1:home", **{"v.1.b.home.from": "draft"})
    body = browser.post("/experiments/taste/design/variants/shape/", form).content.decode()
    assert "1 rule differs" in body
    assert "Popularity 0.10 → 1.00" in body
    form = variants_form(**{"v.1.b.home.from": "draft", "v.1.b.home.rule": "r1", "v.1.b.home.w.popular": "1"})
    form = {key: value for key, value in form.items() if key not in ("v.1.b.home.w.als", "v.1.b.home.w.ease")}
    assert browser.post("/experiments/taste/design/variants/save/", form).status_code == 302
    shown = Publication.objects.get(trial=True)
    assert [one["id"] for one in shown.rules] == ["r1"]
    # Come back to it: the rule is ticked, and it can be left out.
    assert 'value="r1" checked' in browser.get("/experiments/taste/design/variants/").content.decode()
    number = str(shown.number)
    again = form | {"v.1.b.home.from": number}
    del again["v.1.b.home.rule"]
    assert browser.post("/experiments/taste/design/variants/save/", again).status_code == 302
    assert VariantPublication.objects.get(variant__code="b").publication.rules == []


def test_slates_are_laid_side_by_side_and_explained(browser: Client, shop: SmallShop) -> None:
    draft_make()
    body = browser.post("/experiments/taste/design/variants/1/home/", variants_form()).content.decode()
    assert "For shopper shopper-" in body
    assert body.count("data-slate ") + body.count("data-slate>") == 2
    assert "rp-move" in body
    sku = next(sku for sku, one in shop.products.items() if one.title in body.rpartition("data-slate")[2])
    asked = variants_form() | {"shopper": "shopper-1", "sku": sku}
    answer = browser.get("/experiments/taste/design/variants/1/home/why/", asked)
    assert answer.status_code in (200, 400)  # 400: shopper-1 is not who was picked, and is not shown it


WRONG_AUDIENCES: list[tuple[dict[str, str], str]] = [
    ({"layer_from": "60", "layer_to": "40"}, "The slice must end after it begins."),
    ({"traffic": "0"}, "greater than or equal to 0.1"),
    ({"ramp": "own", "ramp_own": "50, 20"}, "Give rising shares that end with 100"),
    ({"layer": "nowhere"}, "Select a valid choice."),
]


def test_a_wrong_audience_is_refused_at_its_field(browser: Client) -> None:
    draft_make()
    for changes, words in WRONG_AUDIENCES:
        body = browser.post(
            "/experiments/taste/design/audience/save/", audience_form(history="new", **changes)
        ).content.decode()
        assert words in body
        assert '<option value="new" selected>' in body
        assert Experiment.objects.get().audience == {}


def test_a_slice_that_is_taken_is_shown_and_refused(browser: Client) -> None:
    other = draft_make("other", layer_from=0, layer_to=6_000)
    experiment_launch(actor=None, experiment_id=other.pk)
    draft_make(layer_from=6_000, layer_to=10_000)
    body = browser.get("/experiments/taste/design/audience/").content.decode()
    assert "0% to 60%" in body
    assert "60% to 100%" in body
    body = browser.post("/experiments/taste/design/audience/save/", audience_form()).content.decode()
    assert "Other holds 0% to 60% of this layer. Free in Main: 60% to 100%." in body
    assert Experiment.objects.get(code="taste").layer_from == 6_000


def test_a_layer_of_its_own_is_made(browser: Client) -> None:
    draft_make(placements=[], weight=None)
    assert (
        browser.post("/experiments/taste/design/audience/save/", audience_form(layer="")).status_code == 302
    )
    assert Experiment.objects.get().layer.code == "taste"


WRONG_METRICS: list[tuple[dict[str, str], str]] = [
    ({"primary": "return_rate"}, "No event of the last 28 days feeds it."),
    ({"guard_cart_rate": "on"}, "It decides already"),
    ({"margin_sessions_per_shopper": ""}, "Say how much loss is still accepted."),
    ({"ends_at": "2020-01-01T00:00"}, "It would end before it starts"),
    ({"emails": "maya@shop.example, nobody"}, "“nobody” is no e-mail address."),
    ({"mde": "0"}, "greater than or equal to 0.01"),
]


def test_wrong_metrics_are_refused_at_their_field(browser: Client) -> None:
    draft_make()
    for changes, words in WRONG_METRICS:
        answer = browser.post(
            "/experiments/taste/design/metrics/save/", metrics_form(planned_days="28", **changes)
        )
        body = answer.content.decode()
        assert words in body
        assert 'value="28"' in body
        assert Experiment.objects.get().planned_days == 14


def test_what_stops_a_launch_is_said_with_the_step_that_mends_it(browser: Client) -> None:
    draft_make(weight=None)
    body = browser.get("/experiments/taste/design/check/").content.decode()
    assert "There is nothing to compare." in body
    assert "/experiments/taste/design/variants/" in body
    assert "1 thing stands in the way." in body
    body = browser.post("/experiments/taste/design/launch/").content.decode()
    assert "There is nothing to compare." in body
    assert Experiment.objects.get().status == ExperimentStatus.DRAFT


def test_every_template_opens_all_its_steps(browser: Client) -> None:
    others = ("rule", "version", "page_size", "interleaving", "bandit", "switchback", "holdout", "feature")
    for template in others:
        browser.post("/experiments/new/save/", IDEA | {"template": template, "name": f"a {template}"})
        code = f"a-{template}"
        for step in ("idea", "variants", "audience", "metrics", "check"):
            assert browser.get(f"/experiments/{code}/design/{step}/").status_code == 200, (template, step)


def test_an_interleaving_asks_for_a_placement_and_a_switchback_for_no_slice(browser: Client) -> None:
    browser.post("/experiments/new/save/", IDEA | {"template": "interleaving"})
    body = browser.get("/experiments/more-taste/design/variants/").content.decode()
    assert "Tick at least one: this kind of test lives in a placement." in body
    assert "Add a variant" not in body
    browser.post("/experiments/new/save/", IDEA | {"template": "switchback", "name": "By the clock"})
    body = browser.get("/experiments/by-the-clock/design/audience/").content.decode()
    assert "Minutes until the shop may switch" in body
    assert "Slice from" not in body
    assert "Take it" not in body


def test_a_feature_needs_no_placement(browser: Client) -> None:
    browser.post("/experiments/new/save/", IDEA | {"template": "feature"})
    form = variants_form(placements="", template="feature")
    assert browser.post("/experiments/more-taste/design/variants/save/", form).status_code == 302
    body = browser.get("/experiments/more-taste/design/check/").content.decode()
    assert "the storefront asks who has which variant" in body


def test_what_was_launched_is_designed_no_more(browser: Client) -> None:
    made = draft_make()
    experiment_launch(actor=None, experiment_id=made.pk)
    answer = browser.post("/experiments/taste/design/metrics/save/", metrics_form(mde="50"))
    assert answer.status_code == 409
    made.refresh_from_db()
    assert made.mde == 0.05


def test_an_analyst_reads_every_step_and_changes_nothing(
    client_of: ClientOf, ana: User, shop: SmallShop
) -> None:
    draft_make()
    browser = client_of(ana)
    for step in ("idea", "variants", "audience", "metrics", "check"):
        body = browser.get(f"/experiments/taste/design/{step}/").content.decode()
        assert "that needs the merchandiser role" in body
        assert "Save and go on" not in body
    for path in (
        "new/save",
        "taste/design/idea/save",
        "taste/design/launch",
        "taste/do/delete",
        "metrics/new/save",
    ):
        assert browser.post(f"/experiments/{path}/", IDEA).status_code == 403
    assert Experiment.objects.get().status == ExperimentStatus.DRAFT


def test_an_end_that_comes_is_kept_in_the_shops_time(browser: Client) -> None:
    draft_make()
    end = (timezone.localtime() + timedelta(days=20)).strftime("%Y-%m-%dT%H:%M")
    assert (
        browser.post("/experiments/taste/design/metrics/save/", metrics_form(ends_at=end)).status_code == 302
    )
    assert f'value="{end}"' in browser.get("/experiments/taste/design/metrics/").content.decode()


def test_a_test_of_a_placement_is_not_saved_without_one(browser: Client) -> None:
    browser.post("/experiments/new/save/", IDEA)
    form = variants_form(placements="")
    body = browser.post("/experiments/more-taste/design/variants/save/", form).content.decode()
    assert "Tick at least one placement." in body
    assert not Experiment.objects.get().variants.exists()


def test_a_draft_is_told_by_what_its_variant_changes(browser: Client) -> None:
    made = draft_make(weight=None)
    blends = {"home": {"from": "live", "page_size": 20}}
    variants = [
        {"code": "control", "name": "As it is", "share": 0.5, "is_control": True},
        {"code": "b", "name": "Twenty", "share": 0.5, "is_control": False, "blends": blends},
    ]
    variants_set(actor=None, experiment_id=made.pk, variants=variants)
    body = browser.get("/experiments/taste/design/").content.decode()
    assert 'value="page_size" checked' in body
    opened = browser.get("/experiments/taste/design/variants/").content.decode()
    assert '<details class="rp-form-fold" open><summary>How many products' in opened
