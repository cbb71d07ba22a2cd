"""What a process remembers, so that it answers fast, and answers at all while the database is away.

State and catalogue are looked at again at most once a second; one thread looks while the others answer from
what they have, unless that is too old to keep the promise that a publication is live within two seconds. When
the database goes away the memory goes on answering; a thread waits for the database's return, so that no
request has to wait for a time-out.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout

from apps.core.errors import ServiceUnavailable
from apps.serving.catalogue import Catalogue
from apps.serving.lists import ListKey, StoredList, lists_read
from apps.serving.live import LiveState, live_read
from apps.serving.prepared import Prepared
from apps.serving.shoppers import ShopperState, shopper_read

logger = logging.getLogger(__name__)
REFRESH_SECONDS = 1.0
# Older than this nobody answers from it while another thread looks, but waits for that one, within bounds.
STALE_SECONDS = 1.5
WAIT_SECONDS = 5.0
PROBE_SECONDS = 1.0
LISTS_REMEMBERED = 10_000
SHOPPERS_REMEMBERED = 5_000
OUTAGE = (OperationalError, InterfaceError, PoolTimeout)

K = TypeVar("K")
V = TypeVar("V")


class Memory:
    """One shop in this process. away: the database did not answer when last asked."""

    def __init__(self) -> None:
        self.live = LiveState()
        self.catalogue = Catalogue()
        self.away = False
        self._checked_at = -1e9
        self._refreshing = threading.Lock()
        self._keeping = threading.Lock()
        self._lists: OrderedDict[ListKey, StoredList] = OrderedDict()
        self._shoppers: OrderedDict[tuple[str, str], ShopperState] = OrderedDict()

    @property
    def is_warm(self) -> bool:
        """Whether there is anything to answer from."""
        return self.live.fingerprint is not None

    def refresh(self) -> None:
        """Look at the database again if that is a second ago; one thread looks while the others go on, or
        wait for it where what they have is stale.
        """
        age = time.monotonic() - self._checked_at
        if self.away or age < REFRESH_SECONDS:
            return
        if not self.is_warm:
            self._refreshing.acquire()
        elif not self._refreshing.acquire(timeout=WAIT_SECONDS if age > STALE_SECONDS else 0):
            return
        try:
            if not self.away and time.monotonic() - self._checked_at >= REFRESH_SECONDS:
                asked_at = time.monotonic()
                self.live = live_read(self.live)
                self.catalogue = self.catalogue.refreshed()
                self._checked_at = asked_at
        except OUTAGE as error:
            self.outage(error)
        finally:
            self._refreshing.release()

    def read_lists(self, keys: list[ListKey]) -> dict[ListKey, StoredList]:
        """The lists among these keys: from the database, or the remembered ones while it is away."""
        if not self.away:
            try:
                found = lists_read(keys)
            except OUTAGE as error:
                self.outage(error)
            else:
                self._keep(self._lists, found, LISTS_REMEMBERED)
                return found
        return {key: known for key in keys if (known := self._lists.get(key)) is not None}

    def read_shopper(
        self, shopper: str, session: str, bought_days: int | None = None, seen_minutes: int = 0
    ) -> ShopperState:
        """What is known of a shopper or session: from the database, or remembered while it is away."""
        name = (shopper, session)
        if not self.away:
            try:
                state = shopper_read(
                    shopper=shopper, session=session, bought_days=bought_days, seen_minutes=seen_minutes
                )
            except OUTAGE as error:
                self.outage(error)
            else:
                self._keep(self._shoppers, {name: state}, SHOPPERS_REMEMBERED)
                return state
        return self._shoppers.get(name) or ShopperState()

    def read_rows(self, query: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a query; none while the database is away."""
        if not self.away:
            try:
                return query.rows(values)
            except OUTAGE as error:
                self.outage(error)
        return []

    def _keep(self, memory: OrderedDict[K, V], found: Mapping[K, V], size: int) -> None:
        with self._keeping:
            for key, value in found.items():
                memory[key] = value
                memory.move_to_end(key)
            while len(memory) > size:
                memory.popitem(last=False)

    def outage(self, error: Exception) -> None:
        """Stop asking the database until the watching thread finds it back."""
        if not connection.in_atomic_block:
            connection.close()
        with self._keeping:
            if self.away:
                return
            self.away = True
        logger.warning("the database is away, slates come from memory: %s", error)
        settings = {**connection.get_connection_params(), "connect_timeout": 2}
        for name in ("cursor_factory", "context", "prepare_threshold"):
            settings.pop(name, None)
        threading.Thread(target=self._watch, args=(settings,), name="database-watch", daemon=True).start()

    def _watch(self, settings: dict[str, Any]) -> None:
        while self.away:
            time.sleep(PROBE_SECONDS)
            try:
                psycopg.Connection.connect(**settings).close()
            except psycopg.Error:
                continue
            logger.warning("the database is back")
            self.away = False


_memories: dict[tuple[str, str, str], Memory] = {}


def memory_current() -> Memory:
    """This process's memory of the shop at hand, refreshed when due.

    Raises ServiceUnavailable while the database is away and this process has never seen it.
    """
    settings = connection.settings_dict
    name = (settings["HOST"], str(settings["PORT"]), settings["NAME"])
    memory = _memories.get(name)
    if memory is None:
        memory = _memories.setdefault(name, Memory())
    memory.refresh()
    if not memory.is_warm:
        raise ServiceUnavailable("The database is away and this process has nothing to answer from yet.")
    return memory


def memory_forget() -> None:
    """Drop everything remembered, for tests and after switching shops."""
    for memory in _memories.values():
        memory.away = False
    _memories.clear()
