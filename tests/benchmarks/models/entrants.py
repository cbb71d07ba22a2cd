"""Who takes part on Online Retail, and the few settings the window before chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Setting = dict[str, Any]


@dataclass(frozen=True)
class Entrant:
    """environment: the name in requirements/ its script runs in, "" for our own models. model: its name in
    the script, or the family.

    timeout: seconds for one window with all settings.
    """

    name: str
    environment: str
    model: str
    settings: tuple[Setting, ...]
    timeout: float = 240.0

    @property
    def ours(self) -> bool:
        return not self.environment


PEERS = (
    Entrant(
        "implicit ALS",
        "implicit",
        "als",
        (
            {},
            {"factors": 64},
            {"factors": 200},
            {"factors": 64, "regularization": 1.0, "alpha": 5.0},
            {"factors": 64, "values": "log"},
            {"values": "log"},
            {"values": "lines"},
        ),
    ),
    Entrant(
        "implicit BPR",
        "implicit",
        "bpr",
        (
            {},
            {"factors": 64, "learning_rate": 0.05, "iterations": 100},
            {"factors": 64, "learning_rate": 0.02, "regularization": 0.005, "iterations": 200},
        ),
    ),
    Entrant(
        "implicit BM25",
        "implicit",
        "bm25",
        (
            {},
            {"K": 100, "K1": 1.2, "B": 0.75},
            {"K": 500, "K1": 1.2, "B": 0.25},
            {"K": 100, "K1": 1.2, "B": 0.25, "values": "lines"},
            {"K": 500, "K1": 1.2, "B": 0.25, "values": "lines"},
        ),
    ),
    Entrant(
        "implicit cosine",
        "implicit",
        "cosine",
        ({}, {"K": 10}, {"K": 40}, {"K": 100}, {"K": 500}),
    ),
    Entrant(
        "cornac EASE",
        "cornac",
        "ease",
        (
            {},
            {"lamb": 1000, "posB": False},
            {"lamb": 200, "posB": False},
            {"lamb": 500, "posB": False},
            {"lamb": 200, "posB": True},
        ),
    ),
    Entrant(
        "RecTools EASE",
        "rectools",
        "ease",
        ({}, {"regularization": 200.0}, {"regularization": 1000.0}, {"regularization": 2000.0}),
    ),
    Entrant(
        "LenSkit ALS",
        "lenskit",
        "als",
        (
            {},
            {"embedding_size": 64, "weight": 10.0, "regularization": 1.0},
            {"embedding_size": 128, "weight": 10.0, "regularization": 5.0},
            {"embedding_size": 100, "weight": 1.0, "regularization": 0.01},
        ),
    ),
    Entrant(
        "LightFM WARP",
        "lightfm",
        "warp",
        (
            {"no_components": 32, "epochs": 30},
            {"no_components": 128, "epochs": 30, "learning_rate": 0.03, "max_sampled": 30},
            {"no_components": 64, "epochs": 30, "learning_rate": 0.03, "max_sampled": 30},
        ),
        400.0,
    ),
    Entrant(
        "cornac TIFUKNN",
        "cornac",
        "tifuknn",
        (
            {},
            {"n_neighbors": 900, "group_decay_rate": 0.6, "alpha": 0.2, "n_groups": 3},
            {
                "n_neighbors": 900,
                "within_decay_rate": 0.9,
                "group_decay_rate": 0.9,
                "alpha": 0.9,
                "n_groups": 3,
            },
        ),
        480.0,
    ),
    Entrant(
        "cornac TIFUKNN, mended",
        "cornac",
        "tifuknn_mended",
        (
            {},
            {"n_neighbors": 900, "group_decay_rate": 0.6, "alpha": 0.2, "n_groups": 3},
            {"n_neighbors": 900, "group_decay_rate": 0.9, "alpha": 0.5, "n_groups": 7},
            {"n_neighbors": 300, "within_decay_rate": 1.0, "group_decay_rate": 0.9, "n_groups": 7},
        ),
        300.0,
    ),
    Entrant(
        "cornac UPCF",
        "cornac",
        "upcf",
        (
            {"recency": 5, "locality": 1, "asymmetry": 0.25},
            {"recency": 25, "locality": 5, "asymmetry": 0.25},
            {"recency": 0, "locality": 5, "asymmetry": 0.25},
        ),
        480.0,
    ),
)

PERSONAL, CHOICE = "personal", "automatic choice"
BAR, BAR_WIDE = "plain EASE + trend", "plain EASE + trend, coverage kept"

OURS = (
    Entrant(
        "popular",
        "",
        "popular",
        ({"half_life_days": 7.0}, {"half_life_days": 14.0}, {"half_life_days": 30.0}),
    ),
    Entrant(
        "trend",
        "",
        "trend",
        ({}, {"recent_half_life_days": 4.0}, {"recent_half_life_days": 7.0}),
    ),
    Entrant(
        PERSONAL,
        "",
        "personal",
        (
            {"half_life_days": None},
            {"half_life_days": 60.0},
            {"half_life_days": 120.0},
            {"half_life_days": 180.0},
        ),
    ),
    Entrant("buy_again", "", "buy_again", ({},)),
    Entrant("tifu_knn", "", "tifu_knn", ({}, {"own_share": 0.5}, {"neighbour_half_life_days": 60.0})),
    Entrant("segment_popular", "", "segment_popular", ({},)),
    Entrant("item_knn", "", "item_knn", ({},)),
    Entrant("user_knn", "", "user_knn", ({},)),
    Entrant("content", "", "content", ({},)),
    Entrant(
        "als",
        "",
        "als",
        (
            {},
            {"factors": 64},
            {"factors": 64, "half_life_days": 90.0, "regularisation": 8.0},
        ),
        400.0,
    ),
    Entrant(
        "ease",
        "",
        "ease",
        (
            {},
            {"row_half_life_days": 30.0, "profile_half_life_days": 180.0},
            {"row_half_life_days": 90.0, "profile_half_life_days": 180.0, "regularisation": 200.0},
            {"row_half_life_days": None, "profile_half_life_days": None, "regularisation": 500.0},
        ),
    ),
    Entrant("rising", "", "rising", ({}, {"trend_half_life_days": 14.0, "trend_weight": 3.0})),
)
