"""Batch scoring beside the bare arithmetic: every list of a factor model, built and stored, against one
blocked product and partition of the same size.

    python -m tests.benchmarks.serving_batch [--shoppers 100000] [--items 50000] [--factors 64]

The build is the product's own: shards of `serving.batch` from an artifact on disk into a throw-away Postgres,
two lists of 100 for each shopper (with and without what they bought) and one for each item. The peer, a
process of its own on the same cores, ranks the same shoppers and items once: blocks of float32 products,
`numpy.argpartition` and a sort of the best 100; it keeps the lists in memory and stores nothing. One thread
each. The last line is one JSON object: seconds on the clock and of the processor, their ratios, peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PURCHASES_EACH = 8
K = 100
PEER_BLOCK = 256


def factors_of(rows: int, width: int, seed: int) -> Any:
    """Normal factors, float32 [rows, width]."""
    import numpy as np

    return np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)


def peer(shoppers: int, items: int, width: int) -> dict[str, float]:
    """The bare arithmetic: shoppers by items, then items by items."""
    import numpy as np

    users_UF, items_NF = factors_of(shoppers, width, 1), factors_of(items, width, 2)
    unit_NF = items_NF / np.linalg.norm(items_NF, axis=1, keepdims=True)
    began, worked = time.perf_counter(), time.process_time()
    for queries, targets in ((users_UF, items_NF), (unit_NF, unit_NF)):
        found = np.empty((len(queries), K), dtype=np.int64)
        scores = np.empty((len(queries), K), dtype=np.float32)
        block = np.empty((PEER_BLOCK, items), dtype=np.float32)
        for start in range(0, len(queries), PEER_BLOCK):
            part = queries[start : start + PEER_BLOCK]
            told = np.matmul(part, targets.T, out=block[: len(part)])
            best = np.argpartition(told, items - K, axis=1)[:, items - K :]
            values = np.take_along_axis(told, best, axis=1)
            order = np.argsort(-values, axis=1)
            found[start : start + PEER_BLOCK] = np.take_along_axis(best, order, axis=1)
            scores[start : start + PEER_BLOCK] = np.take_along_axis(values, order, axis=1)
    return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}


def own(folder: Path, shoppers: int, items: int, width: int) -> dict[str, float]:
    """The product's build of a made-up iALS model of this size."""
    from tests.services_for_run import services_start_for_run

    services_start_for_run()
    os.environ["DJANGO_SETTINGS_MODULE"] = "recoportal.settings.test"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    version_id = version_make(shoppers, items, width, folder)
    from apps.serving.batch import lists_build

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    built = lists_build(version_id=version_id)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - worked,
        "lists": built.lists,
        "shards": built.shards,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_before_mb": before / 1024,
    }


def version_make(shoppers: int, items: int, width: int, folder: Path) -> int:
    """An artifact with these factors and some purchases, and the rows that name it; the version's id."""
    import numpy as np
    from scipy import sparse

    from apps.ml.configs.factors import AlsConfig
    from apps.ml.dataset import IdMap
    from apps.ml.history import History
    from apps.ml.models.als import AlsModel
    from apps.serving.batch import KEYS_PER_SHARD, SHARDS_MAX
    from apps.serving.models import ListBuild
    from apps.training.models import ModelVersion, Recipe, VersionStatus

    rng = np.random.default_rng(3)
    shape = (shoppers, items)
    columns = rng.integers(0, items, shoppers * PURCHASES_EACH)
    owners = np.repeat(np.arange(shoppers), PURCHASES_EACH)
    bought = sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), (owners, columns)), shape=shape)
    history = History(
        IdMap(np.arange(1, shoppers + 1, dtype=np.int64)),
        IdMap(np.arange(1, items + 1, dtype=np.int64)),
        bought.astype(np.bool_),
        sparse.csr_matrix((np.zeros(0, dtype=np.bool_), (owners[:0], columns[:0])), shape=shape),
        np.ones(items, dtype=np.bool_),
        np.ones(shoppers, dtype=np.bool_),
    )
    config = AlsConfig(factors=width)
    users_UF, items_NF = factors_of(shoppers, width, 1), factors_of(items, width, 2)
    AlsModel(config, history, users_UF, items_NF, bought).save(folder / "artifact")
    recipe = Recipe.objects.create(code="als", name="als", family="als")
    version = ModelVersion.objects.create(
        recipe=recipe,
        number=1,
        status=VersionStatus.LIVE,
        artifact_path=str(folder / "artifact"),
        snapshot_hash="bench",
    )
    shards = min(-(-(shoppers + items) // KEYS_PER_SHARD), SHARDS_MAX)
    ListBuild.objects.create(version_id=version.pk, shards=shards)
    return version.pk


def part(name: str, *sizes: int) -> dict[str, float]:
    """Run one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.serving_batch", "--part", name, *map(str, sizes)],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {figures}", flush=True)
    return figures


def main() -> None:
    """Both sides, one after the other, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shoppers", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--part", nargs=4, metavar=("SIDE", "SHOPPERS", "ITEMS", "FACTORS"))
    asked = parser.parse_args()
    if asked.part:
        side, *sizes = asked.part
        numbers = [int(size) for size in sizes]
        if side == "peer":
            print(json.dumps(peer(*numbers)))
        else:
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(own(Path(folder), *numbers)))
        return
    sizes_asked = (asked.shoppers, asked.items, asked.factors)
    bare, built = part("peer", *sizes_asked), part("own", *sizes_asked)
    ratios = {
        "seconds": built["seconds"] / bare["seconds"],
        "cpu_seconds": built["cpu_seconds"] / bare["cpu_seconds"],
    }
    answer = {"shoppers": asked.shoppers, "items": asked.items, "factors": asked.factors, "peer": bare}
    print(json.dumps(answer | {"own": built, "ratios": ratios, "peak_mb": built["peak_mb"]}))


if __name__ == "__main__":
    main()
