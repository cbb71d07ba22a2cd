"""What the models pages show of recipes, runs and versions, gathered in a few queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.clock import now
from apps.jobs.selectors import job_eta_seconds, job_seconds
from apps.merchandising.models import Placement
from apps.portal.words.sources import SourceName, sources_named
from apps.training.config_fields import FamilyFacts, family_facts
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus
from apps.training.selectors import recipes_list, runs_recent, version_is_stale

Names = Mapping[str, SourceName]
PROTOCOLS = ("new", "all")
MEASURES = (
    ("ndcg10", "NDCG@10"),
    ("recall20", "Recall@20"),
    ("mrr10", "MRR@10"),
    ("hit10", "Hit@10"),
    ("coverage10", "Coverage@10"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one version; `best` marks the highest of its row among versions of one snapshot."""

    value: float | None
    low: float | None
    high: float | None
    best: bool = False


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run with its job's times."""

    run: TrainingRun
    source: SourceName
    seconds: float | None
    left: float | None
    epoch: dict[str, Any] | None

    @property
    def percent(self) -> int:
        """How far, 0 to 100."""
        return round(self.run.job.progress * 100)

    @property
    def version(self) -> ModelVersion | None:
        """What the run made; None when it made nothing (yet)."""
        return getattr(self.run, "version", None)


@dataclass(frozen=True, slots=True)
class RecipeLine:
    """A recipe with its family, what is live, and the run that is on its way."""

    recipe: Recipe
    source: SourceName
    family: FamilyFacts
    live: ModelVersion | None
    figures: dict[str, Cell]
    stale: bool
    running: RunLine | None
    last: TrainingRun | None

    @property
    def in_use(self) -> bool:
        """Whether it trains, or feeds slates."""
        return self.recipe.archived_at is None and (self.recipe.active or self.live is not None)


def cell(version: ModelVersion, protocol: str, measure: str) -> Cell:
    """A stored figure with its interval."""
    figures = version.metrics.get(protocol, {})
    low, high = figures.get("intervals", {}).get(measure, (None, None))
    return Cell(figures.get(measure), low, high)


def run_line(run: TrainingRun, names: Names | None = None) -> RunLine:
    """A run with its job's times and its last epoch."""
    moment = now()
    source = (names or sources_named())[run.recipe.code]
    epochs = [row for row in run.history if row.get("epoch")]
    return RunLine(
        run,
        source,
        job_seconds(run.job, at=moment),
        job_eta_seconds(run.job, at=moment),
        epochs[-1] if epochs else None,
    )


def recipe_lines() -> list[RecipeLine]:
    """Every recipe: those in use in the order of the source colours, then the others by name."""
    recipes = list(recipes_list())
    latest: dict[int, TrainingRun] = {}
    for run in runs_recent(limit=20 * max(1, len(recipes))):
        latest.setdefault(run.recipe_id, run)
    names = sources_named()
    lines = [recipe_line(recipe, latest.get(recipe.pk), names) for recipe in recipes]
    used = [line for line in lines if line.in_use]
    rest = sorted((line for line in lines if not line.in_use), key=lambda one: one.source.name.casefold())
    return used + rest


def run_lines(runs: Iterable[TrainingRun]) -> list[RunLine]:
    """Runs with their jobs' times."""
    names = sources_named()
    return [run_line(run, names) for run in runs]


def recipe_line(recipe: Recipe, last: TrainingRun | None, names: Names | None = None) -> RecipeLine:
    """One recipe; `last` is its newest run."""
    names = names or sources_named()
    found: list[ModelVersion] = getattr(recipe, "live_versions", [])
    live = found[0] if found else None
    if live is not None:
        live.recipe = recipe
    return RecipeLine(
        recipe=recipe,
        source=names[recipe.code],
        family=family_facts(recipe.family),
        live=live,
        figures={protocol: cell(live, protocol, "ndcg10") for protocol in PROTOCOLS} if live else {},
        stale=version_is_stale(live) if live else False,
        running=run_line(last, names) if last and not last.job.is_final else None,
        last=last,
    )


@dataclass(frozen=True, slots=True)
class VersionColumn:
    """A version in the comparison: its figures by row, and the paired difference to the live one."""

    version: ModelVersion
    cells: list[Cell]
    comparable: bool
    popular: dict[str, Any] | None
    live: dict[str, Any] | None


def version_columns(versions: Sequence[ModelVersion], protocol: str) -> list[VersionColumn]:
    """Versions side by side on one protocol; only those of the live one's snapshot can be compared fairly."""
    live = next((one for one in versions if one.status == VersionStatus.LIVE), None)
    base = live or (versions[0] if versions else None)
    return [
        VersionColumn(
            version=one,
            cells=[_marked(versions, one, base, protocol, measure) for measure, _ in MEASURES],
            comparable=base is None or one.snapshot_hash == base.snapshot_hash,
            popular=_check(one, protocol, "popular"),
            live=_check(one, protocol, "live"),
        )
        for one in versions
    ]


def _check(version: ModelVersion, protocol: str, against: str) -> dict[str, Any] | None:
    """The gate's paired difference of this protocol against popularity or what was live; None without one."""
    found = (one for one in version.gate.get("checks", []) if one["protocol"] == protocol)
    return next((one for one in found if one["against"] == against), None)


def _marked(
    versions: Iterable[ModelVersion],
    one: ModelVersion,
    base: ModelVersion | None,
    protocol: str,
    measure: str,
) -> Cell:
    found = cell(one, protocol, measure)
    rivals = [other for other in versions if base is None or other.snapshot_hash == base.snapshot_hash]
    values = [value for other in rivals if (value := cell(other, protocol, measure).value) is not None]
    best = found.value is not None and one in rivals and len(values) > 1 and found.value >= max(values)
    return Cell(found.value, found.low, found.high, best)


def placements_using(recipe_code: str) -> list[Placement]:
    """Placements whose live blend gives this source any weight."""
    found = Placement.objects.filter(archived_at=None, live_publication__isnull=False).select_related(
        "live_publication"
    )
    return [one for one in found if one.live_publication and one.live_publication.weights.get(recipe_code)]
