"""All model families by name. Importing this loads no torch: a family's code is imported when `load()` is
called.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from apps.ml import configs
from apps.ml.errors import InvalidValue
from apps.ml.topn import SERVED_LIST_LENGTH, SHARED_LIST_LENGTH

if TYPE_CHECKING:
    from apps.ml.base import Model


@dataclass(frozen=True)
class Family:
    """One kind of recommender. path: "module:Class" of its model. shared: one list serves every shopper."""

    name: str
    title: str
    summary: str
    config_class: type[configs.Config]
    path: str
    shared: bool = False

    @property
    def list_length(self) -> int:
        """Items in a served list of this family: longer where one list serves everyone."""
        return SHARED_LIST_LENGTH if self.shared else SERVED_LIST_LENGTH

    @property
    def presets(self) -> dict[str, configs.Config]:
        return {name: self.config_class.preset(name) for name in configs.PRESETS}

    def load(self) -> type[Model[Any]]:
        """The model class; this is where torch may be imported."""
        module, _, name = self.path.partition(":")
        model_class: type[Model[Any]] = getattr(import_module(module), name)
        return model_class

    def config(self, values: dict[str, Any] | configs.Config | None = None) -> configs.Config:
        """Checked settings from JSON; "preset" names the starting point (default full)."""
        if isinstance(values, configs.Config):
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
            configs.PopularConfig,
            "apps.ml.models.popular:PopularModel",
            shared=True,
        ),
        Family(
            "trend",
            "Recent trend",
            "What sells more now than it used to.",
            configs.TrendConfig,
            "apps.ml.models.popular:TrendModel",
            shared=True,
        ),
        Family(
            "personal",
            "Buy again",
            "The shopper's own items by how often and how lately.",
            configs.PersonalConfig,
            "apps.ml.models.personal:PersonalModel",
        ),
        Family(
            "item_knn",
            "Bought together",
            "Items that share shoppers and baskets.",
            configs.ItemKnnConfig,
            "apps.ml.models.item_knn:ItemKnnModel",
        ),
        Family(
            "user_knn",
            "Shoppers alike",
            "What shoppers with like histories choose.",
            configs.UserKnnConfig,
            "apps.ml.models.user_knn:UserKnnModel",
        ),
        Family(
            "content",
            "Similar content",
            "Items whose text and categories resemble the shopper's.",
            configs.ContentConfig,
            "apps.ml.models.content:ContentModel",
        ),
        Family(
            "als",
            "Matrix factorisation",
            "Hidden tastes learned by alternating least squares.",
            configs.AlsConfig,
            "apps.ml.models.als:AlsModel",
        ),
        Family(
            "ease",
            "Linear autoencoder",
            "Each item predicted from all others, in closed form.",
            configs.EaseConfig,
            "apps.ml.models.ease:EaseModel",
        ),
    )
}


def family_get(name: str) -> Family:
    """The family of this name; InvalidValue when there is none."""
    if name not in FAMILIES:
        raise InvalidValue("family", name, f"Use one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]
