"""A gate in front of the database: it can be away, and come back at the same address."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest
from django.db import connections

from tests.processes import free_port


class Gate:
    """Forwards connections to a port while open. Shut, it cuts them all and turns new ones away.

    turned_away: how many knocked while it was shut. delay: seconds by which each answer comes later.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = free_port()
        self.turned_away = 0
        self.delay = 0.0
        self._shut = False
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()
        self._listener.close()

    def shut(self) -> None:
        """Cut every connection and turn new ones away."""
        self._shut = True
        for end in list(self._ends):
            self._cut(end)

    def open(self) -> None:
        """Let connections through again."""
        self._shut = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._shut:
                    self.turned_away += 1
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self.target)
                except OSError:  # nobody there
                    client.close()
                    continue
                self._ends |= {client, server}
                for one, other in ((client, server), (server, client)):
                    forward = threading.Thread(
                        target=self._forward, args=(one, other, one is server), daemon=True
                    )
                    forward.start()

    def _forward(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if answers and self.delay:
                    time.sleep(self.delay)
                other.sendall(data)
        for end in (one, other):
            self._cut(end)

    def _cut(self, end: socket.socket) -> None:
        self._ends.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def database_gate(committed_db: None) -> Iterator[Gate]:
    """The test's own connections go through this gate; it opens again when the test ends."""
    settings = connections["default"].settings_dict
    host, port = settings["HOST"], settings["PORT"]
    with Gate(host or "127.0.0.1", int(port)) as gate:
        connections["default"].close()
        settings.update(HOST="127.0.0.1", PORT=str(gate.port))
        try:
            yield gate
        finally:
            connections["default"].close()
            settings.update(HOST=host, PORT=port)
