"""Writes: drafts of experiments and their variants. What is done with one is in `lifecycle` and `deciding`.

All of it can be imported from here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import Conflict, InvalidInput
from apps.experiments.copying import code_free, variants_copy
from apps.experiments.deciding import experiment_decide, experiment_undo
from apps.experiments.design import (
    PARSERS,
    WHEN_ENDED,
    WHILE_OPEN,
    code_parse,
    end_check,
    fields_take,
    primary_check,
)
from apps.experiments.layers import (
    HOLDOUT,
    layer_create,
    layer_holdout,
    layer_main,
    salt_make,
    slice_check,
    slice_find,
)
from apps.experiments.lifecycle import (
    experiment_end,
    experiment_launch,
    experiment_pause,
    experiment_ramp,
    experiment_resume,
    experiment_traffic_set,
)
from apps.experiments.models import (
    BUCKETS,
    Experiment,
    ExperimentKind,
    ExperimentStatus,
    Layer,
    Variant,
    VariantPublication,
    View,
)
from apps.experiments.trail import (
    DESIGN,
    experiment_audit,
    experiment_facts,
    experiment_lock,
    experiment_log,
)
from apps.experiments.variants import Arm, arms_parse, arms_store, trials_unused_delete
from apps.merchandising.models import Placement

__all__ = [
    "experiment_copy",
    "experiment_create",
    "experiment_decide",
    "experiment_delete",
    "experiment_end",
    "experiment_launch",
    "experiment_pause",
    "experiment_ramp",
    "experiment_resume",
    "experiment_traffic_set",
    "experiment_undo",
    "experiment_update",
    "layer_create",
    "variants_set",
]
# A share small enough to cost little, large enough to see a year's work by.
HOLDOUT_SHARE = 0.05


def _placements(codes: Any) -> list[Placement]:
    if not isinstance(codes, list | tuple) or not all(isinstance(one, str) for one in codes):
        raise InvalidInput(field="placements", value=codes, remedy="Give a list of placement codes.")
    found = {one.code: one for one in Placement.objects.filter(code__in=codes, archived_at=None)}
    for code in codes:
        if code not in found:
            known = ", ".join(Placement.objects.filter(archived_at=None).values_list("code", flat=True))
            raise InvalidInput(field="placements", value=code, remedy=f"Choose among {known or 'none'}.")
    return [found[code] for code in dict.fromkeys(codes)]


def _layer(experiment: Experiment, code: Any, actor: User | None) -> Layer:
    """The layer of this code; "": a new one for this experiment alone."""
    if experiment.kind == ExperimentKind.HOLDOUT:
        return layer_holdout()
    if code == "":
        name = experiment.code
        found = Layer.objects.filter(code=name).first()
        return found or layer_create(code=name, name=experiment.name, actor=actor)
    layer = Layer.objects.filter(code=code).exclude(code=HOLDOUT).first() if isinstance(code, str) else None
    if layer is None:
        known = ", ".join(Layer.objects.exclude(code=HOLDOUT).values_list("code", flat=True))
        raise InvalidInput(field="layer", value=code, remedy=f"Choose one of {known}.")
    return layer


@transaction.atomic
def experiment_create(*, actor: User | None, fields: Mapping[str, Any]) -> Experiment:
    """A draft. fields: code, kind (ab unless given), and any that `experiment_update` takes.

    It gets a free slice of the main layer, of the whole of it where that is free, unless `layer` is given. A
    holdout gets its layer and its two variants. Raises InvalidInput at the field, Conflict for a code in use.
    """
    kind = fields.get("kind", ExperimentKind.AB)
    if kind not in ExperimentKind.values:
        kinds = ", ".join(ExperimentKind.values)
        raise InvalidInput(field="kind", value=kind, remedy=f"Choose one of {kinds}.")
    code = code_parse("code", fields.get("code"))
    if Experiment.objects.filter(code=code).exists():
        raise Conflict(f"There is an experiment {code!r} already. Choose another code.")
    if "name" not in fields:
        raise InvalidInput(field="name", value="", remedy="Write 1 to 80 characters.")
    layer = layer_holdout() if kind == ExperimentKind.HOLDOUT else layer_main()
    experiment = Experiment(code=code, kind=kind, layer=layer, salt=salt_make(), created_by=actor)
    if kind not in (ExperimentKind.HOLDOUT, ExperimentKind.SWITCHBACK):
        experiment.layer_from, experiment.layer_to = slice_find(layer) or (0, BUCKETS)
    rest = {name: value for name, value in fields.items() if name not in ("code", "kind")}
    _take(experiment, rest, actor)
    if kind == ExperimentKind.HOLDOUT:
        held = Arm("holdout", "Holdout", HOLDOUT_SHARE, True, {})
        arms_store(experiment, [held, Arm("everyone", "Everybody else", 1 - HOLDOUT_SHARE, False, {})], actor)
    experiment_log(experiment, "created", actor)
    experiment_audit(experiment, "create", actor, None)
    return experiment


def _take(experiment: Experiment, fields: Mapping[str, Any], actor: User | None) -> list[str]:
    """Put fields on a draft and save it; returns those that changed."""
    own = {name: value for name, value in fields.items() if name not in ("placements", "layer")}
    if experiment.kind == ExperimentKind.HOLDOUT and fields.get("placements"):
        remedy = "A holdout is over all placements; leave this empty."
        raise InvalidInput(field="placements", value=fields["placements"], remedy=remedy)
    changed = fields_take(experiment, own)
    placements = _placements(fields["placements"]) if "placements" in fields else None
    if "layer" in fields:
        layer = _layer(experiment, fields["layer"], actor)
        if layer.pk != experiment.layer_id:
            changed.append("layer")
            experiment.layer = layer
    experiment.save()
    now = set(experiment.placements.values_list("pk", flat=True))
    wanted = now if placements is None else {one.pk for one in placements}
    if now != wanted:
        changed.append("placements")
        VariantPublication.objects.filter(variant__experiment=experiment, placement__in=now - wanted).delete()
        experiment.placements.set(wanted)
    if {"layer", "layer_from", "layer_to"} & set(changed):
        slice_check(experiment, wanted)  # a draft may wait in a slice that is held; the launch looks again
    return changed


@transaction.atomic
def experiment_update(*, actor: User | None, experiment_id: int, fields: Mapping[str, Any]) -> Experiment:
    """Change a design. Of one that runs only what neither moves units nor bends what is judged: `WHILE_OPEN`,
    and its traffic, upwards; a field that keeps its value is no change. InvalidInput at the field.

    fields: those of `design.PARSERS`, placements (codes) and layer (code; "": a new one of its own). A
    primary
    metric that no event feeds is refused.
    """
    experiment = experiment_lock(experiment_id)
    before = experiment_facts(experiment)
    for name in ("code", "kind"):
        if name in fields and fields[name] != getattr(experiment, name):
            remedy = "It stays what it was made as. Make another experiment."
            raise InvalidInput(field=name, value=fields[name], remedy=remedy)
    fields = {name: value for name, value in fields.items() if name not in ("code", "kind")}
    if experiment.status == ExperimentStatus.DRAFT:
        if "primary" in fields:
            primary_check(PARSERS["primary"]("primary", fields["primary"]))
        changed = _take(experiment, fields, actor)
    else:
        rest = {name: value for name, value in fields.items() if name != "traffic"}
        changed = _take_open(experiment, rest)
    if changed:
        experiment_log(experiment, "edited", actor, fields=changed)
        experiment_audit(experiment, "update", actor, before)
    traffic = fields.get("traffic", experiment.traffic)
    if traffic != experiment.traffic:
        return experiment_traffic_set(actor=actor, experiment_id=experiment_id, traffic=traffic)
    return experiment


def _take_open(experiment: Experiment, fields: Mapping[str, Any]) -> list[str]:
    """Take what may change of a launched experiment; anything else that differs is refused."""
    may = WHEN_ENDED if experiment.status == ExperimentStatus.ENDED else WHILE_OPEN
    if experiment.view == View.FIXED:
        may = may - {"ends_at"}  # its level holds for one look, at the end that was planned
    allowed, changed = {}, []
    for name, value in fields.items():
        if name == "planned_days" and value is None:
            continue
        if name == "placements":
            same = set(value) == set(experiment.placements.values_list("code", flat=True))
        elif name == "layer":
            same = value == experiment.layer.code
        elif name in PARSERS:
            same = PARSERS[name](name, value) == getattr(experiment, name)
        else:
            raise InvalidInput(field=name, value=value, remedy=f"Change one of {', '.join(sorted(may))}.")
        if same:
            continue
        if name not in may:
            remedy = (
                "Shoppers have seen it as it is, so this can't change. End it, copy it and change the copy."
            )
            raise InvalidInput(field=name, value=value, remedy=remedy)
        allowed[name] = value
    for name, value in allowed.items():
        setattr(experiment, name, PARSERS[name](name, value))
        changed.append(name)
    if "ends_at" in allowed:
        end_check(experiment)
    if changed:
        experiment.save()
    return changed


@transaction.atomic
def variants_set(
    *, actor: User | None, experiment_id: int, variants: Sequence[Mapping[str, Any]]
) -> list[Variant]:
    """Make the variants of a draft just these, in this order.

    variants: {"code", "name", "share", "is_control", "blends": {placement code: {"from": "live" | "draft" |
    <publication number>, "weights", "rules", "page_size", "versions"}}}. A part that is not given is that of
    `from`, a placement that is not given is live; control is always what is live at the launch. Without
    placements the storefront shows its own features and asks who gets what.

    Of a launched experiment only names may change. InvalidInput names the place, as variants.<variant>.share.
    """
    experiment = experiment_lock(experiment_id)
    before = experiment_facts(experiment)
    arms = arms_parse(variants, kind=experiment.kind)
    if experiment.status == ExperimentStatus.DRAFT:
        arms_store(experiment, arms, actor)
    else:
        _names_set(experiment, arms)
    if experiment_facts(experiment)["variants"] != before["variants"]:
        experiment_log(experiment, "edited", actor, fields=["variants"])
        experiment_audit(experiment, "update", actor, before)
    return list(experiment.variants.all())


def _names_set(experiment: Experiment, arms: Sequence[Arm]) -> None:
    rows = {one.code: one for one in experiment.variants.all()}
    state = "ran" if experiment.status == ExperimentStatus.ENDED else "is running"
    asked = {one.code: one for one in arms}
    for code, row in rows.items():
        if code not in asked:
            remedy = (
                f"It {state} and shoppers have seen it: a variant can't be taken out. End the "
                f"experiment, or copy "
                "it without this variant."
            )
            raise InvalidInput(field=f"variants.{code}", value=row.name, remedy=remedy)
    for code, arm in asked.items():
        if code not in rows:
            remedy = f"It {state}: a variant can't join. Copy the experiment and add it there."
            raise InvalidInput(field=f"variants.{code}", value=arm.name, remedy=remedy)
    for code, arm in asked.items():
        known = rows[code]
        if abs(known.share - arm.share) > 1e-9 or known.is_control != arm.is_control or arm.blends:
            remedy = f"It {state}: only a variant's name can change. Copy the experiment to change more."
            raise InvalidInput(field=f"variants.{code}.share", value=arm.share, remedy=remedy)
        if known.name != arm.name:
            known.name = arm.name
            known.save(update_fields=["name"])


@transaction.atomic
def experiment_delete(*, actor: User | None, experiment_id: int) -> None:
    """Delete a draft with its trial publications. What was launched stays: Conflict."""
    experiment = experiment_lock(experiment_id)
    if experiment.status != ExperimentStatus.DRAFT:
        ended = experiment.status == ExperimentStatus.ENDED
        ask = "Its results stay." if ended else "End it instead; its results stay."
        raise Conflict(
            f"{experiment.name!r} is {experiment.status}: shoppers have taken part, so it can't be "
            f"deleted. {ask}"
        )
    placements = list(experiment.placements.all())
    experiment_audit(experiment, "delete", actor, experiment_facts(experiment), after={})
    experiment.delete()
    trials_unused_delete(placements)


@transaction.atomic
def experiment_copy(*, actor: User | None, experiment_id: int, name: str = "", code: str = "") -> Experiment:
    """A draft of the same design, with new randomisation, a free slice and no end date.

    Its variants show the same publications; control is what is live now.
    """
    source = experiment_lock(experiment_id)
    called = (name.strip() or f"{source.name} (copy)")[:80]
    fields = {one: getattr(source, one) for one in DESIGN if one not in ("name", "layer_from", "layer_to")}
    if source.ramp:  # where its traffic stands is no part of its design
        fields["traffic"] = 1.0
    named = {"code": code or code_free(called), "kind": source.kind, "name": called}
    made = experiment_create(actor=actor, fields={**fields, **named})
    if source.kind not in (ExperimentKind.HOLDOUT, ExperimentKind.SWITCHBACK):
        made.layer, now = source.layer, (source.layer_from, source.layer_to)
        made.layer_from, made.layer_to = slice_find(source.layer, now[1] - now[0]) or now
        made.save()
    if source.kind != ExperimentKind.HOLDOUT:
        made.placements.set(source.placements.filter(archived_at=None))
    variants_copy(source, made)
    experiment_log(made, "copied", actor, source=source.code)
    return made
