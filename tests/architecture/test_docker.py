"""The image and the compose file name what exists: every process, every queue, every setting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from django.conf import settings

from apps.portal.programs import background_programs
from recoportal import env
from recoportal.env import BASE_DIR

DOCKER = BASE_DIR / "docker"
ENTRYPOINT = DOCKER / "entrypoints" / "entrypoint.sh"


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return document


def dockerfile() -> str:
    return (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def test_compose_names_every_process_and_service() -> None:
    services = set(compose()["services"])

    assert services >= {"postgres", "broker", "cache", "migrate", "web"}
    assert services >= {program.name for program in background_programs()}


def test_every_command_is_one_the_entrypoint_knows() -> None:
    known = set(re.findall(r"^  (\w+)\)$", ENTRYPOINT.read_text(encoding="utf-8"), re.MULTILINE))
    used = {
        service["command"][0]
        for service in compose()["services"].values()
        if service["image"].startswith("recoportal:")
    }

    assert used == {"web", "inbox", "worker", "beat", "migrate"}
    assert used <= known


def test_every_queue_has_a_worker() -> None:
    queues = {queue.name for queue in settings.CELERY_TASK_QUEUES}
    workers = {
        service["command"][1]
        for service in compose()["services"].values()
        if service.get("command", [""])[0] == "worker"
    }

    assert workers == queues


def test_the_containers_are_given_only_settings_that_exist() -> None:
    given = set(compose()["x-recoportal"]["environment"])
    given |= set(re.findall(r"\b(RECOPORTAL_\w+)=", dockerfile()))
    example = (DOCKER / "production.env.example").read_text(encoding="utf-8")
    given |= set(re.findall(r"^(\w+)=", example, re.MULTILINE))

    assert given <= set(env.BY_NAME)


def test_production_is_given_all_that_it_needs() -> None:
    example = (DOCKER / "production.env.example").read_text(encoding="utf-8")
    given = {*compose()["x-recoportal"]["environment"], *re.findall(r"^(\w+)=", example, re.MULTILINE)}
    needed = {problem.message.split()[0] for problem in env.Env(environ={}).missing_in_production()}

    assert needed <= given


def test_the_broker_never_evicts_and_the_cache_may() -> None:
    services = compose()["services"]

    assert "noeviction" in services["broker"]["command"]
    assert services["broker"]["command"][services["broker"]["command"].index("--appendonly") + 1] == "yes"
    assert "allkeys-lru" in services["cache"]["command"]


def test_the_dockerfile_copies_what_is_there_and_all_that_runs() -> None:
    sources = [
        part
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for part in line.split()[:-1]
    ]

    assert [source for source in sources if not (BASE_DIR / source).exists()] == []
    assert {"manage.py", "recoportal", "apps", "templates", "static", "locale"} <= set(sources)


def test_the_images_python_is_the_projects() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bases = re.findall(r"^FROM python:(\d+\.\d+)", dockerfile(), re.MULTILINE)

    assert project["requires-python"] == ">=3.11,<3.12"
    assert set(bases) == {"3.11"}


def test_the_image_is_named_for_the_projects_version() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert compose()["x-recoportal"]["image"] == f"recoportal:{project['version']}"


def test_every_pin_of_the_project_is_in_the_constraints() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    pins = {
        line.partition("==")[0].lower().replace("_", "-"): line.partition("==")[2]
        for line in (DOCKER / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    }

    for requirement in wanted:
        name, _, version = re.sub(r"\[.*?\]", "", requirement).partition("==")
        assert name.lower().replace("_", "-") in pins, f"{name}: write docker/constraints.txt again"
        assert not version or pins[name.lower().replace("_", "-")] == version
    assert pins["torch"] == "2.13.0"
    assert not [version for version in pins.values() if "+" in version or " " in version]


def test_the_entrypoint_is_a_script_that_parses() -> None:
    assert os.access(ENTRYPOINT, os.X_OK)
    assert subprocess.run(["sh", "-n", ENTRYPOINT], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not on the PATH")
def test_hadolint_has_nothing_to_say() -> None:
    answer = subprocess.run(["hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)

    assert answer.stdout == ""


def compose_is_here() -> bool:
    docker = shutil.which("docker")
    return (
        docker is not None
        and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not compose_is_here(), reason="docker compose is not on this machine")
def test_docker_compose_reads_the_file() -> None:
    answer = subprocess.run(
        ["docker", "compose", "-f", DOCKER / "compose.yaml", "config", "--quiet", "--no-env-resolution"],
        env={**os.environ, "POSTGRES_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
