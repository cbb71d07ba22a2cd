"""Every setting of every family, its values and the facts a ranker looks at have words, in both languages."""

from dataclasses import fields

import pytest
from django.utils.translation import override

from apps.ml.configs.ensembles import StackedConfig
from apps.ml.ranking_facts import FACT_FEATURES
from apps.ml.registry import FAMILIES
from apps.portal.words.model_settings import VALUES, WORDS, setting_words, value_text
from apps.portal.words.ranker_facts import FACTS, fact_words
from apps.training.config_fields import config_fields

LANGUAGES = ("en", "zh-hans")
# What is called the same in every language.
SAME = {"GRU", "LSTM", "ReLU", "GELU", "SiLU", "tanh", "sigmoid", "Adam", "AdamW", "Adamax"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_setting_and_choice_has_words(family: str, language: str) -> None:
    with override(language):
        for setting in config_fields(family):
            label, told = setting_words(setting.name, family)
            assert label, setting.name
            assert told, setting.name
            assert label != setting.name
            for choice in setting.choices:
                assert choice in VALUES, (setting.name, choice)


@pytest.mark.parametrize("name", sorted(WORDS))
def test_settings_speak_chinese(name: str) -> None:
    with override("en"):
        english = [str(text) for text in WORDS[name]]
    with override("zh-hans"):
        chinese = [str(text) for text in WORDS[name]]
    assert all(a != b for a, b in zip(english, chinese, strict=True))


@pytest.mark.parametrize("code", sorted(VALUES))
def test_values_speak_chinese(code: str) -> None:
    with override("en"):
        english = value_text(code)
    with override("zh-hans"):
        assert english in SAME or value_text(code) != english


def test_settings_of_the_ranker_have_words() -> None:
    for setting in fields(StackedConfig):
        if setting.metadata.get("form", True):
            assert all(setting_words(setting.name))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ranker_says_what_it_looks_at(language: str) -> None:
    with override(language):
        for feature in ("listed_by", *FACT_FEATURES):
            assert feature in FACTS
            assert fact_words(feature, {}) != feature
        assert "EASE" in fact_words("score_ease", {"ease": "EASE"})


def test_an_empty_setting_says_what_it_means() -> None:
    with override("en"):
        assert value_text(None, "kept") == "all"
        assert value_text(None, "half_life_days") == "never"
