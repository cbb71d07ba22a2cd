"""The event stream in Valkey: its keys, its scripts, and what may be added to it.

Keys of one shop, all in one cluster slot:
`{shop}:inbox:events`      the stream of events; an entry holds a batch
`{shop}:inbox:exposures`   the stream of served slates that Postgres could not take at once
`{shop}:inbox:bytes`       how much both hold; above RECOPORTAL_INBOX_MB the inbox is full
`{shop}:inbox:ids:<n>`     client event ids of ten minutes, to answer "duplicate" at the door

Entries of the events stream, by field:
`lines1`  our own: lines of `lines.FORMAT`
`event`, `events`  anybody's: one event, or a list, as JSON in the shape of POST /api/v1/events; `source`
may name the sender. They are checked when they are consumed.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

GROUP = "recoportal"
IDS_SECONDS = 600
IDS_MAX = 1_000_000
STRICT_SECONDS = 3.0
FULL = "INBOXFULL"
# KEYS: stream, bytes, ids now, ids before. ARGV: lines, most bytes, seconds, most ids, the ids.
# Returns "" when all ids are new, else one character per id: 1 known, 0 new. Repeats may go into the stream
# with the rest: the consumer stores each id once.
EVENTS_ADD = """
local ids = {unpack(ARGV, 5)}
local known = redis.call('SMISMEMBER', KEYS[3], unpack(ids))
local before = redis.call('SMISMEMBER', KEYS[4], unpack(ids))
local fresh = 0
for i = 1, #ids do
  if before[i] == 1 then known[i] = 1 end
  if known[i] == 0 then fresh = fresh + 1 end
end
if fresh == 0 then
  redis.call('INCRBY', KEYS[2], 0) -- a write, so that a strict sender waits for the first sending's, too
  return table.concat(known)
end
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if held + #ARGV[1] > tonumber(ARGV[2]) then
  return redis.error_reply('INBOXFULL ' .. held .. ' bytes wait')
end
redis.call('XADD', KEYS[1], '*', 'lines1', ARGV[1])
redis.call('INCRBY', KEYS[2], #ARGV[1])
if redis.call('SCARD', KEYS[3]) < tonumber(ARGV[4]) then
  redis.call('SADD', KEYS[3], unpack(ids))
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
if fresh == #ids then return '' end
return table.concat(known)
"""
# KEYS: stream, bytes. ARGV: field, value, most bytes.
ADD = """
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if held + #ARGV[2] > tonumber(ARGV[3]) then
  return redis.error_reply('INBOXFULL ' .. held .. ' bytes wait')
end
redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])
redis.call('INCRBY', KEYS[2], #ARGV[2])
return 1
"""
# KEYS: stream, bytes. ARGV: group, then id and counted bytes of each entry that is done with.
DONE = """
local freed = 0
for i = 2, #ARGV, 2 do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then freed = freed + tonumber(ARGV[i + 1]) end
end
if freed > 0 and redis.call('DECRBY', KEYS[2], freed) < 0 then redis.call('SET', KEYS[2], 0) end
return freed
"""


class InboxAway(Exception):
    """This inbox can't take the batch now: away, full, or too slow to reach the disk. Nothing of the batch is
    acknowledged.
    """


class Stream:
    """The streams of one shop. Every method raises InboxAway."""

    def __init__(self, url: str, shop: str) -> None:
        # One more try at once, for a connection that a restart of the server left dead; none for a server
        # that does not answer. No longer wait: the other inbox is there.
        self.client: Any = redis.Redis.from_url(
            url,
            socket_connect_timeout=0.5,
            socket_timeout=2.0,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            protocol=2,
        )
        base = f"{{{shop}}}:inbox"
        self.events, self.exposures, self.bytes = f"{base}:events", f"{base}:exposures", f"{base}:bytes"
        self._ids = f"{base}:ids:"
        self._events_add = self.client.register_script(EVENTS_ADD)
        self._add = self.client.register_script(ADD)
        self._done = self.client.register_script(DONE)

    def events_add(self, ids: Sequence[str], lines: Sequence[bytes], *, strict: bool) -> set[str]:
        """Add one entry with these lines; returns the ids of the last minutes among `ids`."""
        bucket = int(time.time()) // IDS_SECONDS
        keys = [self.events, self.bytes, f"{self._ids}{bucket}", f"{self._ids}{bucket - 1}"]
        blob = b"\n".join(lines) + b"\n"
        limit = settings.INBOX_MB * 1_000_000
        arguments: list[Any] = [blob, limit, 2 * IDS_SECONDS, IDS_MAX, *ids]
        try:
            if strict:
                known = self._add_and_wait(keys, arguments)
            else:
                known = self._events_add(keys=keys, args=arguments)
        except (redis.RedisError, OSError) as error:
            raise InboxAway(str(error)) from error
        if not known:
            return set()
        return {one for one, flag in zip(ids, known, strict=True) if flag == 49}  # b"1"

    def _add_and_wait(self, keys: list[str], arguments: list[Any]) -> bytes:
        """The script and a wait for the disk, on one connection; a repeat waits for its first sending."""
        with self.client.client() as client:
            known: bytes = self._events_add(keys=keys, args=arguments, client=client)
            reached = client.execute_command("WAITAOF", 1, 0, int(STRICT_SECONDS * 500))
            if reached[0] < 1:
                raise redis.TimeoutError("the append-only file did not reach the disk in time")
            return known

    def exposures_add(self, rows: bytes) -> None:
        """Add served slates: a JSON array of `ExposureRow`s."""
        try:
            self._add(keys=[self.exposures, self.bytes], args=["rows1", rows, settings.INBOX_MB * 1_000_000])
        except (redis.RedisError, OSError) as error:
            raise InboxAway(str(error)) from error

    def waiting(self) -> tuple[int, float]:
        """How many entries of both streams are not stored yet, and the seconds the oldest has waited."""
        try:
            count, oldest = 0, 0.0
            now = time.time()
            for name in (self.events, self.exposures):
                count += self.client.xlen(name)
                for entry_id, _fields in self.client.xrange(name, count=1):
                    oldest = max(oldest, now - int(entry_id.split(b"-")[0]) / 1000)
        except (redis.RedisError, OSError) as error:
            raise InboxAway(str(error)) from error
        return count, oldest

    def groups_make(self) -> None:
        """Make the consumers' group of both streams; what was added before it existed is read too."""
        for name in (self.events, self.exposures):
            try:
                self.client.xgroup_create(name, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def done(self, name: str, entries: Sequence[tuple[bytes, int]]) -> None:
        """Let go of stored entries: (id, bytes that were counted for it)."""
        for start in range(0, len(entries), 1_000):
            part = entries[start : start + 1_000]
            self._done(keys=[name, self.bytes], args=[GROUP, *(value for entry in part for value in entry)])


_lock = threading.Lock()
_streams: dict[tuple[str, str], Stream] = {}


def stream() -> Stream:
    """This process's connections to the shop's streams."""
    name = (settings.REDIS_URL, settings.SHOP_NAME)
    found = _streams.get(name)
    if found is None:
        with _lock:
            found = _streams.setdefault(name, Stream(*name))
    return found
