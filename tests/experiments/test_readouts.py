"""From raw events to a readout: who counts, what is stored, and that both ways there say the same."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.core import clock
from apps.core.errors import Conflict, NotFound
from apps.events.identity import shopper_link
from apps.events.models import Exposure, Interaction, Shopper
from apps.experiments.layers import layer_main
from apps.experiments.models import DayMoments, Experiment, Readout, Variant
from apps.experiments.readouts import moments_readout, readout_refresh
from apps.experiments.results import analysis_read
from tests.metrics.conftest import Shop, moment, shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db

NOW = moment("14 12:00")
METRICS = ["revenue_per_shopper", "aov", "ctr", "sessions_per_shopper", "revenue_median"]


@pytest.fixture
def experiment(shop: Shop) -> Experiment:
    """Began on the tenth at eight; control and b in halves."""
    shop.product("a", price=10)
    made = Experiment.objects.create(
        code="x1", name="X one", layer=layer_main(), salt="x1", status="running",
        started_at=moment("10 08:00"), primary="conversion", secondary=METRICS,
        guardrails=[{"metric": "return_rate", "margin": 0.02}],
    )  # fmt: skip
    for position, code in enumerate(("control", "b")):
        Variant.objects.create(
            experiment=made, code=code, name=code, share=0.5, is_control=not position, position=position
        )
    return made


def expose(shop: Shop, experiment: Experiment, who: str, variant: str, at: str, session: str = "") -> None:
    request = shop.slate(who, at, "a", session=session)
    Exposure.objects.filter(request_id=request).update(experiment_id=experiment.pk, variant=variant)


def crowd(shop: Shop, experiment: Experiment) -> None:
    """Twelve shoppers, one a session without a name; every second one buys."""
    for number in range(12):
        who, session = (f"s{number}", "") if number else ("", "anon")
        variant = "control" if number % 2 else "b"
        expose(shop, experiment, who, variant, f"{10 + number % 3} 10:00", session)
        for day in (5, 12, 13):
            shop.event("view", who, f"{day:02} 11:00", "a", session=session)
        if number % 4 < 2:
            shop.event("purchase", who, "13 11:05", "a", session=session, quantity=1 + number)
        shop.event("purchase", who, "06 11:05", "a", session=session)
    Shopper.objects.filter(external_id__in=["s1", "s2", "s3"]).update(
        region="North", first_seen_at=moment("01 00:00")
    )


def refreshed(experiment: Experiment) -> Readout:
    found = readout_refresh(experiment_id=experiment.pk, now=NOW)
    assert found.error == ""
    return found


def stored(
    experiment: Experiment, day: int, metric: str, variant: str, segment: str = ""
) -> dict[str, float]:
    row = DayMoments.objects.get(
        experiment=experiment, day=day, metric=metric, variant=variant, segment=segment
    )
    return dict(row.moments)


def test_units_days_and_segments_are_stored(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    readout = refreshed(experiment)
    assert (readout.units, readout.through) == (12, NOW)
    analysis = analysis_read(readout.analysis)
    assert analysis.units == {"control": 6, "b": 6}
    assert analysis.elapsed_days == pytest.approx(4 + 4 / 24)
    assert [one.code for one in analysis.metrics] == ["conversion", *METRICS, "return_rate"]
    assert [stored(experiment, day, "conversion", "b")["n"] for day in range(1, 6)] == [2, 4, 6, 6, 6]
    assert stored(experiment, 3, "conversion", "b")["mean_y"] == 0
    assert stored(experiment, 5, "conversion", "b")["mean_y"] == pytest.approx(0.5)
    assert stored(experiment, 5, "conversion", "b")["mean_x"] == 1
    assert stored(experiment, 5, "", "control", "region:North")["n"] == 2
    assert stored(experiment, 5, "", "control", "history:returning")["n"] == 2
    assert "region:North" in analysis.segments


def test_refreshing_again_changes_nothing(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    first = refreshed(experiment).analysis
    rows = list(
        DayMoments.objects.order_by("pk").values_list("day", "metric", "variant", "segment", "moments")
    )
    assert refreshed(experiment).analysis == first
    again = DayMoments.objects.order_by("pk").values_list("day", "metric", "variant", "segment", "moments")
    assert list(again) == rows
    assert Readout.objects.count() == 1


def test_stored_moments_say_what_the_raw_events_said(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    readout = refreshed(experiment)
    Interaction.objects.all().delete()
    assert moments_readout(experiment).as_json() == readout.analysis


def test_who_saw_two_variants_is_left_out_and_counted(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    expose(shop, experiment, "s1", "b", "13 10:00")
    expose(shop, experiment, "s2", "b", "13 10:00")  # the same variant again
    expose(shop, experiment, "new", "gone", "13 10:00")  # no variant of the experiment
    analysis = analysis_read(refreshed(experiment).analysis)
    assert analysis.units == {"control": 5, "b": 6}
    assert analysis.excluded == {"multiple_exposure": 1, "unknown_variant": 1}
    assert analysis.multiple_exposed == pytest.approx(1 / 12)


def test_bots_and_outliers_are_left_out_and_counted(shop: Shop, experiment: Experiment) -> None:
    for number in range(80):
        expose(shop, experiment, f"s{number}", "control" if number % 2 else "b", "10 10:00")
        shop.event("view", f"s{number}", "10 11:00", "a")
    for _event in range(30):
        shop.event("view", "s0", "11 11:00", "a")
    shop.event("view", "s1", "11 11:00", "a", bot=True)
    analysis = analysis_read(refreshed(experiment).analysis)
    assert analysis.excluded == {"bot": 1, "outlier": 1}
    assert analysis.units == {"control": 39, "b": 39}


def test_merged_identities_are_one_unit(shop: Shop, experiment: Experiment) -> None:
    expose(shop, experiment, "visitor", "b", "10 10:00")
    expose(shop, experiment, "known", "b", "11 10:00")
    shop.event("purchase", "visitor", "10 10:05", "a")
    shop.event("purchase", "known", "11 10:05", "a")
    assert refreshed(experiment).units == 2
    with connection.cursor() as cursor:
        shopper_link(cursor, anonymous="visitor", shopper="known", at=NOW)
    assert refreshed(experiment).units == 1
    assert stored(experiment, 5, "revenue_per_shopper", "b")["mean_y"] == 20


def test_late_events_fall_on_their_day(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    refreshed(experiment)
    before = stored(experiment, 3, "conversion", "b")["mean_y"]
    shop.event("purchase", "s2", "12 10:30", "a")
    refreshed(experiment)
    assert stored(experiment, 3, "conversion", "b")["mean_y"] > before


def test_events_of_an_ended_experiment_come_in_for_a_day(shop: Shop, experiment: Experiment) -> None:
    expose(shop, experiment, "s1", "b", "10 10:00")
    shop.event("purchase", "s1", "12 10:00", "a")
    shop.event("purchase", "s1", "12 23:00", "a")
    Experiment.objects.update(status="ended", ended_at=moment("11 12:00"))
    readout = refreshed(experiment)
    assert readout.through == moment("12 12:00")
    assert stored(experiment, 3, "revenue_per_shopper", "b")["mean_y"] == 10
    analysis = analysis_read(readout.analysis)
    assert analysis.elapsed_days == pytest.approx(28 / 24)


def test_nobody_took_part_yet(experiment: Experiment) -> None:
    readout = refreshed(experiment)
    assert readout.units == 0
    assert analysis_read(readout.analysis).units == {"control": 0, "b": 0}


def test_only_one_process_counts_an_experiment(shop: Shop, experiment: Experiment) -> None:
    experiment_id, answers = experiment.pk, []

    def elsewhere() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(7031002, %s)", [experiment_id])
            answers.append(cursor.fetchone()[0])
            held.set()
            done.wait(10)
        connection.close()

    held, done = threading.Event(), threading.Event()
    other = threading.Thread(target=elsewhere)
    other.start()
    try:
        assert held.wait(10)
        with pytest.raises(Conflict, match="already"):
            readout_refresh(experiment_id=experiment_id, now=NOW)
    finally:
        done.set()
        other.join()
    assert answers == [True]
    refreshed(experiment)


def test_what_can_not_be_counted_is_refused(experiment: Experiment) -> None:
    with pytest.raises(NotFound):
        readout_refresh(experiment_id=experiment.pk + 1)
    with pytest.raises(Conflict, match="counted"):
        moments_readout(experiment)
    Experiment.objects.update(status="draft", started_at=None)
    with pytest.raises(Conflict, match="begun"):
        readout_refresh(experiment_id=experiment.pk)


def test_progress_rises_to_one(shop: Shop, experiment: Experiment) -> None:
    crowd(shop, experiment)
    told: list[float] = []
    readout_refresh(experiment_id=experiment.pk, now=NOW, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_day_is_the_shops(shop: Shop, experiment: Experiment) -> None:
    from apps.accounts.models import ShopSettings

    ShopSettings.objects.update(time_zone="Asia/Shanghai")
    expose(shop, experiment, "s1", "b", "10 15:59")
    expose(shop, experiment, "s2", "b", "10 16:00")  # midnight in Shanghai
    refreshed(experiment)
    assert [stored(experiment, day, "", "b")["n"] for day in (1, 2)] == [1, 2]


def test_holdout_counts_slates_that_another_experiment_decided(shop: Shop, experiment: Experiment) -> None:
    Experiment.objects.update(kind="holdout")
    request = shop.slate("s1", "10 10:00", "a")
    note = {"holdout": {"experiment": experiment.pk, "variant": "b"}}
    Exposure.objects.filter(request_id=request).update(
        experiment_id=experiment.pk + 1, variant="z", context=note
    )
    experiment.refresh_from_db()
    assert refreshed(experiment).units == 1
    with clock.pinned(NOW + timedelta(hours=1)):
        assert readout_refresh(experiment_id=experiment.pk).computed_at == NOW + timedelta(hours=1)
