"""The examples that are kept with a version: what speaks for a product, searches included."""

import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.train import train
from apps.training.examples import examples_of
from tests.ml.planted import items_frame
from tests.ml.planted_searches import searched


def test_a_search_is_told_by_its_words() -> None:
    frame, searches = searched(True)
    end = float(frame["timestamp"].max()) + 1.0
    users = frame["user_id"].unique()
    asked = pd.DataFrame(
        [(user, "", end - 3600.0, "Toys things") for user in users], columns=searches.columns
    )
    dataset = Dataset.from_frames(
        frame, items_frame(), searches=pd.concat([searches, asked], ignore_index=True)
    )
    shown = examples_of(train("co_visit", {"preset": "tiny", "queries": True}, dataset))

    reasons = [reason for one in shown for reason in one["reasons"]]
    assert {"query": "toys things"} in [
        {name: value for name, value in reason.items() if name != "share"} for reason in reasons
    ]
    assert all(("query" in reason) != ("item" in reason) and reason["share"] > 0 for reason in reasons)
    assert all(reason.get("item", 0) >= 0 for reason in reasons)
