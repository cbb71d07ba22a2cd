"""The embedded servers, started for real: first starts, deaths, strangers' ports and pids, races."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from recoportal.embedded import (
    ServicesError,
    services_destroy,
    services_ensure,
    services_status,
    services_stop,
)
from recoportal.embedded.place import FALLBACK_PARENT, Place, passable, pid_of
from recoportal.env import BASE_DIR

ALL_UP = {"postgres": True, "valkey-broker": True, "valkey-cache": True}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """Give a data folder whose servers are stopped and deleted afterwards."""
    folder = tmp_path / "data"
    yield folder
    services_destroy(folder)


def start(data_dir: Path) -> dict[str, str]:
    return services_ensure(data_dir, durable=False)


def rows(urls: dict[str, str]) -> list[tuple[int]]:
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        return connection.execute("SELECT n FROM kept ORDER BY n").fetchall()


def keep(urls: dict[str, str], number: int) -> None:
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def postmaster_pid(data_dir: Path) -> int:
    pid = pid_of(Place.of(data_dir).root / "postgres" / "data" / "postmaster.pid")
    assert pid is not None
    return pid


def test_start_stop_and_start_again_keep_what_was_written(data_dir: Path) -> None:
    urls = start(data_dir)
    keep(urls, 1)
    redis.Redis.from_url(urls["REDIS_URL"]).set("key", "value")

    assert services_status(data_dir) == ALL_UP
    services_stop(data_dir)
    assert services_status(data_dir) == dict.fromkeys(ALL_UP, False)

    urls = start(data_dir)
    assert rows(urls) == [(1,)]
    assert redis.Redis.from_url(urls["REDIS_URL"]).get("key") == b"value"
    assert redis.Redis.from_url(urls["CACHE_URL"]).get("key") is None


def test_a_second_start_starts_nothing(data_dir: Path) -> None:
    told: list[str] = []
    urls = services_ensure(data_dir, durable=False, on_start=told.append)
    assert told == ["postgres", "valkey-broker", "valkey-cache"]

    told.clear()
    assert services_ensure(data_dir, durable=False, on_start=told.append) == urls
    assert told == []


def test_only_the_named_servers_are_started(data_dir: Path) -> None:
    urls = services_ensure(data_dir, names=["valkey-cache"])

    assert list(urls) == ["CACHE_URL"]
    assert services_status(data_dir) == ALL_UP | {"postgres": False, "valkey-broker": False}


def test_the_servers_listen_on_this_machine_only_and_want_a_password(data_dir: Path) -> None:
    urls = start(data_dir)
    without = urls["DATABASE_URL"].replace(urls["DATABASE_URL"].split(":")[2].split("@")[0], "guess")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without)
    port = int(urls["REDIS_URL"].rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host="127.0.0.1", port=port).ping()
    assert (Place.of(data_dir).root / "postgres" / "password").stat().st_mode & 0o077 == 0


def test_the_broker_never_evicts_and_the_cache_may(data_dir: Path) -> None:
    urls = start(data_dir)
    broker = redis.Redis.from_url(urls["REDIS_URL"]).config_get()
    cache = redis.Redis.from_url(urls["CACHE_URL"]).config_get()

    assert (broker["maxmemory-policy"], broker["appendonly"]) == ("noeviction", "yes")
    assert (cache["maxmemory-policy"], cache["appendonly"], cache["save"]) == ("allkeys-lru", "no", "")


def test_a_killed_database_starts_again_at_once_with_its_rows(data_dir: Path) -> None:
    urls = start(data_dir)
    keep(urls, 1)

    os.kill(postmaster_pid(data_dir), signal.SIGKILL)

    assert rows(start(data_dir)) == [(1,)]


def test_a_killed_broker_starts_again_with_its_keys(data_dir: Path) -> None:
    urls = start(data_dir)
    broker = redis.Redis.from_url(urls["REDIS_URL"])
    broker.set("key", "value")
    time.sleep(0.1)  # the append-only file is written at the end of the event loop's turn

    os.kill(broker.info()["process_id"], signal.SIGKILL)

    assert redis.Redis.from_url(start(data_dir)["REDIS_URL"]).get("key") == b"value"


@pytest.mark.parametrize("whose", ["dead", "alive"])
def test_a_stale_pid_file_does_not_stop_the_start(data_dir: Path, whose: str) -> None:
    keep(start(data_dir), 1)
    pid_file = Place.of(data_dir).root / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    services_stop(data_dir)
    stranger = subprocess.Popen(["sleep", "60"])
    if whose == "dead":
        stranger.kill()
        stranger.wait()
    pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    Place.of(data_dir).owner.own(pid_file, 0o600)
    try:
        assert rows(start(data_dir)) == [(1,)]
    finally:
        stranger.kill()
        stranger.wait()


def test_a_zombie_that_nobody_reaps_does_not_stop_the_start(data_dir: Path) -> None:
    keep(start(data_dir), 1)
    pid_file = Place.of(data_dir).root / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    services_stop(data_dir)
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    pid_file.write_text("\n".join([str(zombie.pid), *lines[1:]]) + "\n")
    Place.of(data_dir).owner.own(pid_file, 0o600)
    try:
        assert rows(start(data_dir)) == [(1,)]
    finally:
        zombie.wait()


def test_taken_ports_are_left_to_those_who_have_them(data_dir: Path) -> None:
    keep(start(data_dir), 1)
    services_stop(data_dir)
    root = Place.of(data_dir).root
    taken = {name: int((root / name / "port").read_text()) for name in ALL_UP}
    strangers = []
    for port in taken.values():
        stranger = socket.socket()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        strangers.append(stranger)
    try:
        assert rows(start(data_dir)) == [(1,)]
        assert services_status(data_dir) == ALL_UP
        assert not set(taken.values()) & {int((root / name / "port").read_text()) for name in ALL_UP}
    finally:
        for stranger in strangers:
            stranger.close()


def test_two_processes_starting_at_once_get_the_same_servers(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from recoportal.embedded import services_ensure;"
        "print(services_ensure(Path(sys.argv[1]), durable=False)['DATABASE_URL'])"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(data_dir)], cwd=BASE_DIR, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    answers = [racer.communicate(timeout=120)[0] for racer in racers]

    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(set(answers)) == 1


def test_a_folder_whose_path_is_longer_than_a_socket_may_be(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10)
    try:
        assert start(folder)["DATABASE_URL"].startswith("postgresql://shop:")
    finally:
        services_destroy(folder)


def test_a_half_made_database_is_made_again(data_dir: Path) -> None:
    folder = Place.of(data_dir).folder("postgres")
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("18\n")

    assert services_status(data_dir)["postgres"] is False
    keep(start(data_dir), 1)


def test_data_of_another_version_says_what_to_do(data_dir: Path) -> None:
    place = Place.of(data_dir)
    data = place.folder("postgres") / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")

    with pytest.raises(ServicesError, match=r"made by PostgreSQL 15, this one is 18(.|\n)*make reset"):
        start(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another account")
def test_root_keeps_data_elsewhere_when_its_folder_is_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    place = Place.of(closed / "data")

    assert not passable(closed)
    assert place.root.parent == FALLBACK_PARENT
    keep(start(closed / "data"), 1)
    assert (place.root / "postgres" / "data").stat().st_uid == place.owner.uid != 0
    services_destroy(closed / "data")
    assert not place.root.exists()
    assert not (closed / "data" / "services-place").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a folder to another account")
def test_binaries_in_a_closed_folder_are_copied(data_dir: Path, tmp_path: Path) -> None:
    place = Place.of(data_dir)
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    package = closed / "closed_package"
    (package / "tools").mkdir(parents=True)
    (package / "__init__.py").touch()
    tool = package / "tools" / "tool"
    tool.write_text("#!/bin/sh\necho reached\n")
    tool.chmod(0o700)
    sys.path.insert(0, str(closed))
    try:
        folder = place.binaries("closed_package", "tools")
    finally:
        sys.path.remove(str(closed))

    assert place.owner.run([folder / "tool"], timeout=10).stdout == "reached\n"


def test_a_busy_broker_is_waited_for_and_not_doubled(data_dir: Path) -> None:
    broker = redis.Redis.from_url(start(data_dir)["REDIS_URL"])
    pid = broker.info()["process_id"]
    os.kill(pid, signal.SIGSTOP)
    waker = subprocess.Popen(["sh", "-c", f"sleep 3; kill -CONT {pid}"])
    try:
        urls = start(data_dir)
    finally:
        waker.wait()

    assert redis.Redis.from_url(urls["REDIS_URL"]).info()["process_id"] == pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another account")
def test_an_ordinary_user_and_root_after_it_share_one_folder(tmp_path: Path) -> None:
    if not passable(Path(sys.executable).resolve().parent):
        pytest.skip(f"an ordinary user can't run {sys.executable}: it is below a closed folder")
    folder = Path("/var/tmp") / f"recoportal-plain-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    code = (
        "import sys; from pathlib import Path; from recoportal.embedded import services_ensure;"
        "print(services_ensure(Path(sys.argv[1]), durable=False)['DATABASE_URL'])"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", code, str(folder / "data")],
            cwd=BASE_DIR,
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == 0, child.stderr
        assert start(folder / "data")["DATABASE_URL"] == child.stdout.strip()
        services_stop(folder / "data")
        keep(start(folder / "data"), 1)
    finally:
        services_destroy(folder / "data")
        shutil.rmtree(folder)
