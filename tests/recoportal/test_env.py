"""Reading the environment and `.env`, and what a wrong value says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recoportal import env
from recoportal.env import BASE_DIR, Env


def read(tmp_path: Path, dotenv: str = "", **environ: str) -> Env:
    path = tmp_path / ".env"
    path.write_text(dotenv, encoding="utf-8")
    return env.load(environ, path)


def test_the_environment_comes_before_dotenv_and_that_before_the_default(tmp_path: Path) -> None:
    assert read(tmp_path).get_int("RECOPORTAL_PORT") == 8000
    assert read(tmp_path, "RECOPORTAL_PORT=9000").get_int("RECOPORTAL_PORT") == 9000
    assert read(tmp_path, "RECOPORTAL_PORT=9000", RECOPORTAL_PORT="9100").get_int("RECOPORTAL_PORT") == 9100
    assert read(tmp_path, "RECOPORTAL_PORT=9000", RECOPORTAL_PORT="").get_int("RECOPORTAL_PORT") == 9000


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("RECOPORTAL_HOST=0.0.0.0", "0.0.0.0"),
        ("export RECOPORTAL_HOST = shop.example  # outside", "shop.example"),
        ('RECOPORTAL_HOST="a # b"', "a # b"),
        ("# RECOPORTAL_HOST=x", "127.0.0.1"),
    ],
)
def test_lines_of_dotenv(tmp_path: Path, line: str, value: str) -> None:
    settings = read(tmp_path, line)

    assert settings.get_str("RECOPORTAL_HOST") == value
    assert settings.problems == []


def test_lists_flags_and_folders(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        RECOPORTAL_ALLOWED_HOSTS="a.example, b.example,",
        RECOPORTAL_BEHIND_PROXY="Yes",
        RECOPORTAL_DATA_DIR="~/data",
    )

    assert settings.get_list("RECOPORTAL_ALLOWED_HOSTS") == ["a.example", "b.example"]
    assert settings.get_bool("RECOPORTAL_BEHIND_PROXY") is True
    assert settings.get_path("RECOPORTAL_DATA_DIR") == Path.home() / "data"
    assert settings.get_bool("RECOPORTAL_DEBUG", default=True) is True
    assert settings.get_bool("RECOPORTAL_DEBUG") is False


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("RECOPORTAL_PORT", "http", "write a whole number from 1 to 65535"),
        ("RECOPORTAL_PORT", "70000", "write a whole number from 1 to 65535"),
        ("RECOPORTAL_HTTPS", "maybe", "write 1 or 0"),
        ("RECOPORTAL_DEVICE", "gpu", "write one of auto, cpu, cuda"),
        ("RECOPORTAL_TIME_ZONE", "Berlin", "write a name of the time zone database"),
        ("DATABASE_URL", "mysql://host/shop", "write postgresql://user:password@host:port/name"),
        ("DATABASE_URL", "postgresql://host", "end the address with the name of the database"),
        ("REDIS_URL", "redis://", "name a host"),
        ("CACHE_URL", "redis://host:99999/0", "Port out of range"),
    ],
)
def test_a_wrong_value_is_a_problem_with_its_remedy(
    tmp_path: Path, name: str, value: str, remedy: str
) -> None:
    settings = read(tmp_path, **{name: value})
    settings.parsed(name)

    (problem,) = settings.problems
    assert problem.id == "recoportal.E001"
    assert name in problem.message
    assert remedy in problem.hint


def test_a_secret_is_never_repeated_in_a_problem(tmp_path: Path) -> None:
    settings = read(tmp_path, DATABASE_URL="mysql://shop:hush@host/shop")
    settings.get_str("DATABASE_URL")

    assert "hush" not in str(settings.problems)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("a-long-secret\n", encoding="utf-8")
    settings = read(tmp_path, RECOPORTAL_SECRET_KEY_FILE=str(secret))

    assert settings.get_str("RECOPORTAL_SECRET_KEY") == "a-long-secret"
    assert settings.unknown_names() == []


def test_a_missing_secret_file_is_a_problem(tmp_path: Path) -> None:
    settings = read(tmp_path, RECOPORTAL_SECRET_KEY_FILE=str(tmp_path / "gone"))
    settings.get_str("RECOPORTAL_SECRET_KEY")

    assert [problem.id for problem in settings.problems] == ["recoportal.E003"]


def test_a_bad_line_and_a_mistyped_name_are_problems(tmp_path: Path) -> None:
    settings = read(tmp_path, "just words\n", RECOPORTAL_PROT="8000")

    assert [problem.id for problem in settings.problems] == ["recoportal.E002"]
    (unknown,) = settings.unknown_names()
    assert (unknown.id, unknown.hint) == ("recoportal.E004", "Did you mean RECOPORTAL_PORT?")


def test_the_example_names_every_setting() -> None:
    text = (BASE_DIR / ".env.example").read_text(encoding="utf-8")

    assert text == env.example(), "run: python -m recoportal.env > .env.example"
    assert set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)) == set(env.BY_NAME)


def test_no_setting_is_read_around_env() -> None:
    names = {
        name
        for path in (BASE_DIR / "recoportal" / "settings").glob("*.py")
        for name in re.findall(r'ENV\.get_\w+\(\s*"([A-Z_]+)"', path.read_text(encoding="utf-8"))
    }

    assert set(env.BY_NAME) == names
    for path in (BASE_DIR / "recoportal" / "settings").glob("*.py"):
        assert "os.environ" not in path.read_text(encoding="utf-8")


def manage(*arguments: str, settings: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # The browser tests set DJANGO_ALLOW_ASYNC_UNSAFE in this process; a deployment has neither.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RECOPORTAL_", "DJANGO_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL"):
        clean.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**clean, "DJANGO_SETTINGS_MODULE": f"recoportal.settings.{settings}", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_setting_stops_every_command_with_the_remedy(tmp_path: Path) -> None:
    answer = manage(
        "check",
        settings="dev",
        RECOPORTAL_DATA_DIR=str(tmp_path),
        RECOPORTAL_PORT="high",
        RECOPORTAL_DEVISE="cpu",
    )

    assert answer.returncode != 0
    assert "(recoportal.E001) RECOPORTAL_PORT: 'high' can't be used." in answer.stderr
    assert "HINT: RECOPORTAL_PORT: write a whole number from 1 to 65535." in answer.stderr
    assert "HINT: Did you mean RECOPORTAL_DEVICE?" in answer.stderr


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    answer = manage(
        "check", settings="dev", RECOPORTAL_SECRET_KEY="x" * 40, RECOPORTAL_DATA_DIR=f"{file}/data"
    )

    assert answer.returncode != 0
    assert "(recoportal.E006)" in answer.stderr


def test_production_starts_with_nothing_made_up(tmp_path: Path) -> None:
    answer = manage("check", settings="prod", RECOPORTAL_DATA_DIR=str(tmp_path))

    missing = set(re.findall(r"\(recoportal.E005\) (\w+) is not set", answer.stderr))
    assert answer.returncode != 0
    assert missing == {
        "DATABASE_URL",
        "REDIS_URL",
        "CACHE_URL",
        "RECOPORTAL_SECRET_KEY",
        "RECOPORTAL_ALLOWED_HOSTS",
    }
    assert list(tmp_path.iterdir()) == []


def test_production_with_all_it_needs_passes_djangos_deployment_checks(tmp_path: Path) -> None:
    answer = manage(
        "check",
        "--deploy",
        "--fail-level=WARNING",
        settings="prod",
        DATABASE_URL="postgresql://shop:pw@db/shop",
        REDIS_URL="redis://broker:6379/0",
        CACHE_URL="redis://cache:6379/0",
        RECOPORTAL_SECRET_KEY="a-secret-that-nobody-guesses-0123456789-abcdefghijklmnopqrstuv",
        RECOPORTAL_ALLOWED_HOSTS="shop.example",
        RECOPORTAL_DATA_DIR=str(tmp_path),
    )

    assert answer.returncode == 0, answer.stderr


def test_one_server_for_cache_and_broker_is_refused(tmp_path: Path) -> None:
    answer = manage(
        "check",
        settings="dev",
        REDIS_URL="redis://one:6379/0",
        CACHE_URL="redis://one:6379/0",
        RECOPORTAL_DATA_DIR=str(tmp_path),
    )

    assert "(recoportal.E007)" in answer.stderr


@pytest.mark.parametrize("module", ["recoportal.wsgi", "recoportal.asgi"])
def test_a_web_process_without_services_stops_with_the_remedy(tmp_path: Path, module: str) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    answer = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=BASE_DIR,
        env={
            **clean,
            "DJANGO_SETTINGS_MODULE": "recoportal.settings.dev",
            "RECOPORTAL_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode != 0
    assert "(recoportal.E008) DATABASE_URL is not set." in answer.stderr
    assert "make demo" in answer.stderr
