"""`manage.py run_loop` on a small file of the same shape as the real one: every seam of the loop."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recoportal.env import BASE_DIR
from tests.processes import child_environment

CUSTOMERS, TASTES, CODES = 90, 3, 14
DAYS = 190
MODELS = {"popular", "trend", "personal", "item_knn", "user_knn", "content", "als", "ease"}


def transactions_write(path: Path) -> None:
    """Invoices of customers with plain tastes, with a cancellation and a fee among them."""
    rng = np.random.default_rng(5)
    first = datetime(2011, 1, 3, 9)
    rows: list[list[str]] = []
    number = 536_000
    for customer in range(CUSTOMERS):
        own: list[str] = []
        for day in sorted(rng.uniform(0, DAYS, int(rng.integers(9, 14)))):
            number += 1
            at = first + timedelta(days=float(day))
            for _ in range(int(rng.integers(2, 6))):
                taste = customer % TASTES if rng.random() < 0.9 else int(rng.integers(TASTES))
                code = f"{10000 + taste * 100 + min(int(rng.geometric(0.14)) - 1, CODES - 1)}"
                if own and rng.random() < 0.3:
                    code = str(rng.choice(own))
                own.append(code)
                rows.append(line(str(number), code, 2, at, customer))
    cancelled = [*rows[3]]
    cancelled[0], cancelled[3] = "C" + cancelled[0], "-2"
    rows += [cancelled, line("540000", "POST", 1, first, 1), line("540001", "10001", 1, first, None)]
    with gzip.open(path, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            [
                "InvoiceNo",
                "StockCode",
                "Description",
                "Quantity",
                "InvoiceDate",
                "UnitPrice",
                "CustomerID",
                "Country",
            ]
        )
        writer.writerows(rows)


def line(invoice: str, code: str, quantity: int, at: datetime, customer: int | None) -> list[str]:
    kind = {"100": "red mug", "101": "blue lamp", "102": "green bag"}.get(code[:3], "postage")
    who = "" if customer is None else f"{12_000 + customer}.0"
    return [
        invoice,
        code,
        f"{kind.upper()} {code}",
        str(quantity),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        "2.5",
        who,
        "France",
    ]


def run(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "manage.py", "run_loop", *arguments, "--json"],
        cwd=BASE_DIR,
        env=child_environment(DJANGO_SETTINGS_MODULE="recoportal.settings.dev"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


@pytest.mark.slow
def test_loop_on_a_small_shop_and_again(tmp_path: Path) -> None:
    source, lists = tmp_path / "transactions.csv.gz", tmp_path / "lists.csv"
    transactions_write(source)
    arguments = ("--dataset", "online-retail", "--path", str(source), "--database", "loop_small")
    first = run(*arguments, "--lists", str(lists))
    imported = first["imported"]
    assert imported["interactions"] > 1_000
    assert imported["rows"] == imported["interactions"] + sum(imported["skipped"].values())
    assert set(first["models"]) == MODELS
    for figures in (*first["models"].values(), first["hybrid"]):
        for protocol in ("new", "all"):
            assert 0 <= figures[protocol]["ndcg10"] <= 1
            low, high = figures[protocol]["intervals"]["ndcg10"]
            assert low <= figures[protocol]["ndcg10"] <= high
            assert {"recall20", "mrr10", "hit10", "coverage10"} <= set(figures[protocol])
    assert first["models"]["ease"]["new"]["ndcg10"] > first["models"]["popular"]["new"]["ndcg10"]
    assert set(first["hybrid"]["weights"]["new"]) == MODELS
    assert set(first["hybrid"]["paired_ndcg10"]["all"]) == MODELS
    assert 0 < first["slate"]["p50_ms"] <= first["slate"]["p99_ms"]
    assert first["feedback"]["ctr"] == pytest.approx(0.25)
    lists_check(lists, first)
    second = run(*arguments)
    assert second["imported"]["interactions"] == 0
    # the feedback of the first pass is no part of the data set
    assert second["models"]["als"]["new"] == first["models"]["als"]["new"]
    assert second["hybrid"]["weights"] == first["hybrid"]["weights"]


def lists_check(path: Path, outcome: dict[str, Any]) -> None:
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert set(rows[0]) == {"model", "protocol", "customer", "rank", "sku", "score"}
    assert {row["model"] for row in rows} == MODELS | {"hybrid"}
    sizes = Counter((row["model"], row["protocol"], row["customer"]) for row in rows)
    assert max(sizes.values()) <= 20
    hybrid = {customer for model, protocol, customer in sizes if (model, protocol) == ("hybrid", "all")}
    assert len(hybrid) == outcome["test_users"]
    items = {(row["model"], row["protocol"], row["customer"], row["sku"]) for row in rows}
    assert len(items) == len(rows)  # never a duplicate in a list


def test_missing_file_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "run_loop", "--dataset", "online-retail",
         "--path", str(tmp_path / "none.gz"), "--database", "loop_none"],
        cwd=BASE_DIR,
        env=child_environment(DJANGO_SETTINGS_MODULE="recoportal.settings.dev"),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "none.gz" in done.stderr
    assert "Traceback" not in done.stderr
