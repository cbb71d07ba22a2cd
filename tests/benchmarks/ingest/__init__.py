"""How fast events are taken in, beside what this machine allows: `make bench-ingest`."""
