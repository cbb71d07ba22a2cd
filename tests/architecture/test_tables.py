"""The stack, seen from the database: rows point down, never up."""

from __future__ import annotations

import tomllib

import pytest
from django.apps import apps
from django.db import models

from recoportal.env import BASE_DIR


def stack() -> dict[str, int]:
    """Return each app's height from the import contract, the lowest first."""
    document = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))
    layers = document["tool"]["importlinter"]["contracts"][0]["layers"]
    return {
        name.strip("() "): height
        for height, layer in enumerate(reversed(layers))
        for name in layer.split("|")
    }


HEIGHT = stack()
OUR_MODELS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]


def pointing_fields() -> list[models.Field[object, object]]:
    """Return the fields of our models that point at another table."""
    return [
        field
        for model in OUR_MODELS
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many)
        if field.is_relation and isinstance(field, models.ForeignKey | models.ManyToManyField)
    ]


def test_every_app_has_a_place_in_the_stack() -> None:
    assert {model._meta.app_label for model in OUR_MODELS} <= set(HEIGHT)


@pytest.mark.parametrize("field", pointing_fields(), ids=str)
def test_a_row_points_down_or_sideways(field: models.ForeignKey[object, object]) -> None:
    target = field.related_model
    assert isinstance(target, type)
    if not target.__module__.startswith("apps."):
        return
    here, there = field.model._meta.app_label, target._meta.app_label

    assert HEIGHT[here] >= HEIGHT[there], f"{field} points up at {there}"
    if here != there:
        # A name on the lower model would let it call up.
        assert field.remote_field.hidden, f"{field} crosses apps: related_name='+'"


def test_nothing_points_at_a_partitioned_table() -> None:
    partitioned = {"Interaction", "Exposure"}
    pointers = [
        str(field)
        for field in pointing_fields()
        if isinstance(field.related_model, type) and field.related_model.__name__ in partitioned
    ]

    assert pointers == []
