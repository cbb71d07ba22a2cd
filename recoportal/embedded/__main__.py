"""`python -m recoportal.embedded status|start|stop|destroy`: the servers without Django, for make."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from recoportal import env
from recoportal.embedded import (
    ServicesError,
    services_destroy,
    services_ensure,
    services_status,
    services_stop,
)
from recoportal.embedded.place import lock_holder


def main(action: str) -> int:
    """Do one action on the configured data folder; returns the exit code."""
    data_dir = env.load().get_path("RECOPORTAL_DATA_DIR")
    if action == "start":
        services_ensure(data_dir, on_start=lambda name: print(f"starting {name}"))
    elif action == "stop":
        services_stop(data_dir)
    elif action == "destroy":
        data_dir_destroy(data_dir)
        return 0
    elif action != "status":
        print("usage: python -m recoportal.embedded status|start|stop|destroy", file=sys.stderr)
        return 2
    for name, alive in services_status(data_dir).items():
        print(f"{name}: {'running' if alive else 'stopped'}")
    return 0


def data_dir_destroy(data_dir: Path) -> None:
    """Delete the whole data folder and its servers, unless the demo runs on it."""
    holder = lock_holder(data_dir / "demo.lock")
    if holder is not None:
        raise ServicesError(f"the demo runs on {data_dir}: {holder}. Stop it there with Ctrl-C first.")
    services_destroy(data_dir)
    if data_dir.exists():
        shutil.rmtree(data_dir)
    print(f"deleted {data_dir}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "status"))
    except ServicesError as error:
        sys.exit(str(error))
