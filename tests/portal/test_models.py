"""Models pages: what they show, retraining, promotion, roll back, and who may."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import AuditEntry, User
from apps.core.clock import now
from apps.jobs.models import Job, JobStatus
from apps.ml.registry import STANDARD
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus
from apps.training.recipes import recipes_ensure
from tests.factories.shop import products_make
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def figures(ndcg: float) -> dict[str, Any]:
    one = {"ndcg10": ndcg, "recall20": 0.2, "mrr10": 0.1, "hit10": 0.3, "coverage10": 0.4, "users": 900}
    return {**one, "intervals": {"ndcg10": [ndcg - 0.01, ndcg + 0.01]}}


def version_made(
    recipe: Recipe, number: int, *, ndcg: float, status: str, folder: Path, reasons: tuple[str, ...] = ()
) -> ModelVersion:
    """A version as the registry stores it."""
    home = folder / f"{recipe.code}-{number}"
    home.mkdir()
    difference = {"difference": 0.01, "low": 0.005, "high": 0.015, "shoppers": 900}
    checks = [{"against": "popular", "protocol": protocol, **difference} for protocol in ("new", "all")]
    return ModelVersion.objects.create(
        recipe=recipe,
        number=number,
        status=status,
        artifact_path=str(home),
        metrics={"new": figures(ndcg), "all": figures(ndcg + 0.05)},
        gate={
            "passed": not reasons,
            "reasons": list(reasons),
            "by_popularity": list(reasons),
            "checks": checks,
        },
        snapshot_hash="a" * 64,
        promoted_at=None if status in ("candidate", "refused") else now() - timedelta(days=10 - number),
    )


@pytest.fixture
def ease(tmp_path: Path) -> Recipe:
    """A recipe with a retired, a live and a refused version, and a finished run."""
    recipes_ensure()
    recipe = Recipe.objects.get(code="ease")
    version_made(recipe, 1, ndcg=0.10, status="retired", folder=tmp_path)
    live = version_made(recipe, 2, ndcg=0.12, status="live", folder=tmp_path)
    version_made(
        recipe, 3, ndcg=0.05, status="refused", folder=tmp_path, reasons=("Does not beat popularity.",)
    )
    job = Job.objects.create(
        kind="training.run", title="Train", status=JobStatus.DONE, progress=1.0, log="fit: 1 s\n"
    )
    history = [{"step": "fit", "stage": "fit", "epoch": n, "epochs": 2, "metric": 0.1 * n} for n in (1, 2)]
    run = TrainingRun.objects.create(recipe=recipe, job=job, history=history, seconds={"fit": 1.5})
    ModelVersion.objects.filter(pk=live.pk).update(run=run)
    return recipe


def test_models_shows_recipes_with_what_is_live(maya: User, ease: Recipe) -> None:
    page = logged_in(maya).get("/models/").content.decode()
    assert "Product links" in page
    assert "v2" in page
    assert "0.120" in page
    assert "Retrain" not in page
    assert "that needs the ML engineer role" in page


def test_figures_follow_the_chosen_protocol(mel: User, ease: Recipe) -> None:
    page = logged_in(mel).get("/models/?protocol=all").content.decode()
    assert "0.170" in page
    table = logged_in(mel).get("/models/live-sources.csv?protocol=all").content.decode()
    assert table.splitlines()[1].startswith("Product links v2,0.17,")


def test_recipe_page_compares_versions(ana: User, ease: Recipe) -> None:
    page = logged_in(ana).get("/models/recipe/ease/").content.decode()
    for text in ("v1", "v2", "v3", "0.1200", "NDCG@10", "Refused by the gate", "+0.0100"):
        assert text in page
    assert "Promote" not in page


def test_run_page_shows_curve_steps_and_log(ana: User, ease: Recipe) -> None:
    client, run = logged_in(ana), TrainingRun.objects.get()
    page = client.get(f"/models/runs/{run.pk}/").content.decode()
    assert 'data-chart="figure-learning-curve"' in page
    assert "fit: 1 s" in page
    assert "Version 2" in page
    state = client.get(f"/models/runs/{run.pk}/state/", headers=HTMX)
    assert "run:over" in state["HX-Trigger"]
    assert "every 1s" not in state.content.decode()
    curve = client.get(f"/models/runs/{run.pk}/learning-curve.csv").content.decode("utf-8-sig")
    assert curve.splitlines() == ["Epoch,Training for the test", "1,0.1", "2,0.2"]


def test_ml_engineer_retrains_and_the_page_follows(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    answer = client.post("/models/recipe/ease/retrain/")
    run = TrainingRun.objects.exclude(job__status=JobStatus.DONE).get()
    assert answer["Location"] == f"/models/runs/{run.pk}/"
    assert run.job.requested_by == mel
    assert "every 1s" in client.get(f"/models/runs/{run.pk}/").content.decode()
    assert "every 2s" in client.get("/models/").content.decode()
    assert client.post("/models/recipe/ease/retrain/").status_code == 409
    client.post(f"/models/runs/{run.pk}/cancel/", headers=HTMX)
    run.job.refresh_from_db()
    assert run.job.status == JobStatus.CANCELLED


def test_retrain_all_takes_every_recipe_in_use(mel: User, ease: Recipe) -> None:
    Recipe.objects.filter(code="als").update(active=False)
    logged_in(mel).post("/models/retrain/")
    assert TrainingRun.objects.filter(job__status=JobStatus.QUEUED).count() == len(STANDARD) - 1


def test_a_refused_version_needs_a_reason(mel: User, ease: Recipe) -> None:
    refused, client = ModelVersion.objects.get(number=3), logged_in(mel)
    dialog = client.get(f"/models/versions/{refused.pk}/ask/", headers=HTMX).content.decode()
    assert "Does not beat popularity." in dialog
    assert "Promote all the same" in dialog
    client.post(f"/models/versions/{refused.pk}/promote/", {"reason": " "}, headers=HTMX)
    refused.refresh_from_db()
    assert refused.status == VersionStatus.REFUSED
    done = client.post(f"/models/versions/{refused.pk}/promote/", {"reason": "Summer sale"}, headers=HTMX)
    assert done["HX-Redirect"] == "/models/recipe/ease/"
    refused.refresh_from_db()
    assert (refused.status, refused.override_reason) == (VersionStatus.LIVE, "Summer sale")


def test_roll_back_names_its_target_and_returns_to_it(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    dialog = client.get("/models/recipe/ease/rollback/ask/", headers=HTMX).content.decode()
    assert "Roll back to version 1" in dialog
    client.post("/models/recipe/ease/rollback/", {"reason": "Worse clicks"}, headers=HTMX)
    assert ModelVersion.objects.get(status=VersionStatus.LIVE).number == 1
    assert AuditEntry.objects.filter(verb="version.rollback", reason="Worse clicks").exists()
    assert (
        "no earlier version" in client.get("/models/recipe/ease/rollback/ask/", headers=HTMX).content.decode()
    )


FORM = {"schedule": "weekly", "window_days": "90", "preset": "small", "seed": "7", "active": "on"}


def test_recipe_settings_keep_only_what_differs_from_the_preset(mel: User, ease: Recipe) -> None:
    client = logged_in(mel)
    assert "Regularisation" in client.get("/models/recipe/ease/settings/").content.decode()
    special = {
        "config_regularisation": "250",
        "config_max_items": "5000",
        "config_row_half_life_days": "none",
    }
    assert client.post("/models/recipe/ease/settings/save/", FORM | special).status_code == 302
    ease.refresh_from_db()
    assert ease.config == {"regularisation": 250.0, "row_half_life_days": None}
    assert (ease.schedule, ease.window_days, ease.seed) == ("weekly", 90, 7)


def test_wrong_settings_are_named_at_their_field(mel: User, ease: Recipe) -> None:
    wrong = {"config_regularisation": "-1", "config_max_items": "many"}
    page = logged_in(mel).post("/models/recipe/ease/settings/save/", FORM | wrong).content.decode()
    assert "Write at least" in page
    assert "Write a whole number." in page
    ease.refresh_from_db()
    assert ease.config == {}


@pytest.mark.parametrize("name", ["maya", "ana", "otto"])
def test_others_change_nothing(name: str, request: pytest.FixtureRequest, ease: Recipe) -> None:
    client = logged_in(request.getfixturevalue(name))
    refused, jobs = ModelVersion.objects.get(number=3), Job.objects.count()
    run = TrainingRun.objects.get()
    denied = [
        ("/models/retrain/", {}),
        ("/models/recipe/ease/retrain/", {}),
        ("/models/recipe/ease/rollback/", {"reason": "x"}),
        ("/models/recipe/ease/settings/save/", FORM),
        (f"/models/versions/{refused.pk}/promote/", {"reason": "x"}),
        (f"/models/runs/{run.pk}/cancel/", {}),
    ]
    for path, data in denied:
        assert client.post(path, data).status_code == 403, path
    assert Job.objects.count() == jobs
    assert ModelVersion.objects.get(status=VersionStatus.LIVE).number == 2
    assert not AuditEntry.objects.exists()
    ease.refresh_from_db()
    assert ease.schedule == "daily"


def test_unknown_things_are_not_found(mel: User) -> None:
    client = logged_in(mel)
    for path in ("/models/recipe/none/", "/models/runs/9/", "/models/versions/9/"):
        assert client.get(path).status_code == 404


def test_an_example_names_what_was_searched_for(mel: User, ease: Recipe) -> None:
    products = products_make("cup", "pot")
    version = ModelVersion.objects.get(recipe=ease, status=VersionStatus.LIVE)
    ids = {sku: product.pk for sku, product in products.items()}
    version.example = {
        "shown": [
            {
                "user": 0,
                "item": ids["cup"],
                "reasons": [
                    {"query": "tea <set>", "share": 0.7},
                    {"item": ids["pot"], "share": 0.2},
                    {"item": 0, "share": 0.1},
                ],
            }
        ]
    }
    version.save(update_fields=["example"])
    page = logged_in(mel).get(f"/models/recipe/{ease.code}/").content.decode()
    assert "searched for “tea &lt;set&gt;”" in page
    assert page.count('style="--share:') == 2, "a product that is gone is left out"
