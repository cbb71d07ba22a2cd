"""Drafts: what is taken, what is refused at which field, and what may change once shoppers take part."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.models import AuditEntry, User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.experiments.models import Experiment, Layer, VariantPublication
from apps.experiments.services import (
    experiment_copy,
    experiment_create,
    experiment_delete,
    experiment_end,
    experiment_launch,
    experiment_update,
    variants_set,
)
from apps.merchandising.models import Draft, Publication
from apps.merchandising.services import draft_save, publication_publish
from tests.factories.experiments import (
    arms,
    blend,
    experiment_make,
    experiment_run,
    placement_make,
    purchases_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop() -> None:
    """Two placements, and a purchase."""
    placement_make("home", als=1.0)
    placement_make("cart", als=0.5)
    purchases_make()


def refusal(call: Callable[..., Any], **arguments: Any) -> InvalidInput:
    """The InvalidInput that a call raises; nothing is left behind."""
    with pytest.raises(InvalidInput) as caught:
        call(actor=None, **arguments)
    return caught.value


def variants_refused(made: Experiment, variants: Any) -> InvalidInput:
    """How the variants are refused."""
    return refusal(variants_set, experiment_id=made.pk, variants=variants)


def shown(made: Experiment) -> dict[tuple[str, str], Publication]:
    """By variant and placement what is shown."""
    rows = VariantPublication.objects.filter(variant__experiment=made).select_related("variant", "placement")
    return {(row.variant.code, row.placement.code): row.publication for row in rows}


# --- drafts ---


def test_a_draft_has_a_slice_a_salt_and_its_trail(maya: User) -> None:
    made = experiment_create(actor=maya, fields={"code": "first", "name": "First"})
    assert (made.status, made.layer.code, made.layer_from, made.layer_to) == ("draft", "main", 0, 10_000)
    assert len(made.salt) == 32
    assert [one.kind for one in made.log.all()] == ["created"]
    entry = AuditEntry.objects.get(verb="experiment.create")
    assert (entry.actor, entry.object_label) == (maya, "first")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"traffic": 0}, "traffic"),
        ({"traffic": 1.2}, "traffic"),
        ({"traffic": True}, "traffic"),
        ({"ramp": [0.5, 0.1]}, "ramp"),
        ({"ramp": [0.5, "1"]}, "ramp"),
        ({"layer_from": 5_000, "layer_to": 5_000}, "layer_to"),
        ({"layer": "nowhere"}, "layer"),
        ({"placements": ["nowhere"]}, "placements"),
        ({"primary": "nothing"}, "primary"),
        ({"secondary": ["conversion"]}, "secondary"),
        ({"guardrails": [{"metric": "conversion", "margin": 0.02}]}, "guardrails"),
        ({"guardrails": [{"metric": "nothing"}]}, "guardrails"),
        ({"guardrails": [{"metric": "aov", "margin": -1}]}, "guardrails.aov"),
        ({"alpha": 0}, "alpha"),
        ({"mde": float("nan")}, "mde"),
        ({"view": "eyes"}, "view"),
        ({"audience": {"history": "old"}}, "audience.history"),
        ({"audience": {"planet": "Mars"}}, "audience.planet"),
        ({"audience": {"regions": "North"}}, "audience.regions"),
        ({"emails": ["nobody"]}, "emails"),
        ({"webhook": "ftp://shop.example/x"}, "webhook"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"min_days": 0}, "min_days"),
        ({"status": "running"}, "status"),
    ],
)
def test_what_can_not_be_is_refused_at_its_field(fields: dict[str, Any], field: str) -> None:
    made = experiment_make()
    found = refusal(experiment_update, experiment_id=made.pk, fields=fields)
    assert found.field == field
    assert found.remedy


def test_an_end_before_the_start_is_refused() -> None:
    made = experiment_make()
    early = clock.now() - timedelta(minutes=1)
    assert refusal(experiment_update, experiment_id=made.pk, fields={"ends_at": early}).field == "ends_at"
    late = (clock.now() + timedelta(days=30)).isoformat()
    assert experiment_update(actor=None, experiment_id=made.pk, fields={"ends_at": late}).ends_at


def test_a_metric_no_event_feeds_is_refused() -> None:
    made = experiment_make()
    found = refusal(experiment_update, experiment_id=made.pk, fields={"primary": "return_rate"})
    assert (found.field, "No event" in found.remedy) == ("primary", True)


def test_codes_and_kinds_stay() -> None:
    made = experiment_make()
    assert refusal(experiment_update, experiment_id=made.pk, fields={"kind": "bandit"}).field == "kind"
    assert refusal(experiment_create, fields={"code": "no spaces", "name": "X"}).field == "code"
    # an address of the staff site
    assert refusal(experiment_create, fields={"code": "files", "name": "X"}).field == "code"
    assert experiment_copy(actor=None, experiment_id=made.pk, name="Files").code == "files-2"
    assert refusal(experiment_create, fields={"code": "y", "name": "X", "kind": "guess"}).field == "kind"
    with pytest.raises(Conflict, match="already"):
        experiment_create(actor=None, fields={"code": made.code, "name": "X"})
    with pytest.raises(NotFound):
        experiment_update(actor=None, experiment_id=0, fields={})


def test_a_layer_of_its_own_is_made_on_demand() -> None:
    made = experiment_update(actor=None, experiment_id=experiment_make().pk, fields={"layer": ""})
    assert made.layer.code == made.code
    assert Layer.objects.count() == 2


# --- variants ---


def test_variants_are_publications_in_the_one_history() -> None:
    made = experiment_make("home", "cart")
    found = shown(made)
    assert found["control", "home"].number == found["control", "cart"].number == 1
    trial = found["b", "home"]
    assert (trial.number, trial.trial, trial.weights, trial.placement.live_publication_id) == (
        2,
        True,
        {"ease": 1.0},
        found["control", "home"].pk,
    )


def test_saving_the_same_variants_again_makes_no_further_publication() -> None:
    made = experiment_make()
    before = Publication.objects.count()
    variants_set(actor=None, experiment_id=made.pk, variants=arms())
    assert Publication.objects.count() == before
    kept = [arms()[0], arms()[1] | {"blends": {"home": {"from": 2}}}]
    variants_set(actor=None, experiment_id=made.pk, variants=kept)
    assert shown(made)["b", "home"].number == 2


def test_trials_nobody_saw_go_but_no_number_is_given_twice() -> None:
    made = experiment_make()
    for weight in (0.1, 0.2, 0.3):
        variants_set(actor=None, experiment_id=made.pk, variants=arms(weights={"ease": weight}))
    numbers = Publication.objects.filter(placement__code="home").values_list("number", flat=True)
    assert sorted(numbers) == [1, 5]
    experiment_delete(actor=None, experiment_id=made.pk)
    experiment_make()
    assert sorted(numbers.all()) == [1, 6]


def test_a_variant_starts_from_the_draft_or_an_earlier_publication() -> None:
    made = experiment_make()
    placement = made.placements.get()
    revision = Draft.objects.get(placement=placement).revision
    draft_save(placement=placement, revision=revision, weights={"ease": 0.25})
    variants = arms()
    variants[1]["blends"] = {"home": {"from": "draft", "page_size": 20}}
    variants_set(actor=None, experiment_id=made.pk, variants=variants)
    found = shown(made)["b", "home"]
    assert (found.weights, found.page_size) == ({"ease": 0.25}, 20)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"share": 0.4}, "share"),
        ({"share": 0}, "variants.b.share"),
        ({"code": "control"}, "variants.control.code"),
        ({"code": "not a code"}, "variants.code"),
        ({"name": " "}, "variants.b.name"),
        ({"is_control": True}, "variants"),
        ({"blends": {"home": {"from": "live"}}}, "variants.b.blends"),
        ({"blends": {}}, "variants.b.blends"),
        ({"blends": {"home": {"from": "live", "page_size": 12}}}, "variants.b.blends"),
        ({"blends": {"home": {"from": "live", "weights": {"als": 1, "ease": 0}}}}, "variants.b.blends"),
        ({"blends": {"cart": {"from": "live"}}}, "variants.b.cart"),
        ({"blends": {"home": {"from": 99}}}, "variants.b.home.from"),
        ({"blends": {"home": {"from": "yesterday"}}}, "variants.b.home.from"),
        ({"blends": {"home": {"from": "live", "colour": "red"}}}, "variants.b.home.colour"),
        ({"blends": {"home": blend({"nobody": 1})}}, "variants.b.home.weights.nobody"),
        ({"blends": {"home": blend({"als": 2})}}, "variants.b.home.weights.als"),
        ({"blends": {"home": blend(page_size=0)}}, "variants.b.home.page_size"),
        ({"blends": {"home": blend(versions={"ease": 1})}}, "variants.b.home.versions.ease"),
        ({"blends": {"home": blend(rules=[{"kind": "pin"}])}}, "variants.b.home.rules[0].id"),
    ],
)
def test_variants_are_refused_where_they_are_wrong(change: dict[str, Any], field: str) -> None:
    made = experiment_make()
    before = {key: one.pk for key, one in shown(made).items()}
    variants = arms()
    variants[1] |= change
    assert variants_refused(made, variants).field == field
    assert {key: one.pk for key, one in shown(made).items()} == before


def test_two_variants_that_show_the_same_are_refused() -> None:
    made = experiment_make()
    twin = arms()[1] | {"code": "c", "name": "Twin", "share": 0.25}
    variants = [arms(share=0.5)[0] | {"share": 0.25}, arms()[1], twin]
    found = variants_refused(made, variants)
    assert (found.field, "Other weights" in found.remedy) == ("variants.c.blends", True)


def test_one_variant_is_no_experiment_and_none_are_no_list() -> None:
    made = experiment_make()
    assert variants_refused(made, arms()[:1]).field == "variants"
    assert variants_refused(made, "control").field == "variants"
    interleaved = experiment_make(kind="interleaving")
    three = [
        *arms(share=0.25),
        arms(share=0.25)[1] | {"code": "c", "blends": {"home": blend({"als": 0.5, "ease": 1})}},
    ]
    three[0]["share"] = 0.5
    assert variants_refused(interleaved, three).field == "variants"


def test_a_feature_of_the_storefront_needs_no_placement() -> None:
    made = experiment_create(actor=None, fields={"code": "feature", "name": "Feature"})
    variants = [one | {"blends": {}} for one in arms()]
    variants_set(actor=None, experiment_id=made.pk, variants=variants)
    assert shown(made) == {}
    assert experiment_launch(actor=None, experiment_id=made.pk).status == "running"


def test_placements_left_out_take_their_publications_along() -> None:
    made = experiment_make("home", "cart")
    experiment_update(actor=None, experiment_id=made.pk, fields={"placements": ["cart"]})
    assert set(shown(made)) == {("control", "cart"), ("b", "cart")}


# --- once shoppers take part ---


def test_a_running_experiment_keeps_what_it_is_judged_by() -> None:
    made = experiment_run()
    for fields in (
        {"primary": "aov"},
        {"layer_to": 5_000},
        {"audience": {"known": True}},
        {"alpha": 0.1},
        {"placements": ["cart"]},
        {"layer": ""},
        {"planned_days": 60},
    ):
        found = refusal(experiment_update, experiment_id=made.pk, fields=fields)
        assert found.field == next(iter(fields))
        assert "copy" in found.remedy
    same = {
        "primary": "conversion",
        "layer": "main",
        "placements": ["home"],
        "traffic": 1.0,
        "name": "New name",
    }
    end = clock.now() + timedelta(days=20)
    changed = experiment_update(
        actor=None, experiment_id=made.pk, fields={**same, "ends_at": end, "emails": ["ana@shop.example"]}
    )
    assert (changed.name, changed.ends_at, changed.emails) == ("New name", end, ["ana@shop.example"])
    assert made.log.filter(kind="edited").latest("id").details == {"fields": ["name", "ends_at", "emails"]}


def test_the_end_of_a_fixed_horizon_does_not_move() -> None:
    made = experiment_run(view="fixed")
    end = clock.now() + timedelta(days=20)
    assert refusal(experiment_update, experiment_id=made.pk, fields={"ends_at": end}).field == "ends_at"


def test_a_variant_of_a_running_experiment_stays() -> None:
    made = experiment_run()
    named = [one | {"blends": {}} for one in arms()]
    gone = [named[0], named[1] | {"code": "c"}]
    found = variants_refused(made, gone)
    assert (found.field, "can't be taken out" in found.remedy) == ("variants.b", True)
    more = [named[0] | {"share": 0.25}, named[1], named[1] | {"code": "c", "share": 0.25}]
    assert variants_refused(made, more).field == "variants.c"
    other_shares = [one | {"blends": {}} for one in arms(share=0.2)]
    assert variants_refused(made, other_shares).field == "variants.control.share"
    assert variants_refused(made, arms()).field == "variants.b.share"
    variants_set(actor=None, experiment_id=made.pk, variants=[named[0], named[1] | {"name": "Bold"}])
    assert made.variants.get(code="b").name == "Bold"


def test_only_drafts_are_deleted(maya: User) -> None:
    draft, running = experiment_make(), experiment_run("cart")
    experiment_delete(actor=maya, experiment_id=draft.pk)
    assert AuditEntry.objects.get(verb="experiment.delete").before
    with pytest.raises(Conflict, match="End it instead"):
        experiment_delete(actor=None, experiment_id=running.pk)
    experiment_end(actor=None, experiment_id=running.pk)
    with pytest.raises(Conflict, match="results stay"):
        experiment_delete(actor=None, experiment_id=running.pk)


# --- copies ---


def test_a_copy_is_the_same_design_with_new_randomisation() -> None:
    made = experiment_run(mde=0.1, guardrails=[{"metric": "aov", "margin": 0.05}], ramp=[0.1, 1.0])
    placement = made.placements.get()
    draft = Draft.objects.get(placement=placement)
    draft_save(placement=placement, revision=draft.revision, weights={"als": 0.5, "ease": 0.1})
    published = publication_publish(placement=placement)
    experiment_end(actor=None, experiment_id=made.pk)
    copy = experiment_copy(actor=None, experiment_id=made.pk, name="Once more")
    assert (copy.status, copy.name, copy.mde, copy.guardrails, copy.traffic) == (
        "draft",
        "Once more",
        0.1,
        [{"metric": "aov", "margin": 0.05}],
        1.0,
    )
    assert copy.salt != made.salt
    found = shown(copy)
    assert found["control", "home"] == published
    assert found["b", "home"].weights == {"ease": 1.0}
    assert experiment_launch(actor=None, experiment_id=copy.pk).status == "running"


def test_a_copy_of_a_running_experiment_takes_another_slice() -> None:
    made = experiment_run(layer_from=0, layer_to=4_000)
    copy = experiment_copy(actor=None, experiment_id=made.pk)
    assert (copy.layer_from, copy.layer_to) == (4_000, 8_000)
    assert copy.code != made.code


def test_a_holdout_makes_its_own_variants() -> None:
    made = experiment_create(actor=None, fields={"code": "hold", "name": "Holdout", "kind": "holdout"})
    assert [(one.code, one.share, one.is_control) for one in made.variants.all()] == [
        ("holdout", 0.05, True),
        ("everyone", 0.95, False),
    ]
    assert made.layer.code == "holdout"
    found = refusal(experiment_update, experiment_id=made.pk, fields={"placements": ["home"]})
    assert found.field == "placements"
    bold = [one | {"blends": {}} for one in arms(share=0.9)]
    variants_set(actor=None, experiment_id=made.pk, variants=bold)
    assert variants_refused(made, arms(share=0.9)).field == "variants.b.blends"


def test_a_name_and_more_traffic_may_come_together() -> None:
    made = experiment_run(traffic=0.5)
    changed = experiment_update(actor=None, experiment_id=made.pk, fields={"name": "Named", "traffic": 0.75})
    assert (changed.name, changed.traffic) == ("Named", 0.75)
    assert [one.kind for one in made.log.order_by("id")][-2:] == ["edited", "ramped"]
    made.refresh_from_db()
    assert (made.name, made.traffic) == ("Named", 0.75)
