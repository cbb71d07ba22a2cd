"""A running experiment on the small shop's home page, with a readout of a known shape."""

from datetime import timedelta

from apps.accounts.models import User
from apps.core import clock
from apps.experiments.models import Experiment, Readout
from apps.experiments.results import Analysis
from apps.experiments.services import experiment_create, experiment_launch, variants_set
from tests.factories.shop import event, events_record
from tests.portal.experiment_samples import analysis_sample


def readout_store(experiment: Experiment, analysis: Analysis) -> None:
    """Make `analysis` the last readout."""
    Readout.objects.update_or_create(
        experiment=experiment,
        defaults={"computed_at": clock.now(), "units": 10_000, "analysis": analysis.as_json(), "error": ""},
    )


def experiment_make(actor: User) -> Experiment:
    """`taste`: a really different blend against what is live, launched at a tenth of its traffic."""
    at = (clock.now() - timedelta(hours=4)).isoformat()
    bought = [event("purchase", sku="P01", shopper=f"shopper-{n}", price=9.5, occurred_at=at) for n in (1, 2)]
    assert not events_record(*bought).rejected
    made = experiment_create(
        actor=actor,
        fields={
            "code": "taste",
            "name": "More taste",
            "hypothesis": "More taste, more orders.",
            "placements": ["home"],
            "secondary": ["ctr"],
            "guardrails": [{"metric": "revenue_per_shopper", "margin": 0.02}],
            "ramp": [0.1, 1.0],
        },
    )
    bold = {"home": {"from": "live", "weights": {"ease": 0.9}}}
    variants_set(
        actor=actor,
        experiment_id=made.pk,
        variants=[
            {"code": "control", "name": "Live", "share": 0.5, "is_control": True},
            {"code": "bold", "name": "Bold", "share": 0.5, "is_control": False, "blends": bold},
        ],
    )
    launched = experiment_launch(actor=actor, experiment_id=made.pk)
    readout_store(launched, analysis_sample())
    return launched
