"""The registry of model versions: register, promote through the gate, roll back. Loads no torch."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.training import gate, gate_words
from apps.training.evaluations import Judgement, judged_read
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus

KEPT_VERSIONS = 3


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run hands over: the finished folder, its figures, and the gate's verdict."""

    folder: Path
    metrics: dict[str, Any]
    verdict: gate.Verdict
    snapshot_hash: str
    code_version: str
    example: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    importance: dict[str, float] = field(default_factory=dict)
    leading: list[int] = field(default_factory=list)


def artifacts_dir(recipe_code: str) -> Path:
    """Where the versions of a recipe are kept, one folder a version."""
    return Path(settings.SHOP_DIR) / "artifacts" / recipe_code


def eval_judgement(version: ModelVersion) -> Judgement | None:
    """The lists and figures the version was judged by; None when its folder has lost them."""
    return judged_read(Path(version.artifact_path) / "eval")


@transaction.atomic
def version_register(*, run: TrainingRun, trained: Trained) -> ModelVersion:
    """Give the trained folder its number and its row. A run has one version at most."""
    recipe = Recipe.objects.select_for_update().get(pk=run.recipe_id)
    number = (ModelVersion.objects.filter(recipe=recipe).aggregate(n=Max("number"))["n"] or 0) + 1
    home = artifacts_dir(recipe.code) / str(number)
    if home.exists():  # left by a process that died before its row was committed
        shutil.rmtree(home)
    trained.folder.rename(home)
    return ModelVersion.objects.create(
        recipe=recipe,
        run=run,
        number=number,
        status=VersionStatus.CANDIDATE if trained.verdict.passed else VersionStatus.REFUSED,
        artifact_path=str(home),
        config=run.config,
        metrics=trained.metrics,
        gate=trained.verdict.to_dict(),
        example={
            "shown": trained.example,
            "importance": trained.importance,
            "leading": trained.leading,
        },
        cost=trained.cost,
        snapshot_hash=trained.snapshot_hash,
        code_version=trained.code_version,
        seed=recipe.seed,
    )


def version_live(recipe: Recipe) -> ModelVersion | None:
    """The recipe's live version."""
    return ModelVersion.objects.filter(recipe=recipe, status=VersionStatus.LIVE).first()


def versions_prune(*, recipe: Recipe) -> list[int]:
    """Delete the folders of old versions; their rows and figures stay. Returns their numbers.

    Kept are the live version and the newest KEPT_VERSIONS others by promotion or, never promoted, by number.
    """
    others = ModelVersion.objects.filter(recipe=recipe).exclude(status=VersionStatus.LIVE)
    ordered = others.order_by(F("promoted_at").desc(nulls_last=True), "-number")
    promoted = [version for version in ordered if version.promoted_at is not None]
    never = [version for version in ordered if version.promoted_at is None]
    gone = []
    for version in [*promoted[KEPT_VERSIONS:], *never[KEPT_VERSIONS:]]:
        folder = Path(version.artifact_path)
        if folder.is_dir():
            shutil.rmtree(folder)
            gone.append(version.number)
    return gone


def gate_now(version: ModelVersion) -> list[str]:
    """Why the version may not go live at this moment; empty when it may.

    Popularity was judged when it was trained; the live version may have changed since, so it is compared
    again, on the lists both were judged by.
    """
    stored = version.gate or {}
    reasons = list(stored.get("by_popularity", []))
    live = version_live(version.recipe)
    if live is None or live.pk == version.pk:
        return reasons
    if live.snapshot_hash != version.snapshot_hash:
        if stored.get("live_number") == live.number:  # its settings were judged on this very snapshot
            return reasons + list(stored.get("by_live", []))
        return [
            *reasons,
            gate_words.reason(gate_words.OTHER_SNAPSHOT, number=live.number),
        ]
    mine, theirs = eval_judgement(version), eval_judgement(live)
    if mine is None or theirs is None:
        return [*reasons, gate_words.LISTS_MISSING]
    checks = gate.compare(family=version.recipe.family, new=mine, other=theirs, against="live")
    return reasons + gate.live_reasons(checks=checks)


@transaction.atomic
def version_promote(*, version: ModelVersion, by: User | None = None, reason: str = "") -> ModelVersion:
    """Make the version live. Against the gate it needs a reason, which is kept; else Conflict.

    Promoting the live version changes nothing. Serving builds lists for whatever is live by itself.
    """
    recipe = Recipe.objects.select_for_update().get(pk=version.recipe_id)
    version = ModelVersion.objects.select_related("recipe").get(pk=version.pk)
    if version.status == VersionStatus.LIVE:
        return version
    refused = gate_now(version)
    if refused and not reason.strip():
        raise Conflict(
            _("%(version)s may not go live: %(reasons)s Give a reason to promote it all the same.")
            % {"version": version, "reasons": " ".join(map(gate_words.reason_told, refused))}
        )
    return _go_live(
        version=version,
        recipe=recipe,
        by=by,
        reason=reason.strip() if refused else "",
        verb="version.promote",
    )


def rollback_target(recipe: Recipe) -> ModelVersion | None:
    """What was live before the present version; None when there is nothing to return to."""
    live = version_live(recipe)
    earlier = ModelVersion.objects.filter(recipe=recipe, status=VersionStatus.RETIRED)
    if live is not None and live.promoted_at is not None:
        earlier = earlier.filter(promoted_at__lt=live.promoted_at)
    return earlier.order_by(F("promoted_at").desc(nulls_last=True)).first()


@transaction.atomic
def version_rollback(*, recipe: Recipe, by: User | None = None, reason: str = "") -> ModelVersion:
    """Make live what was live before the present version; Conflict when there is nothing to return to."""
    recipe = Recipe.objects.select_for_update().get(pk=recipe.pk)
    target = rollback_target(recipe)
    if target is None:
        raise Conflict(
            _("%(recipe)s has no earlier version to return to; train it again instead.")
            % {"recipe": recipe.name}
        )
    return _go_live(version=target, recipe=recipe, by=by, reason=reason.strip(), verb="version.rollback")


def _go_live(
    *, version: ModelVersion, recipe: Recipe, by: User | None, reason: str, verb: str
) -> ModelVersion:
    if not Path(version.artifact_path).is_dir():
        raise InvalidInput(
            field="version",
            value=version,
            remedy=_("Its folder %(folder)s is gone; train again.") % {"folder": version.artifact_path},
        )
    live = version_live(recipe)
    if live is not None:
        ModelVersion.objects.filter(pk=live.pk).update(status=VersionStatus.RETIRED)
    first = version.promoted_at is None
    version.status = VersionStatus.LIVE
    # A version that returns keeps its date, so that rolling back twice goes two steps back.
    version.promoted_at = clock.now() if first or verb == "version.promote" else version.promoted_at
    version.promoted_by = by
    version.override_reason = reason
    version.save(update_fields=["status", "promoted_at", "promoted_by", "override_reason", "updated_at"])
    audit_record(
        actor=by,
        verb=verb,
        object_type="version",
        object_id=version.pk,
        object_label=str(version),
        before={"live": live.number if live else None},
        after={"live": version.number},
        reason=reason,
    )
    return version
