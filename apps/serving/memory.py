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
from collections.abc import Mapping, Sequence
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
from recoportal.patience import Patience, PatientConnection

logger = logging.getLogger(__name__)
REFRESH_SECONDS = 1.0
# Older than this nobody answers from it while another thread looks, but waits for that one, within bounds.
STALE_SECONDS = 1.5
WAIT_SECONDS = 5.0
PROBE_SECONDS = 1.0
PROBE_PATIENCE = 2.0
# Candidate lists are written once per version; a build that was finished or withdrawn ends this early.
LISTS_SECONDS = 30.0
# Of a key without a list.
NO_LIST_SECONDS = 2.0
# A page asks for several slates at once: they share what is known of the shopper. What a shopper does must
# change the next slate within a second, the way through the inbox included.
SHOPPER_SECONDS = 0.4
LISTS_REMEMBERED = 10_000
SHOPPERS_REMEMBERED = 5_000
# A slate waits no longer for the database, and then goes on from memory.
READ_SECONDS = 1.0
# Reading a great change takes its time; the question whether there is one does not (`live.ANSWER_SECONDS`).
CHANGE_SECONDS = 30.0
OUTAGE = (OperationalError, InterfaceError, PoolTimeout)

ShopperKey = tuple[str, str, int | None, int]
"""shopper, session, bought_days, seen_minutes: see `shopper_read`."""
_NEVER: tuple[float, StoredList | None] = (-1e9, None)
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
        self._lists_since = 0.0
        # When it was read, and what was found.
        self._lists: OrderedDict[ListKey, tuple[float, StoredList | None]] = OrderedDict()
        self._shoppers: OrderedDict[ShopperKey, tuple[float, ShopperState]] = OrderedDict()

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
                with Patience(CHANGE_SECONDS if self.is_warm else None):
                    live = live_read(self.live)
                    if live is not self.live:
                        self._lists_since = asked_at
                    self.live = live
                    self.catalogue = self.catalogue.refreshed()
                self._checked_at = asked_at
        except OUTAGE as error:
            self.outage(error)
        finally:
            self._refreshing.release()

    def read_lists(
        self, keys: Sequence[ListKey], otherwise: Sequence[ListKey] = ()
    ) -> dict[ListKey, StoredList]:
        """The lists among these keys: read within LISTS_SECONDS, else from the database; while that is away
        whatever is remembered.

        otherwise: read by the same query if there are none, for the caller will ask for these next.
        """
        now = time.monotonic()
        known = {key: self._lists.get(key, _NEVER) for key in keys}
        missing = [key for key, entry in known.items() if not self._is_fresh(entry, now)]
        if missing and not self.away:
            # Whether there are none is seen by the query only if it looks for all of them.
            second = otherwise if len(missing) == len(known) else ()
            try:
                with Patience(READ_SECONDS):
                    read = lists_read(missing, second)
            except OUTAGE as error:
                self.outage(error)
            else:
                asked = missing if any(key in read for key in missing) else [*missing, *second]
                entries = {key: (now, read.get(key)) for key in asked}
                self._keep(self._lists, entries, LISTS_REMEMBERED)
                known |= {key: entries[key] for key in missing}
        return {key: found for key, (_, found) in known.items() if found is not None}

    def _is_fresh(self, entry: tuple[float, StoredList | None], now: float) -> bool:
        at, found = entry
        return now - at < (NO_LIST_SECONDS if found is None else LISTS_SECONDS) and at >= self._lists_since

    def read_shopper(
        self, shopper: str, session: str, bought_days: int | None = None, seen_minutes: int = 0
    ) -> ShopperState:
        """What is known of a shopper or session: from the database, or remembered while it is away."""
        name = (shopper, session, bought_days, seen_minutes)
        now = time.monotonic()
        at, known = self._shoppers.get(name, (-1e9, ShopperState()))
        if not self.away and now - at >= SHOPPER_SECONDS:
            try:
                with Patience(READ_SECONDS):
                    state = shopper_read(
                        shopper=shopper, session=session, bought_days=bought_days, seen_minutes=seen_minutes
                    )
            except OUTAGE as error:
                self.outage(error)
            else:
                self._keep(self._shoppers, {name: (now, state)}, SHOPPERS_REMEMBERED)
                return state
        return known

    def read_rows(self, query: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a query; none while the database is away."""
        if not self.away:
            try:
                with Patience(READ_SECONDS):
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
        settings = {**connection.get_connection_params(), "connect_timeout": int(PROBE_PATIENCE)}
        for name in ("cursor_factory", "context", "prepare_threshold"):
            settings.pop(name, None)
        threading.Thread(target=self._watch, args=(settings,), name="database-watch", daemon=True).start()

    def _watch(self, settings: dict[str, Any]) -> None:
        while self.away:
            time.sleep(PROBE_SECONDS)
            try:
                with Patience(PROBE_PATIENCE), PatientConnection.connect(**settings) as found:
                    found.execute("SELECT 1")
            except psycopg.Error:
                continue
            logger.warning("the database is back")
            self.away = False


ShopKey = tuple[str, str, str]
_memories: dict[ShopKey, Memory] = {}


def _shop_key() -> ShopKey:
    settings = connection.settings_dict
    return settings["HOST"], str(settings["PORT"]), settings["NAME"]


def database_is_away() -> bool:
    """Whether the shop's database did not answer this process when last asked; asks nothing."""
    memory = _memories.get(_shop_key())
    return memory is not None and memory.away


def memory_current() -> Memory:
    """This process's memory of the shop at hand, refreshed when due.

    Raises ServiceUnavailable while the database is away and this process has never seen it.
    """
    name = _shop_key()
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
