"""What the tests of the pages of experiments send: drafts through real services, forms as a browser does."""

from typing import Any

from apps.experiments.models import Experiment
from apps.experiments.services import experiment_create, variants_set

IDEA = {
    "name": "More taste", "template": "blend", "go": "variants",
    "hypothesis": "If taste counts more, more shoppers buy, because the first row fits them.",
}  # fmt: skip


def draft_make(code: str = "taste", weight: float | None = 0.9, **fields: Any) -> Experiment:
    """A draft on the home page; with `weight` its variant gives the taste match that weight."""
    facts = {"code": code, "name": code.title(), "hypothesis": "More fits.", "placements": ["home"]}
    facts |= {"primary": "cart_rate"} | fields
    made = experiment_create(actor=None, fields=facts)
    if weight is not None:
        blends = {"home": {"from": "live", "weights": {"als": weight, "ease": 0.1}}}
        variants_set(
            actor=None, experiment_id=made.pk,
            variants=[
                {"code": "control", "name": "As it is", "share": 0.5, "is_control": True},
                {"code": "b", "name": "Taste", "share": 0.5, "is_control": False, "blends": blends},
            ],
        )  # fmt: skip
    return made


def variants_form(**changes: str) -> dict[str, Any]:
    """The second step for the home page with one variant of another taste."""
    return {
        "go": "audience", "template": "blend", "placements": ["home"], "rows": ["0", "1"],
        "v.0.code": "control", "v.0.name": "As it is", "v.0.share": "50",
        "v.1.code": "b", "v.1.name": "Taste", "v.1.share": "50",
        "v.1.b.home.from": "live", "v.1.b.home.w.als": "0.9", "v.1.b.home.w.ease": "0.1",
    } | changes  # fmt: skip


def audience_form(**changes: str) -> dict[str, Any]:
    """The third step: everybody, all of the main layer, at once."""
    return {
        "go": "metrics", "known": "", "history": "", "layer": "main", "layer_from": "0", "layer_to": "100",
        "traffic": "100", "ramp": "", "ramp_hours": "24", "triggered": "served",
    } | changes  # fmt: skip


def metrics_form(**changes: str) -> dict[str, Any]:
    """The fourth step: cart rate decides, sessions are guarded."""
    return {
        "go": "check", "primary": "cart_rate", "mde": "5", "planned_days": "14", "view": "sequential",
        "power": "80", "alpha": "5", "correction": "holm", "cuped": "on", "min_days": "7", "min_units": "150",
        "auto_rollback": "on", "guard_sessions_per_shopper": "on", "margin_sessions_per_shopper": "2",
    } | changes  # fmt: skip
