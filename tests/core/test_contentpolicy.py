"""Every answer carries a policy; a file from outside carries the strictest."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.core.contentpolicy import FILE_POLICY, HEADER, POLICY


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/", "/admin/login/", "/api/docs/", "/api/v1/recommendations/home", "/nowhere/"]
)
def test_every_answer_has_the_policy(path: str) -> None:
    answer = Client().get(path)
    assert answer.headers[HEADER] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_policy_lets_no_inline_script_run() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'self'"
    assert rules["object-src"] == rules["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in rules["script-src"]


def test_file_from_outside_is_alone(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "a.svg").write_text("<svg/>", encoding="utf-8")
    answer = Client().get("/media/a.svg")
    assert answer.headers[HEADER] == FILE_POLICY
    assert "sandbox" in FILE_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert Client().get("/media/../settings.py").status_code == 400
