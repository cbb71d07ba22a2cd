"""Judgements are kept, and kept apart by settings, by the code that made them, by length of lists."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import apps.ml
from apps.ml.registry import FAMILIES
from apps.training import evaluations


def folder(**changes: Any) -> Path:
    asked: dict[str, Any] = {
        "snapshot_hash": "s1",
        "family": "popular",
        "config": {"a": 1},
        "seed": 0,
        "window": "test",
    }
    asked.update(changes)
    return evaluations.judgement_folder(**asked)


def test_the_same_question_has_the_same_place_and_another_one_another() -> None:
    assert folder() == folder()
    others: list[dict[str, Any]] = [
        {"config": {"a": 2}},
        {"seed": 1},
        {"window": "validation"},
        {"family": "trend"},
    ]
    assert len({folder(), *(folder(**change) for change in others)}) == 5


def test_other_code_judges_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder()
    monkeypatch.setattr(evaluations, "code_mark", lambda: "other")
    assert folder() != before


def test_lists_of_another_length_are_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before, popular = folder(), FAMILIES["popular"]
    monkeypatch.setitem(FAMILIES, "popular", replace(popular, shared=False))
    assert FAMILIES["popular"].list_length != popular.list_length
    assert folder() != before


def test_the_mark_follows_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name in ("__init__.py", "models/als.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(apps.ml, "__file__", str(tmp_path / "__init__.py"))
    first = evaluations.code_mark.__wrapped__()
    assert evaluations.code_mark.__wrapped__() == first
    (tmp_path / "models/als.py").write_text("x = 2\n")
    assert evaluations.code_mark.__wrapped__() != first
