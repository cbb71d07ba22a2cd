#!/usr/bin/env python3
"""Django's command line, with the embedded services started first when no addresses are set."""

import os
import sys

# One thread per process for BLAS and OpenMP, before NumPy loads: several threads on shared cores spin.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
    if "runserver" not in sys.argv[1:2]:
        os.environ.setdefault("RECOPORTAL_DB_POOL_MAX", "0")
    try:
        from django.core.management import execute_from_command_line

        from recoportal.embedded.command import ServicesError, services_for_command
        from recoportal.translations import translations_compile
    except ImportError as error:
        sys.exit(f"manage.py: {error}. Run `make setup`, then use .venv/bin/python manage.py.")
    translations_compile()
    try:
        services_for_command(sys.argv)
    except ServicesError as error:
        sys.exit(f"manage.py: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
