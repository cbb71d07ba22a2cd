"""All model families by name. Importing this loads no torch: a family's code is imported when `load()` is
called.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from apps.ml.configs import (
    PRESETS,
    Config,
    collaborative,
    content,
    ensembles,
    factors,
    neighbours,
    popularity,
    ratings,
    repeat,
    sequences,
    sessions,
)
from apps.ml.errors import InvalidValue
from apps.ml.topn import SERVED_LIST_LENGTH, SHARED_LIST_LENGTH

if TYPE_CHECKING:
    from apps.ml.base import Model


@dataclass(frozen=True)
class Family:
    """One kind of recommender. path: "module:Class" of its model. when: in which shop it is the one to use.

    shared: one list serves every shopper. standard: its recipe is active in a new shop, and comparisons take
    it unless told otherwise; the others wait for staff, or for the automatic choice, to switch them on.
    explicit: it learns from ratings only, and raises DataMissing where the shop has none. composite: it is
    made of other families; what compares, mixes or chooses families leaves it out.
    """

    name: str
    title: str
    summary: str
    config_class: type[Config]
    path: str
    when: str = ""
    shared: bool = False
    standard: bool = False
    explicit: bool = False
    composite: bool = False

    @property
    def list_length(self) -> int:
        """Items in a served list of this family: longer where one list serves everyone."""
        return SHARED_LIST_LENGTH if self.shared else SERVED_LIST_LENGTH

    @property
    def presets(self) -> dict[str, Config]:
        return {name: self.config_class.preset(name) for name in PRESETS}

    def load(self) -> type[Model[Any]]:
        """The model class; this is where torch may be imported."""
        module, _, name = self.path.partition(":")
        model_class: type[Model[Any]] = getattr(import_module(module), name)
        return model_class

    def config(self, values: dict[str, Any] | Config | None = None) -> Config:
        """Checked settings from JSON; "preset" names the starting point (default full)."""
        if isinstance(values, Config):
            if not isinstance(values, self.config_class):
                raise InvalidValue("config", values, f"{self.name} takes a {self.config_class.__name__}.")
            return values
        return self.config_class.from_dict(values or {})


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "popular",
            "Popularity",
            "What sells most, recent sales counting more.",
            popularity.PopularConfig,
            "apps.ml.models.popular:PopularModel",
            when="Every shop: for strangers, and as the measure that others must beat.",
            shared=True,
            standard=True,
        ),
        Family(
            "trend",
            "Recent trend",
            "What sells more now than it used to.",
            popularity.TrendConfig,
            "apps.ml.models.popular:TrendModel",
            when="Shops whose assortment turns over fast: seasons, fashions, news.",
            shared=True,
            standard=True,
        ),
        Family(
            "personal",
            "Buy again",
            "The shopper's own items by how often and how lately.",
            popularity.PersonalConfig,
            "apps.ml.models.personal:PersonalModel",
            when="Shops whose shoppers come back for the same items.",
            standard=True,
        ),
        Family(
            "item_knn",
            "Bought together",
            "Items that share shoppers and baskets.",
            neighbours.ItemKnnConfig,
            "apps.ml.models.item_knn:ItemKnnModel",
            when="Product pages and carts, and shops with baskets of several items.",
            standard=True,
        ),
        Family(
            "user_knn",
            "Shoppers alike",
            "What shoppers with like histories choose.",
            neighbours.UserKnnConfig,
            "apps.ml.models.user_knn:UserKnnModel",
            when="Shops with many shoppers of like tastes and a few dozen events each.",
            standard=True,
        ),
        Family(
            "content",
            "Similar content",
            "Items whose text and categories resemble the shopper's.",
            content.ContentConfig,
            "apps.ml.models.content:ContentModel",
            when="New or rarely bought items, and catalogues with good texts.",
            standard=True,
        ),
        Family(
            "als",
            "Matrix factorisation",
            "Hidden tastes learned by alternating least squares.",
            factors.AlsConfig,
            "apps.ml.models.als:AlsModel",
            when="Large catalogues with little history per shopper.",
            standard=True,
        ),
        Family(
            "ease",
            "Linear autoencoder",
            "Each item predicted from all others, in closed form.",
            factors.EaseConfig,
            "apps.ml.models.ease:EaseModel",
            when="Up to some ten thousand items and dense histories: often the best single source.",
            standard=True,
        ),
        Family(
            "sasrec",
            "Next item, attention",
            "What comes next, read from the order of the last items.",
            sequences.SasRecConfig,
            "apps.ml.models.sasrec:SasRecModel",
            when="Long histories whose order says something: views, plays; less so wholesale baskets.",
        ),
        Family(
            "gru4rec",
            "Next item, recurrent",
            "What comes next, by a state carried along the session.",
            sequences.Gru4RecConfig,
            "apps.ml.models.gru4rec:Gru4RecModel",
            when="Short sessions of strangers, where the last few clicks say most.",
        ),
        Family(
            "buy_again",
            "Due again",
            "The shopper's own items by how likely each is bought again now.",
            repeat.BuyAgainConfig,
            "apps.ml.models.buy_again:BuyAgainModel",
            when="Shops whose orders repeat: groceries, consumables, wholesale.",
        ),
        Family(
            "tifu_knn",
            "Next basket",
            "What the shopper's baskets, and those of shoppers alike, hold lately.",
            repeat.TifuKnnConfig,
            "apps.ml.models.tifu_knn:TifuKnnModel",
            when="Shops in which a shopper comes back with a basket of old and new items.",
        ),
        Family(
            "segment_popular",
            "Popular with their kind",
            "What sells in the shopper's region, age band and like segments, and in their own categories.",
            popularity.SegmentPopularConfig,
            "apps.ml.models.segment_popular:SegmentPopularModel",
            when="Shops that know little of each shopper but where they live or what they are.",
        ),
        Family(
            "co_visit",
            "What comes after",
            "What follows the last items within a few clicks.",
            sessions.CoVisitConfig,
            "apps.ml.models.co_visit:CoVisitModel",
            when="Much browsing in order: clicks of sessions, plays; also the fastest to train.",
        ),
        Family(
            "session_knn",
            "Sessions alike",
            "What sessions that share the last items went on with.",
            sessions.SessionKnnConfig,
            "apps.ml.models.session_knn:SessionKnnModel",
            when="Many short sessions of strangers; beside or instead of a network.",
        ),
        Family(
            "association",
            "Basket rules",
            "What baskets add to the items at hand, by rules one can read.",
            sessions.AssociationConfig,
            "apps.ml.models.association:AssociationModel",
            when="Carts and product pages of shops whose baskets hold several items.",
        ),
        Family(
            "biased_mf",
            "Star prediction",
            "What the shopper would rate highest, by hidden tastes learned from stars.",
            ratings.BiasedMfConfig,
            "apps.ml.models.biased_mf:BiasedMfModel",
            when="Shops whose shoppers rate much of what they get; beside a source that knows what sells.",
            explicit=True,
        ),
        Family(
            "rating_knn",
            "Stars of like products",
            "What the shopper would rate highest, by what they gave the most similar products.",
            ratings.RatingKnnConfig,
            "apps.ml.models.rating_knn:RatingKnnModel",
            when="The same shops, where a prediction must be explained in one sentence.",
            explicit=True,
        ),
        Family(
            "bpr",
            "Pairwise ranking",
            "Hidden tastes learned from pairs: what was chosen above what was not.",
            factors.BprConfig,
            "apps.ml.models.bpr:BprModel",
            when="Many shoppers with few choices each, where the order at the top is all that counts.",
        ),
        Family(
            "gmf",
            "Learned product",
            "Hidden tastes by a weighted product, trained on sampled pairs.",
            collaborative.GmfConfig,
            "apps.ml.models.neural_cf:GmfModel",
            when="To compare with iALS, which is mostly better and faster.",
        ),
        Family(
            "mlp",
            "Taste network",
            "A network over a shopper's and a product's vectors.",
            collaborative.MlpConfig,
            "apps.ml.models.neural_cf:MlpModel",
            when="To compare; large catalogues of much feedback at best.",
        ),
        Family(
            "neumf",
            "Product and network",
            "The learned product and the taste network, joined.",
            collaborative.NeuMfConfig,
            "apps.ml.models.neural_cf:NeuMfModel",
            when="Much feedback per shopper; elsewhere iALS or EASE is better.",
        ),
        Family(
            "rising",
            "Rising for you",
            "What sells more now than it used to, in the order of the shopper's taste.",
            factors.RisingConfig,
            "apps.ml.models.rising:RisingModel",
            when="Ranges that turn over fast: seasons, fashion, gifts.",
        ),
        Family(
            "ranker",
            "Learned ranking",
            "What the live sources list, in the order that past purchases taught boosted trees.",
            ensembles.RankerConfig,
            "apps.ml.models.ranker:RankerModel",
            when="Shops with some thousand purchases a month, once several sources are live; trains longest.",
            composite=True,
        ),
    )
}


STANDARD = tuple(name for name, family in FAMILIES.items() if family.standard)
"""Families whose recipes are active in a new shop, in the order they are shown."""


def family_get(name: str) -> Family:
    """The family of this name; InvalidValue when there is none."""
    if name not in FAMILIES:
        raise InvalidValue("family", name, f"Use one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]
