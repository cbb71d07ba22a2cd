"""How many queries one slate costs, counted in a process of its own; prints one JSON object."""

import json

from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.serving import memory
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest


def main(placements: list[str]) -> None:
    """Print queries by placement for a shopper nobody asked for yet."""
    memory.REFRESH_SECONDS = 1e9  # the look for changes is once a second, not once a slate
    counts = {}
    for number, placement in enumerate(placements):
        recommend(SlateRequest(placement=placement, shopper=f"s{2 * number + 1}", n=20))
        with CaptureQueriesContext(connection) as queries:
            recommend(SlateRequest(placement=placement, shopper=f"s{2 * number + 2}", n=20))
        counts[placement] = len(queries)
    print(json.dumps(counts), flush=True)
