from __future__ import annotations

import pytest

from apps.ml.configs import PRESETS
from apps.ml.configs.factors import AlsConfig, EaseConfig
from apps.ml.configs.popularity import PopularConfig
from apps.ml.errors import InvalidValue
from apps.ml.registry import FAMILIES, family_get
from apps.ml.train import train
from tests.ml.planted import planted


def test_the_built_in_families() -> None:
    assert list(FAMILIES) == [
        "popular",
        "trend",
        "personal",
        "item_knn",
        "user_knn",
        "content",
        "als",
        "ease",
        "sasrec",
        "gru4rec",
        "buy_again",
        "tifu_knn",
        "segment_popular",
        "co_visit",
        "session_knn",
        "association",
        "biased_mf",
        "rating_knn",
        "bpr",
        "gmf",
        "mlp",
        "neumf",
        "rising",
        "ranker",
    ]
    for name, family in FAMILIES.items():
        model_class = family.load()
        assert model_class.family == name
        assert model_class.config_class is family.config_class
        assert set(family.presets) == set(PRESETS)
        assert family.presets["full"] == family.config_class()


def test_settings_start_from_a_preset_and_are_frozen() -> None:
    config = FAMILIES["als"].config({"preset": "tiny", "epochs": 3})
    assert config == AlsConfig(factors=8, epochs=3)
    assert FAMILIES["als"].config(config) is config
    assert PopularConfig(half_life_days=None).half_life_days is None


@pytest.mark.parametrize(
    ("family", "values", "field"),
    [
        ("als", {"factors": 0}, "factors"),
        ("als", {"factors": "many"}, "factors"),
        ("als", {"factors": True}, "factors"),
        ("als", {"factor": 8}, "factor"),
        ("als", {"preset": "huge"}, "preset"),
        ("ease", {"regularisation": None}, "regularisation"),
        ("ease", {"row_half_life_days": -1.0}, "row_half_life_days"),
        ("item_knn", {"weighting": "magic"}, "weighting"),
        ("nothing", {}, "family"),
    ],
)
def test_a_wrong_setting_names_field_value_and_remedy(
    family: str, values: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        train(family, values, planted())
    assert caught.value.field == field
    assert caught.value.remedy


def test_settings_of_another_family_are_refused() -> None:
    with pytest.raises(InvalidValue, match="AlsConfig"):
        family_get("als").config(EaseConfig())
