"""The development secret key: made once per data folder, so that sessions outlive a restart."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key_ensure(data_dir: Path) -> str:
    """Return the key kept in `data_dir/secret_key` (mode 0600), making it first if needed.

    Two processes may make it at once: the exclusive create decides, and the loser reads the winner's.
    """
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    key = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key)
    return key
