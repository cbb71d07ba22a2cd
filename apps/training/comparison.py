"""All built-in recipes on one snapshot by the library's comparison: the published protocol, to the letter.

Only events of known shoppers train and judge, so that others can score the same lists from the same file.
Training runs, which may learn from anonymous baskets too, judge themselves (`training.evaluations`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from django.conf import settings

from apps.core import clock
from apps.datasets.models import Snapshot
from apps.ml.base import Progress, TrainOptions
from apps.ml.comparison import HYBRID, Comparison, compare
from apps.ml.dataset import Dataset
from apps.ml.evaluate import VARIANTS
from apps.ml.registry import FAMILIES
from apps.ml.topn import SERVED_LIST_LENGTH
from apps.training import evaluations, hybrid
from apps.training.models import Recipe
from apps.training.recipes import config_check
from apps.training.runs import ml_errors_mapped

LISTED = 20


def comparison_run(
    *, snapshot: Snapshot, on_progress: Callable[[float, str], None] | None = None
) -> Comparison:
    """Fit, list, tune and judge every built-in recipe as it is set; weights are chosen on the 30 days before
    the last 30, everything is judged on the last 30. Loads torch.
    """
    report = on_progress or (lambda fraction, message: None)
    recipes = {recipe.code: recipe for recipe in Recipe.objects.filter(code__in=FAMILIES, active=True)}
    configs = {
        code: config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
        for code, recipe in recipes.items()
    }

    def told(progress: Progress) -> None:
        report(progress.fraction, f"{progress.stage} {progress.message}")

    with ml_errors_mapped():
        return compare(
            Dataset.from_snapshot(snapshot.path).identified(),
            test_days=evaluations.TEST_DAYS,
            validation_days=evaluations.TEST_DAYS,
            configs=configs,
            families=[name for name, family in FAMILIES.items() if name in recipes and not family.composite],
            options=TrainOptions(device=settings.DEVICE, on_progress=told),
        )


def comparison_keep(*, found: Comparison, snapshot: Snapshot) -> hybrid.Hybrid:
    """Store the comparison's hybrid as the tuned one of the live versions."""
    outcome = found.hybrid.to_dict()
    kept = hybrid.Hybrid(
        snapshot_hash=snapshot.content_hash,
        versions={code: version.pk for code, version in hybrid.live_versions().items()},
        tuned_at=clock.now().isoformat(),
        normalisation=outcome["normalisation"],
        top_n=SERVED_LIST_LENGTH,
        test_days=evaluations.TEST_DAYS,
        weights={variant: dict(outcome["weights"][variant]) for variant in VARIANTS},
        metrics={variant: outcome[variant] for variant in VARIANTS},
        differences=outcome["paired_ndcg10"],
    )
    hybrid.hybrid_store(kept)
    return kept


def comparison_lists(*, found: Comparison) -> pd.DataFrame:
    """The best 20 of every test shopper by model (and hybrid) and protocol.

    Columns: model, protocol, user_id, rank (from 1), item_id, score.
    """
    parts = []
    for name in [*found.models, HYBRID]:
        for variant in VARIANTS:
            top = found.lists[name][variant]
            ids, scores = top.ids[:, :LISTED], top.scores[:, :LISTED]
            rows, columns = np.nonzero(ids >= 0)
            parts.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "protocol": variant,
                        "user_id": found.users[rows],
                        "rank": columns + 1,
                        "item_id": ids[rows, columns],
                        "score": scores[rows, columns],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
