"""Tuning from the browser: the form, the study's page, keeping the best; recipes of the shop's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils.translation import override

from apps.accounts.models import AuditEntry, User
from apps.jobs.models import Job, JobStatus
from apps.merchandising.models import Draft
from apps.ml.registry import FAMILIES
from apps.portal.words.sources import sources_named
from apps.training import studies
from apps.training.choices import KIND
from apps.training.config_fields import families_facts
from apps.training.gate_words import DIFFERENCE, NOT_BETTER, reason, reason_told
from apps.training.models import ModelVersion, Recipe, Study, StudyTrial, TrainingRun, TrialState
from apps.training.recipes import recipe_archive, recipe_create, recipes_ensure
from apps.training.study_figures import per_user_path
from tests.portal.small_shop import SmallShop, small_shop_make
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
FORM = {
    "sampler": "tpe", "goal": "mix", "max_trials": "6", "budget_minutes": "2", "workers": "1",
    "use_regularisation": "on", "low_regularisation": "10", "high_regularisation": "900",
    "use_baskets": "on", "choices_baskets": ["True", "False"],
}  # fmt: skip


@pytest.fixture
def ease(db: None) -> Recipe:
    return next(one for one in recipes_ensure() if one.code == "ease")


@pytest.fixture
def study(ease: Recipe, settings: Any, tmp_path: Path) -> Study:
    """A study of five finished trials, one stopped early and one that failed."""
    settings.SHOP_DIR = tmp_path
    made = studies.study_create(recipe=ease, space={"regularisation": {}, "baskets": {}}, max_trials=8)
    values = (0.10, 0.11, 0.13, 0.12, 0.09)
    for number, value in enumerate(values):
        row = StudyTrial.objects.create(
            study=made, number=number, state=TrialState.COMPLETE, value=value, steps={"100": value},
            params={"regularisation": 100.0 + number, "baskets": bool(number % 2)}, seconds=1.5,
        )  # fmt: skip
        path = per_user_path(made, row)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, new=np.full(40, value), all=np.full(50, value))
    StudyTrial.objects.create(
        study=made, number=5, state=TrialState.PRUNED, steps={"25": 0.2},
        params={"regularisation": 30.0, "baskets": True},
    )  # fmt: skip
    StudyTrial.objects.create(
        study=made, number=6, state=TrialState.FAILED, error="Too large.",
        params={"regularisation": 31.0, "baskets": True},
    )  # fmt: skip
    Study.objects.filter(pk=made.pk).update(importances={"regularisation": 0.7, "baskets": 0.3})
    studies.study_cancel(study=made)
    return made


def test_the_form_offers_the_familys_settings_and_starts_a_study(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    page = client.get("/models/recipe/ease/tune/").content.decode()
    for text in ("Regularisation", "Learn from baskets too", 'name="low_regularisation"'):
        assert text in page
    answer = client.post("/models/recipe/ease/tune/start/", FORM)
    found = Study.objects.get()
    assert answer["Location"] == f"/models/studies/{found.pk}/"
    assert (found.max_trials, found.budget_seconds, found.requested_by) == (6, 120, mel)
    assert (found.space["regularisation"]["low"], found.space["regularisation"]["high"]) == (10.0, 900.0)
    assert set(found.space["baskets"]["choices"]) == {True, False}
    assert "Waiting for a worker" in client.get(answer["Location"]).content.decode()
    assert "Studies" in client.get("/models/recipe/ease/").content.decode(), "one without any trial too"
    again = client.post("/models/recipe/ease/tune/start/", FORM).content.decode()
    assert "is being tuned already" in again


def test_wrong_limits_are_named(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    wrong = client.post("/models/recipe/ease/tune/start/", FORM | {"high_regularisation": "5"})
    assert "Make the upper limit larger than the lower." in wrong.content.decode()
    nothing = {key: value for key, value in FORM.items() if not key.startswith("use_")}
    answer = client.post("/models/recipe/ease/tune/start/", nothing)
    assert "Choose at least one setting to search." in answer.content.decode()
    assert not Study.objects.exists()


def test_a_study_shows_what_it_found(ana: User, study: Study) -> None:
    client = logged_in(ana)
    page = client.get(f"/models/studies/{study.pk}/").content.decode()
    for text in ("trial 2, NDCG@10 0.1300", "+0.0300", "Stopped early", "Too large.", "7 of 8 trials"):
        assert text in page, text
    for key in ("study-history", "study-importance", "study-parallel"):
        assert f'data-chart="figure-{key}"' in page
        assert client.get(f"/models/studies/{study.pk}/{key}.csv").status_code == 200
    assert "Keep them" not in page
    table = client.get(f"/models/studies/{study.pk}/study-history.csv").content.decode("utf-8-sig")
    assert table.splitlines()[0] == "Trial,State,NDCG@10,Seconds,Learn from baskets too,Regularisation"
    assert table.splitlines()[3] == "2,Complete,0.13,1.5,no,102"
    assert client.get(f"/models/studies/{study.pk}/other.csv").status_code == 404
    assert client.get("/models/studies/999/").status_code == 404


def test_a_study_is_stopped_and_goes_on(mel: User, study: Study) -> None:
    client = logged_in(mel)
    assert "Stopped" in client.get(f"/models/studies/{study.pk}/").content.decode()
    client.post(f"/models/studies/{study.pk}/on/")
    assert len(studies.study_jobs(study, active_only=True)) == 1
    study.refresh_from_db()
    assert study.max_trials == 8, "one that was stopped goes on with what it had"
    client.post(f"/models/studies/{study.pk}/stop/", headers=HTMX)
    assert not studies.study_jobs(study, active_only=True)


def test_the_best_settings_are_kept_and_trained(mel: User, study: Study, ease: Recipe) -> None:
    answer = logged_in(mel).post(f"/models/studies/{study.pk}/keep/", {"train": "1"})
    ease.refresh_from_db()
    assert ease.config == {"regularisation": 102.0}
    run = TrainingRun.objects.get()
    assert answer["Location"] == f"/models/runs/{run.pk}/"
    assert run.config["regularisation"] == 102.0
    assert AuditEntry.objects.filter(verb="recipe.update", actor=mel).exists()
    assert "kept" in logged_in(mel).get("/models/recipe/ease/").content.decode()


def test_a_recipe_is_made_copied_switched_and_archived(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    Recipe.objects.filter(pk=ease.pk).update(config={"regularisation": 250.0}, preset="full")
    form = {
        "origin": "copy:ease", "name": "Links, slow", "code": "links_slow", "preset": "small",
        "schedule": "weekly", "active": "on",
    }  # fmt: skip
    assert client.post("/models/new/save/", form)["Location"] == "/models/recipe/links_slow/settings/"
    made = Recipe.objects.get(code="links_slow")
    assert (made.family, made.preset, made.config) == ("ease", "full", {"regularisation": 250.0})
    assert (made.schedule, made.active) == ("weekly", True)
    assert "is taken" in client.post("/models/new/save/", form).content.decode()
    bad = client.post("/models/new/save/", form | {"code": "Links Slow!"}).content.decode()
    assert "small letters" in bad
    client.post("/models/recipe/links_slow/switch/", {"active": "0"})
    made.refresh_from_db()
    assert (made.active, made.next_run_at) == (False, None)
    client.post("/models/recipe/links_slow/archive/")
    made.refresh_from_db()
    assert made.archived_at is not None
    page = client.get("/models/").content.decode()
    assert "Archived recipes" in page
    assert client.post("/models/recipe/links_slow/switch/", {"active": "1"}).status_code == 409
    client.post("/models/recipe/links_slow/restore/")
    made.refresh_from_db()
    assert (made.archived_at, made.active) == (None, False)
    verbs = AuditEntry.objects.values_list("verb", flat=True)
    assert {"recipe.create", "recipe.archive", "recipe.restore"} <= set(verbs)


def test_what_waits_stands_apart_with_when_to_use_it(mel: User, ease: Recipe) -> None:
    page = logged_in(mel).get("/models/").content.decode()
    used, _, more = page.partition("More families")
    for family in FAMILIES.values():
        address = f"/models/recipe/{family.name}/"
        assert (address in used) == family.standard
        assert family.standard or (address in more and "Switch on" in more)


def test_only_sources_in_use_or_with_weight_have_a_slider(client_of: Any, maya: User) -> None:
    small_shop_make()
    recipe_create(code="mine", name="Mine", family="ease", by=None, active=False)

    def sliders() -> int:
        body: str = client_of(maya).get("/weights/?placement=home&shopper=shopper-1").content.decode()
        return body.count("data-slider ")

    assert sliders() == 8
    draft = Draft.objects.get(placement__code="home")
    Draft.objects.filter(pk=draft.pk).update(weights={**draft.weights, "mine": 0.2})
    assert sliders() == 9
    recipe_archive(recipe=Recipe.objects.get(code="mine"), by=None)
    assert sliders() == 9
    Draft.objects.filter(pk=draft.pk).update(weights=draft.weights)
    Recipe.objects.filter(code="mine").update(active=True, archived_at=None)
    assert sliders() == 9


def test_sources_beyond_eight_are_told_apart() -> None:
    recipes_ensure()
    for number in range(12):
        recipe_create(code=f"extra_{number}", name=f"Extra {number}", family="ease", by=None)
    named = sources_named()
    assert len({source.paint for source in named.values()}) == len(named)
    assert list(named)[:8] == [
        "popular", "trend", "personal", "item_knn", "user_knn", "content", "als", "ease",
    ]  # fmt: skip


@pytest.fixture
def found(db: None) -> Job:
    """A finished choice as the library tells it."""
    recipes_ensure()
    figures = {"ndcg10": 0.1, "recall20": 0.2, "hit10": 0.3, "mrr10": 0.1, "coverage10": 0.4}
    result = {
        "chosen": "hybrid", "variant": "new", "weights": {"ease": 0.6, "popular": 0.3, "als": 0.0},
        "configs": {"ease": FAMILIES["ease"].config({"regularisation": 321.0}).to_dict()},
        "by_model": {"ease": figures, "popular": figures, "hybrid": {**figures, "ndcg10": 0.12}},
        "pareto": [
            {"ndcg": 0.12, "coverage": 0.2, "weights": {"ease": 1.0}},
            {"ndcg": 0.11, "coverage": 0.4, "weights": {"popular": 1.0}},
        ],
        "sentences": [
            ["%(source)s carries %(percent)s %%: NDCG@10 alone %(quality)s.",
             {"source": "Linear autoencoder", "percent": 60, "quality": "0.100"}],
        ],
        "warnings": [["Too little time to teach a ranker; the weights decide alone.", {}]],
        "objective": {"ndcg": 1.0}, "seconds": 12.0,
    }  # fmt: skip
    return Job.objects.create(
        kind=KIND, title="Choose", status=JobStatus.DONE, progress=1.0, result=result,
        params={"objective": {"ndcg": 1.0}, "live_only": False},
    )  # fmt: skip


def test_a_choice_is_asked_for_and_read(mel: User, found: Job) -> None:
    client = logged_in(mel)
    form = {"variant": "new", "budget_minutes": "1", "o_ndcg": "100", "o_revenue": "0", "o_margin": "0",
            "o_coverage": "20", "o_novelty": "0"}  # fmt: skip
    answer = client.post("/models/choice/start/", form)
    job = Job.objects.get(kind=KIND, status=JobStatus.QUEUED)
    assert answer["Location"] == f"/models/choice/{job.pk}/"
    assert job.params["objective"]["coverage"] == 0.2
    assert "under way already" in client.post("/models/choice/start/", form).content.decode()
    Job.objects.filter(pk=job.pk).delete()
    nothing = client.post("/models/choice/start/", form | {"o_ndcg": "0", "o_coverage": "0"}).content.decode()
    assert "count more than 0" in nothing
    page = client.get(f"/models/choice/{found.pk}/").content.decode()
    for text in ("Product links carries 60 %: NDCG@10 alone 0.100.", "Weighted mixture", "choice-front"):
        assert text in page, text
    table = client.get(f"/models/choice/{found.pk}/choice-front.csv").content.decode()
    assert "Product links 100%" in table
    assert client.get("/models/choice/999/").status_code == 404


def test_a_choice_is_taken_into_recipes_and_a_draft(
    mel: User, maya: User, found: Job, client_of: Any
) -> None:
    small_shop_make()
    client_of(mel).post(f"/models/choice/{found.pk}/settings/", {"train": "1"})
    assert Recipe.objects.get(code="ease").config["regularisation"] == 321.0
    assert TrainingRun.objects.filter(recipe__code="ease").count() == 1
    assert client_of(mel).post(f"/weights/found/{found.pk}/", {"placement": "home"}).status_code == 403
    answer = client_of(maya).post(f"/weights/found/{found.pk}/", {"placement": "home"})
    assert answer["Location"] == "/weights/?placement=home"
    draft = Draft.objects.select_related("placement__live_publication").get(placement__code="home")
    assert draft.weights == {"ease": 1.0, "popular": 0.5}
    live = draft.placement.live_publication
    assert live is None or live.weights != draft.weights, "nothing is published"


def test_a_merchandiser_finds_weights_among_what_is_live(maya: User, client_of: Any) -> None:
    shop: SmallShop = small_shop_make()
    client: Client = client_of(maya)
    assert shop.home.code == "home"
    page = client.get("/models/choice/?placement=home").content.decode()
    assert "Find weights" in page
    form = {"variant": "new", "budget_minutes": "1", "o_ndcg": "100", "o_revenue": "0", "o_margin": "0",
            "o_coverage": "0", "o_novelty": "0", "placement": "home"}  # fmt: skip
    assert client.post("/models/choice/start/", form).status_code == 403
    client.post("/weights/find/", form)
    job = Job.objects.get(kind=KIND)
    live = {one.recipe.family for one in ModelVersion.objects.filter(status="live").select_related("recipe")}
    assert set(job.params["sources"]) == live


def test_the_gates_reasons_are_told_in_chinese() -> None:
    shown = reason(DIFFERENCE, mean="-0.01", low="-0.02", high="+0.01", protocol="new", shoppers=40)
    stored = reason(NOT_BETTER, difference=f"{shown}; {shown}")
    assert reason_told(stored).count("first purchases") == 2
    with override("zh-hans"):
        told = reason_told(stored)
        assert "没有胜过热销" in told
        assert "首次购买" in told
        assert reason_told("Said by somebody else.") == "Said by somebody else."


def test_every_family_is_told_in_chinese() -> None:
    with override("zh-hans"):
        for facts in families_facts():
            for text in (facts.title, facts.summary, facts.when or "。"):
                assert not text.isascii(), f"{facts.name}: {text!r} has no Chinese"
