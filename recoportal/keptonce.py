"""Random texts made once per data folder and kept there: the development secret key, the site's mark."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key_ensure(data_dir: Path) -> str:
    """Return the development secret key kept in `data_dir/secret_key`, so that sessions outlive a restart."""
    return _kept(data_dir / "secret_key", secrets.token_urlsafe(48))


def site_mark_ensure(data_dir: Path, shop: str) -> str:
    """Return a random mark of this installation's shop, to tell it from another site on the same port."""
    return _kept(data_dir / f"site-{shop}", secrets.token_hex(8))


def _kept(path: Path, fresh: str) -> str:
    """Return the file's text (mode 0600), putting `fresh` there first if it is missing.

    Several processes may come at once: the link decides, whole or not at all, and losers read the winner's.
    """
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(fresh)
    try:
        os.link(mine, path)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    finally:
        mine.unlink()
    return fresh
