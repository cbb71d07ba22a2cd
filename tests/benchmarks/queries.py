"""What recent searches add to session and sequence models, on the demo shop's events.

    python -m tests.benchmarks.queries [--products 1200] [--shoppers 1500] [--days 60] [--families a,b]

Each family is trained twice on everything before the last seven days, hearing searches and not. In the
sessions after that, of known shoppers and of strangers, every item but the first is a question: the items of
the session so far, and what was searched for since the last of them; NDCG@10 of the item that came, over the
whole catalogue without the session's own. Differences are paired by session. A third run hears searches whose
texts were dealt to other searches at random: what is gained must come from the words. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.dataset import DAY, Dataset
from apps.ml.significance import PerUser, paired_test
from apps.ml.topn import TopN
from apps.ml.train import train
from apps.portal.demo.world import World, world_build

END = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TEST_DAYS = 7.0
WEIGHTS = {"view": 1.0, "click": 0.5, "add_to_cart": 3.0, "purchase": 5.0, "favourite": 2.0}
FAMILIES = ("co_visit", "session_knn", "gru4rec", "sasrec")
K = 10


@dataclass(frozen=True)
class Questions:
    """items: the session so far; queries: those since its last item; came: raw id of the next item; session:
    which session asks.
    """

    items: list[list[int]]
    queries: list[list[str]]
    came: np.ndarray
    session: np.ndarray


def frames(world: World) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Interactions, searches and items as in a snapshot; ids are places in the world's lists."""
    events = world.events[~world.events["bot"]]
    people = pd.Index(world.shoppers["external_id"])
    goods = pd.Index(world.products["sku"])
    told = pd.DataFrame(
        {
            "user_id": people.get_indexer(pd.Index(events["shopper"])),
            "item_id": goods.get_indexer(pd.Index(events["sku"])),
            "kind": events["kind"],
            "weight": events["kind"].map(WEIGHTS),
            "timestamp": events["occurred_at"].map(pd.Timestamp.timestamp),
            "basket": events["session"],
            "query": events["query"],
        }
    )
    searches = told.loc[told["kind"] == "search", ["user_id", "basket", "timestamp", "query"]]
    shown = told[(told["item_id"] >= 0) & told["weight"].notna()].drop(columns="query")
    items = world.products.assign(
        item_id=np.arange(len(goods)),
        text=world.products["title"]
        + "\n"
        + world.products["description"]
        + "\n"
        + world.products["title_zh_hans"],
    )
    return shown, searches, items[["item_id", "title", "text", "category"]]


def questions_of(shown: pd.DataFrame, searches: pd.DataFrame, cut: float) -> Questions:
    """Of the sessions from the cut on."""
    late = shown[(shown["timestamp"] >= cut) & (shown["kind"] == "view")]
    asked = searches[searches["timestamp"] >= cut].groupby("basket", sort=False)
    typed = {name: (own["timestamp"].to_numpy(), own["query"].tolist()) for name, own in asked}
    found = Questions([], [], np.zeros(0, np.int64), np.zeros(0, np.int64))
    came, number = [], []
    for place, (name, own) in enumerate(late.groupby("basket", sort=False)):
        items, stamps = own["item_id"].tolist(), own["timestamp"].tolist()
        times, texts = typed.get(name, (np.zeros(0), []))
        for at in range(1, len(items)):
            if items[at] in items[:at]:
                continue
            low, high = np.searchsorted(times, [stamps[at - 1], stamps[at]])
            found.items.append(items[:at])
            found.queries.append(texts[low:high])
            came.append(items[at])
            number.append(place)
    return replace(found, came=np.array(came), session=np.array(number))


def ndcg(lists: TopN, came: np.ndarray) -> np.ndarray:
    """1 / log2(rank + 1) of the item that came, 0 below the tenth: float64 [n]."""
    hits = lists.ids[:, :K] == came[:, None]
    return (hits / np.log2(np.arange(hits.shape[1]) + 2.0)).sum(axis=1)


def by_session(values: np.ndarray, session: np.ndarray) -> PerUser:
    """Mean of each session's questions."""
    _, place = np.unique(session, return_inverse=True)
    means: PerUser = np.bincount(place, weights=values) / np.bincount(place)
    return means


def shuffled(searches: pd.DataFrame) -> pd.DataFrame:
    """The same searches with texts dealt at random."""
    return searches.assign(query=np.random.default_rng(0).permutation(searches["query"].to_numpy()))


def measure(
    family: str, data: dict[str, Dataset], asked: dict[str, Questions], preset: str, seeds: int
) -> dict[str, Any]:
    """Figures of one family, means over seeds; `data` and `asked` by what searches say: "told" or "noise"."""
    about = asked["told"]
    searched = np.array([len(texts) > 0 for texts in about.queries])
    single: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    for name, hears, said in (("without", False, "told"), ("with", True, "told"), ("noise", True, "noise")):
        single[name] = np.zeros(len(about.came))
        began = time.process_time()
        for seed in range(seeds):
            settings = {"preset": preset, "queries": hears}
            model = train(family, settings, data[said], TrainOptions(seed=seed))
            lists = model.recommend_sessions(about.items, K, asked[said].queries)
            single[name] += ndcg(lists, about.came) / seeds
        seconds[name] = round((time.process_time() - began) / seeds, 1)
    whole = {name: by_session(values, about.session) for name, values in single.items()}
    after = {name: by_session(values[searched], about.session[searched]) for name, values in single.items()}
    return {
        "family": family,
        "ndcg10": {name: round(float(values.mean()), 4) for name, values in whole.items()},
        "after_a_search": {name: round(float(values.mean()), 4) for name, values in after.items()},
        "gain": paired_test(whole["with"], whole["without"]).to_dict(),
        "gain_after_a_search": paired_test(after["with"], after["without"]).to_dict(),
        "gain_of_noise": paired_test(whole["noise"], whole["without"]).to_dict(),
        "cpu_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.queries", description=__doc__)
    parser.add_argument("--products", type=int, default=1_200)
    parser.add_argument("--shoppers", type=int, default=1_500)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", default=",".join(FAMILIES))
    given = parser.parse_args()
    world = world_build(end=END, seed=7, products=given.products, shoppers=given.shoppers, days=given.days)
    shown, searches, items = frames(world)
    cut = END.timestamp() - TEST_DAYS * DAY
    data, asked = {}, {}
    for name, said in (("told", searches), ("noise", shuffled(searches))):
        data[name] = Dataset.from_frames(shown, items, searches=said).before(cut)
        asked[name] = questions_of(shown, said, cut)
    about = asked["told"]
    print(f"{len(data['told']):,} events and {len(data['told'].searches):,} searches before the cut")
    rows = []
    for family in given.families.split(","):
        rows.append(measure(family, data, asked, given.preset, given.seeds))
        print(json.dumps(rows[-1]))
    print(
        json.dumps(
            {
                "rows": rows,
                "questions": len(about.came),
                "sessions": len(np.unique(about.session)),
                "after_a_search": sum(map(bool, about.queries)),
            }
        )
    )


if __name__ == "__main__":
    main()
