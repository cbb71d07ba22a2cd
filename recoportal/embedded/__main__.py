"""`python -m recoportal.embedded status|start|stop|destroy`: the servers without Django, for make."""

from __future__ import annotations

import sys

from recoportal import env
from recoportal.embedded import (
    ServicesError,
    services_destroy,
    services_ensure,
    services_status,
    services_stop,
)


def main(action: str) -> int:
    """Do one action on the configured data folder; returns the exit code."""
    data_dir = env.load().get_path("RECOPORTAL_DATA_DIR")
    if action == "start":
        services_ensure(data_dir, on_start=lambda name: print(f"starting {name}"))
    elif action == "stop":
        services_stop(data_dir)
    elif action == "destroy":
        services_destroy(data_dir)
    elif action != "status":
        print("usage: python -m recoportal.embedded status|start|stop|destroy", file=sys.stderr)
        return 2
    for name, alive in services_status(data_dir).items():
        print(f"{name}: {'running' if alive else 'stopped'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "status"))
    except ServicesError as error:
        sys.exit(str(error))
