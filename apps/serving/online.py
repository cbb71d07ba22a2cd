"""Networks of live sequence models in this process: what a visitor did a moment ago decides the next list.

Workers write a network when they build its version's lists; web processes read it on first need and run it in
ONNX Runtime, without torch. Without one the session's product lists stand in.
"""

import logging
import shutil
import threading
import time
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from apps.ml.base import Model
from apps.ml.errors import ArtifactInvalid
from apps.ml.topn import SERVED_LIST_LENGTH
from apps.serving.lists import StoredList

if TYPE_CHECKING:
    from apps.ml.session_network import SessionNetwork

logger = logging.getLogger(__name__)
# A version without a network is looked at again after this long.
ABSENT_SECONDS = 30.0
LISTS_REMEMBERED = 4_096
_networks: dict[Path, tuple[float, "SessionNetwork | None"]] = {}
_reading = threading.Lock()


def network_folder(version_id: int) -> Path:
    """Where a version's network lies."""
    return Path(settings.SHOP_DIR) / "online" / str(version_id)


def network_write(*, version_id: int, model: Model[Any]) -> bool:
    """Write the version's network if its family has one; loads torch, so call it from workers only."""
    from apps.ml.session_export import answers_sessions, session_export

    if not answers_sessions(model):
        return False
    session_export(model, network_folder(version_id))
    return True


def networks_prune(*, keep: Collection[int]) -> int:
    """Delete the networks of all other versions; returns how many went."""
    base = Path(settings.SHOP_DIR) / "online"
    gone = [place for place in base.glob("[0-9]*") if place.name.isdigit() and int(place.name) not in keep]
    for place in gone:
        shutil.rmtree(place, ignore_errors=True)
        _networks.pop(place, None)
    return len(gone)


def list_after(version_id: int, session: tuple[int, ...]) -> StoredList | None:
    """The version's list after these products, oldest first; None where it has no network, or nothing to
    say.
    """
    network = _network(network_folder(version_id))
    if network is None:
        return None
    found = _list(network, session)
    return found if len(found.ids) else None


@lru_cache(maxsize=LISTS_REMEMBERED)
def _list(network: "SessionNetwork", session: tuple[int, ...]) -> StoredList:
    """A page asks for several slates of one visitor at once."""
    return StoredList(*network.list_after(session, SERVED_LIST_LENGTH))


def _network(place: Path) -> "SessionNetwork | None":
    at, network = _networks.get(place, (-1e9, None))
    if network is not None or time.monotonic() - at < ABSENT_SECONDS:
        return network
    with _reading:
        at, network = _networks.get(place, (-1e9, None))
        if network is None and time.monotonic() - at >= ABSENT_SECONDS:
            network = _read(place)
            _networks[place] = (time.monotonic(), network)
    return network


def _read(place: Path) -> "SessionNetwork | None":
    if not place.is_dir():
        return None
    # Some 40 MB that a process without such a model can do without.
    from apps.ml.session_network import SessionNetwork

    try:
        return SessionNetwork(place)
    except ArtifactInvalid:
        logger.exception("the session network in %s can't be used; item lists stand in", place)
        return None
