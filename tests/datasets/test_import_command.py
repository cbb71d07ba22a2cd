"""`manage.py import_dataset` as a process of its own, into a database of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from recoportal.databases import database_url_with_name
from recoportal.env import BASE_DIR
from tests.factories.datasets import line, online_retail_file

DATABASE = "import_command_test"


@pytest.fixture
def database() -> Iterator[str]:
    """The name of a database that does not exist yet and is gone afterwards."""
    yield DATABASE
    server = database_url_with_name(settings.DATABASE_URL, "postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
        )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the test run's servers."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "recoportal.settings.dev"}
    command = [sys.executable, str(BASE_DIR / "manage.py"), "import_dataset", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_it_makes_the_shop_prints_json_last_and_adds_nothing_the_second_time(
    tmp_path: Path, database: str
) -> None:
    place = str(online_retail_file(tmp_path, [line(), line(code="POST"), line(invoice="2", code="71053")]))

    def answer() -> dict[str, Any]:
        done = run("online-retail", place, "--database", database, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    first = answer()
    assert list(first) == ["rows", "products", "shoppers", "interactions", "skipped", "seconds"]
    assert (first["rows"], first["products"], first["shoppers"], first["interactions"]) == (3, 2, 1, 2)
    assert first["skipped"] == {"not_a_product": 1}
    second = answer()
    assert (second["products"], second["shoppers"], second["interactions"]) == (0, 0, 0)
    server = database_url_with_name(settings.DATABASE_URL, database)
    with psycopg.connect(server) as connection:
        jobs = connection.execute("SELECT status, progress FROM jobs_job ORDER BY id").fetchall()
        assert jobs == [("done", 1.0)] * 2
    broken = run("online-retail", str(tmp_path / "gone.csv"), "--database", database, "--json")
    assert broken.returncode == 1
    assert "Give the path of a file" in broken.stderr
