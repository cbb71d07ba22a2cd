"""Optuna behind our own tables: what to try next, whether to stop early, which settings matter.

Each question rebuilds Optuna's study in memory from the trial rows, so the rows are the only truth, whichever
worker asks (apps/adr/0009). A study has some hundred trials at most; rebuilding takes milliseconds.
"""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from apps.training.models import Sampler, Study, StudyTrial, TrialState
from apps.training.spaces import Range, space_of

STARTUP_TRIALS = 6
PRUNE_AFTER = 3
IMPORTANCE_AFTER = 5
_STATES: dict[str, OptunaState] = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}
optuna.logging.set_verbosity(optuna.logging.WARNING)


def distribution(found: Range) -> BaseDistribution:
    """The range in Optuna's words."""
    if found.kind == "choice":
        return CategoricalDistribution(found.choices)
    if found.kind == "int":
        return IntDistribution(int(found.low), int(found.high), log=found.log and found.low >= 1)
    return FloatDistribution(found.low, found.high, log=found.log)


def _sampler(study: Study, space: Sequence[Range], number: int) -> optuna.samplers.BaseSampler:
    # A study rebuilt for each trial would draw the same numbers each time from one seed.
    seed = study.seed * 100_003 + number
    match study.sampler:
        case Sampler.GRID:
            return optuna.samplers.GridSampler({one.name: one.grid() for one in space}, seed=study.seed)
        case Sampler.RANDOM:
            return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed, constant_liar=True)


def _frozen(row: StudyTrial, space: Sequence[Range]) -> FrozenTrial | None:
    """The row in Optuna's words; None where its settings lie outside the space (the settings it began with
    may: "never" is no length).
    """
    if not all(one.name in row.params and one.holds(row.params[one.name]) for one in space):
        return None
    state = _STATES[row.state]
    done = state == OptunaState.COMPLETE
    return create_trial(
        state=state,
        value=row.value if done else None,
        params={one.name: row.params[one.name] for one in space},
        distributions={one.name: distribution(one) for one in space},
        system_attrs=dict(row.sampler_notes),
        intermediate_values=_steps(row),
    )


def _steps(row: StudyTrial) -> dict[int, float]:
    return {int(step): float(value) for step, value in row.steps.items()}


def _rebuilt(study: Study, rows: Sequence[StudyTrial]) -> tuple[optuna.Study, list[Range]]:
    space = space_of(study.space)
    made = optuna.create_study(direction="maximize", sampler=_sampler(study, space, len(rows)))
    made.add_trials([found for row in rows if (found := _frozen(row, space)) is not None])
    return made, space


def propose(study: Study, rows: Sequence[StudyTrial]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The next settings to try, and what the sampler wants remembered with them."""
    made, space = _rebuilt(study, rows)
    trial = made.ask({one.name: distribution(one) for one in space})
    notes = made.trials[-1].system_attrs
    return dict(trial.params), {name: notes[name] for name in ("grid_id", "search_space") if name in notes}


def should_stop_early(study: Study, row: StudyTrial, rows: Sequence[StudyTrial]) -> bool:
    """Whether the trial's last step lies below the median of the finished trials at that step."""
    made, space = _rebuilt(study, [one for one in rows if one.pk != row.pk])
    trial = _frozen(row, space)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER)
    return trial is not None and pruner.prune(made, trial)


def importances(study: Study, rows: Sequence[StudyTrial]) -> dict[str, float]:
    """How much of the differences between trials each setting explains (fANOVA), summing to 1; empty before
    there are enough trials, or where all ended alike.
    """
    made, space = _rebuilt(study, rows)
    done = [trial for trial in made.trials if trial.state == OptunaState.COMPLETE]
    if len(done) < IMPORTANCE_AFTER or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(n_trees=32, seed=study.seed)
    names = [one.name for one in space if len({trial.params[one.name] for trial in done}) > 1]
    if not names:
        return {}
    found = get_param_importances(made, evaluator=evaluator, params=names)
    return {name: round(float(share), 4) for name, share in found.items()}
