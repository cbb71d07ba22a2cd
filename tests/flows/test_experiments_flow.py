"""Experiments played by the traffic simulator over HTTP: a truly better page, one that is the same in another
guise, and a harmful one. The platform ships the first, goes on with the second and rolls the third back.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from apps.accounts.services import api_client_create
from apps.core import clock
from apps.events.models import Exposure
from apps.experiments.models import BUCKETS, Decision, Experiment, ExperimentStatus
from apps.experiments.services import experiment_create, experiment_launch, variants_set
from apps.experiments.watching import experiment_watch
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, placements_ensure, publication_publish
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.seeding import demo_seed
from apps.portal.demo.traffic import Crowd
from apps.portal.demo.truth import stage_load
from apps.serving.batch import lists_missing_build
from recoportal.client import RecoPortal
from tests.processes import RealProcess

GOOD = {"als": 0.5, "ease": 0.7}
# Of what anybody likes only the dear things.
ONLY_DEAR = [{"id": "dear", "kind": "filter", "condition": {"field": "price", "op": "gte", "value": 150}}]


def design(name: str, blend: Mapping[str, Any], **fields: Any) -> Experiment:
    """An experiment on the home page, launched two days ago."""
    with clock.pinned(clock.now() - timedelta(days=2)):
        made = experiment_create(
            actor=None,
            fields={
                "code": name,
                "name": name,
                "hypothesis": "Shoppers find more to look at.",
                "placements": ["home"],
                "primary": "ctr",
                "min_days": 1,
                "min_units": 60,
                "auto_ship": True,
                **fields,
            },
        )
        control = {"code": "control", "name": "Today", "share": 0.5, "is_control": True, "blends": {}}
        other = {"code": "b", "name": name, "share": 0.5, "is_control": False, "blends": {"home": blend}}
        variants_set(actor=None, experiment_id=made.pk, variants=[control, other])
        return experiment_launch(actor=None, experiment_id=made.pk)


def watched(*experiments: Experiment) -> list[str]:
    """What beat's task does by itself with each."""
    done = [experiment_watch(experiment_id=one.pk) for one in experiments]
    for one in experiments:
        one.refresh_from_db()
    return done


@pytest.mark.slow
def test_the_better_ships_the_equal_stays_and_the_harmful_is_rolled_back(
    live_site: RealProcess, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    demo_seed(size=Size(600, 900, 60, 5), end=clock.now())
    placements_ensure()
    call_command("train_now", recipes="popular,als,ease", inline=True, stdout=StringIO())
    lists_missing_build()
    home = Placement.objects.get(code="home")
    draft = draft_save(placement=home, revision=home.draft.revision, rules=ONLY_DEAR)
    poor = publication_publish(placement=home, revision=draft.revision)
    _, key = api_client_create(name="storefront", scopes=("recommend", "events"))
    crowd = Crowd(stage_load(), RecoPortal(live_site.url, key), seed=4, attention=1.0)
    visits = count()

    def play(sessions: int) -> None:
        time.sleep(2)  # what is live now is served by every process two seconds later
        for _ in range(sessions):
            crowd.play_one(next(visits))
        live_site.wait_until("exposures", lambda: Exposure.objects.count() >= crowd.tally.slates)

    play(40)  # a rate needs slates that were clicked before it can be a primary metric
    better = design("better", {"from": "live", "weights": GOOD, "rules": []})
    play(420)
    assert watched(better) == ["shipped"]
    assert (better.status, better.decision, better.winner) == (ExperimentStatus.ENDED, Decision.SHIP, "b")
    home.refresh_from_db()
    good = home.live_publication
    assert good is not None
    assert (good.weights, good.rules, good.trial) == (GOOD, [], False)
    assert good.number > poor.number

    half = BUCKETS // 2
    # one source's weight alone changes no order
    same = {"from": "live", "weights": {"als": 0.25, "ease": 0.35}}
    equal = design("equal", same, layer_to=half)
    guard = [{"metric": "ctr", "margin": 0.02}]
    harmful = design(
        "harmful",
        {"from": "live", "rules": ONLY_DEAR},
        layer_from=half,
        primary="conversion",
        guardrails=guard,
    )
    play(900)
    assert watched(equal, harmful) == ["", "rolled_back"]
    assert equal.status == ExperimentStatus.RUNNING
    assert equal.readout.analysis["verdict"]["action"] in ("keep_running", "keep_control")
    assert equal.readout.analysis["srm"]["alarm"] == "none"
    assert (harmful.status, harmful.decision) == (ExperimentStatus.ENDED, Decision.ROLL_BACK)
    home.refresh_from_db()
    assert home.live_publication_id == good.pk

    # and nobody gets the harmful page any more
    assert Exposure.objects.filter(experiment_id=harmful.pk, variant="b").exists()
    bad = harmful.variants.get(code="b").publications.get().publication
    time.sleep(2)
    asked = {crowd.client.slate("home", shopper=name, n=4).publication for name in crowd.stage.shoppers[:60]}
    assert good.number in asked
    assert bad.number not in asked
