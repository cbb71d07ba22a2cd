"""Studies: spaces, samplers, early stopping, two workers on one study, going on, keeping the best."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from django.conf import settings

from apps.accounts.models import AuditEntry
from apps.core.errors import Conflict, InvalidInput
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import job_cancel, job_claim
from apps.ml.registry import FAMILIES
from apps.training import samplers, studies, study_figures, trials
from apps.training.models import Recipe, Study, StudyTrial, TrialState
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.spaces import Range, grid_size, space_check, space_default, space_of
from tests.training.planted import shop_plant

pytestmark = pytest.mark.usefixtures("db")
SPACE = {"regularisation": {"low": 0.01, "high": 5000.0}, "row_half_life_days": {"low": 5.0, "high": 400.0}}


@pytest.fixture
def ease() -> Recipe:
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)
    recipe = next(one for one in recipes_ensure() if one.code == "ease")
    return recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)


def run(study: Study) -> Study:
    for job in studies.study_jobs(study, active_only=True):
        trials.study_execute(job_id=job.pk)
    study.refresh_from_db()
    return study


def test_every_family_has_a_space_that_its_settings_allow() -> None:
    for family in FAMILIES.values():
        for preset in ("tiny", "small", "full"):
            for found in space_default(family=family.name, preset=preset):
                for value in found.grid():
                    assert found.holds(value), (family.name, found)
                    family.config({"preset": preset, found.name: value})
                assert samplers.distribution(found)


def test_a_space_is_checked_and_takes_in_what_is_set() -> None:
    (one,) = space_check(family="ease", preset="tiny", given={"regularisation": {}})
    assert one.low <= 20.0 <= one.high
    with pytest.raises(InvalidInput, match="larger"):
        space_check(family="ease", preset="tiny", given={"regularisation": {"low": 5.0, "high": 5.0}})
    with pytest.raises(InvalidInput, match="Choose one of"):
        space_check(family="ease", preset="tiny", given={"colour": {}})
    with pytest.raises(InvalidInput, match="at least one"):
        space_check(family="ease", preset="tiny", given={})
    with pytest.raises(InvalidInput, match="numbers"):
        space_check(family="ease", preset="tiny", given={"regularisation": {"low": float("nan")}})
    assert Range("x", "float", 1.0, 2.0).widened(5.0).holds(5.0)
    assert not Range("x", "float", 1.0, 2.0).widened(None).holds(None)


def test_a_study_starts_from_what_is_set_and_keeps_the_best(ease: Recipe) -> None:
    shop_plant()
    study = run(studies.study_create(recipe=ease, space=SPACE, max_trials=9, seed=3))
    rows = list(study.trials.all())
    assert [row.number for row in rows] == list(range(9))
    assert rows[0].params == {"regularisation": 20.0, "row_half_life_days": 60.0}
    assert study.finished_at is not None
    job = studies.study_jobs(study)[0]
    assert (job.status, job.progress) == (JobStatus.DONE, 1.0)
    done = [row for row in rows if row.state == TrialState.COMPLETE]
    assert len(done) >= 3
    best = studies.best_trial(rows)
    assert best is not None
    assert best.value == max(row.value or 0 for row in done)
    new, both = best.metrics["new"]["ndcg10"], best.metrics["all"]["ndcg10"]
    assert best.value == pytest.approx((new + both) / 2, abs=1e-5)
    with np.load(study_figures.per_user_path(study, best)) as kept:
        assert kept["all"].mean() == pytest.approx(both, abs=1e-5)
    assert len({str(row.params) for row in rows}) == 9, "each trial is of settings of its own"
    for row in rows[1:]:
        assert all(one.holds(row.params[one.name]) for one in space_of(study.space))
    if study.importances:
        assert sum(study.importances.values()) == pytest.approx(1, abs=0.01)

    recipe = studies.study_apply(study=study)
    assert {**study.base, **recipe.config} == {**study.base, **best.params}
    assert AuditEntry.objects.filter(verb="recipe.update", object_id=str(recipe.pk)).exists()


def test_a_poor_trial_is_stopped_early(ease: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_plant()
    monkeypatch.setattr(trials, "MIN_SHOPPERS", 5)
    study = studies.study_create(recipe=ease, space=SPACE, max_trials=5)
    for number, value in enumerate((0.5, 0.6, 0.7, 0.8)):
        StudyTrial.objects.create(
            study=study,
            number=number,
            state=TrialState.COMPLETE,
            value=value,
            steps={"25": 0.99, "100": value},
            params={"regularisation": 10.0 + number, "row_half_life_days": 20.0},
        )
    run(study)
    last = study.trials.get(number=4)
    assert (last.state, set(last.steps), last.value) == (TrialState.PRUNED, {"25"}, None)


def test_a_grid_visits_every_combination_once(ease: Recipe) -> None:
    study = studies.study_create(
        recipe=ease, space={"baskets": {}, "regularisation": {"low": 1.0, "high": 100.0}}, sampler="grid",
        max_trials=100,
    )  # fmt: skip
    assert study.max_trials == grid_size(space_of(study.space)) + 1 == 7
    job = job_claim(job_id=studies.study_jobs(study)[0].pk)
    assert job is not None
    seen = []
    while row := trials.trial_claim(study_id=study.pk, job_id=job.pk, claim=job.worker):
        seen.append(tuple(sorted(row.params.items())))
        StudyTrial.objects.filter(pk=row.pk).update(state=TrialState.COMPLETE, value=0.1)
    assert len(seen) == 7
    assert len(set(seen[1:])) == 6


def test_two_workers_share_a_study_and_a_dead_ones_trial_is_taken_over(ease: Recipe) -> None:
    study = studies.study_create(recipe=ease, space=SPACE, max_trials=3, workers=2)
    first, second = (job_claim(job_id=one.pk) for one in studies.study_jobs(study))
    assert first is not None
    assert second is not None

    def claim(job: Job) -> StudyTrial | None:
        return trials.trial_claim(study_id=study.pk, job_id=job.pk, claim=job.worker)

    mine, theirs = claim(first), claim(second)
    assert mine is not None
    assert theirs is not None
    assert (mine.number, theirs.number) == (0, 1)
    Job.objects.filter(pk=second.pk).update(status=JobStatus.QUEUED, worker="")
    taken = claim(first)  # the first one's own would be too, had it not finished
    assert taken is not None
    StudyTrial.objects.filter(pk=mine.pk).update(state=TrialState.COMPLETE, value=0.1)
    taken = claim(first)
    assert taken is not None
    assert (taken.number, taken.params, taken.claim) == (1, theirs.params, first.worker)
    with pytest.raises(Exception, match="no longer"):
        trials.trial_store(trial=theirs, claim=second.worker, value=0.9)


def test_what_fails_each_time_is_given_up(ease: Recipe) -> None:
    study = studies.study_create(recipe=ease, space=SPACE, max_trials=2)
    job = job_claim(job_id=studies.study_jobs(study)[0].pk)
    assert job is not None
    for attempt in (1, 2, 3):
        row = trials.trial_claim(study_id=study.pk, job_id=job.pk, claim=job.worker)
        assert row is not None
        assert (row.number, row.attempts) == (0, attempt)
    row = trials.trial_claim(study_id=study.pk, job_id=job.pk, claim=job.worker)
    assert row is not None
    assert row.number == 1
    assert study.trials.get(number=0).state == TrialState.FAILED


def test_settings_that_cannot_be_fitted_fail_their_trial_only(ease: Recipe) -> None:
    shop_plant()
    study = studies.study_create(recipe=ease, space=SPACE, max_trials=2)
    Study.objects.filter(pk=study.pk).update(base={**study.base, "max_items": 1})
    run(study)
    assert studies.study_jobs(study)[0].status == JobStatus.DONE
    assert study.trials.count() == 2


def test_a_study_stops_goes_on_and_has_a_budget(ease: Recipe) -> None:
    shop_plant()
    study = studies.study_create(recipe=ease, space=SPACE, max_trials=3)
    with pytest.raises(Conflict, match="tuned already"):
        studies.study_create(recipe=ease, space=SPACE)
    with pytest.raises(Conflict, match="under way"):
        studies.study_resume(study=study)
    studies.study_cancel(study=study)
    run(study)
    assert study.trials.count() == 0
    studies.study_resume(study=study)
    run(study)
    assert study.trials.count() == 3
    studies.study_resume(study=study, more_trials=2)
    run(study)
    assert study.trials.count() == 5
    StudyTrial.objects.filter(study=study, number=0).update(seconds=10_000)
    studies.study_resume(study=study, more_trials=2)
    run(study)
    assert study.trials.count() == 5, "the seconds are used up"


def test_wrong_numbers_are_named(ease: Recipe) -> None:
    for wrong in ({"max_trials": 1}, {"workers": 99}, {"budget_seconds": 0}, {"sampler": "x"}, {"goal": "x"}):
        with pytest.raises(InvalidInput):
            studies.study_create(recipe=ease, space=SPACE, **wrong)
    assert not Study.objects.exists()
    study = studies.study_create(recipe=ease, space=SPACE)
    with pytest.raises(Conflict, match="has finished yet"):
        studies.study_apply(study=study)
    job_cancel(job_id=studies.study_jobs(study)[0].pk)
