"""Several shops on one server: a database each, and nothing of one reaches another."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psycopg
import pytest
import redis
from django.conf import settings

from apps.accounts.models import ShopSettings
from apps.core.errors import InvalidInput
from apps.portal.shops import shop_database_name
from recoportal.databases import database_url_with_name
from recoportal.env import BASE_DIR
from tests.processes import child_environment

OTHER = "other_shop"
IN_ANOTHER_SHOP = """
import json, os
import django
django.setup()
from django.conf import settings
from django.core.cache import cache
from apps.portal.shops import shop_database_use
from apps.jobs.tasks import jobs_sweep
from apps.accounts.models import ShopSettings
from django.db import connection

name = shop_database_use("other-shop")
shop_database_use("other-shop")
ShopSettings.objects.update_or_create(pk=1, defaults={"name": "The other"})
cache.set("whose", "the other's", 60)
jobs_sweep.apply_async()
connection.cursor().execute("SELECT 1")
print(json.dumps({"name": name, "shop": settings.SHOP_NAME, "dir": str(settings.SHOP_DIR),
                  "url": os.environ["DATABASE_URL"], "database": connection.settings_dict["NAME"]}))
"""


@pytest.mark.parametrize(
    ("text", "name"), [("online-retail", "online_retail"), ("Shop2", "shop2"), (" chorus ", "chorus")]
)
def test_a_data_sets_name_becomes_a_database_name(text: str, name: str) -> None:
    assert shop_database_name(text) == name


@pytest.mark.parametrize("text", ["", "2shops", "a b", "x" * 64, "postgres", 'a"; DROP DATABASE shop'])
def test_a_name_that_is_no_database_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Use a letter followed by"):
        shop_database_name(text)


def test_another_shop_shares_the_servers_and_nothing_else(committed_db: None) -> None:
    ShopSettings.objects.update_or_create(pk=1, defaults={"name": "This one"})
    broker = redis.Redis.from_url(settings.REDIS_URL)
    try:
        answer = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_SHOP],
            cwd=BASE_DIR,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        told = json.loads(answer.stdout.splitlines()[-1])
        assert told == {
            "name": OTHER,
            "shop": OTHER,
            "dir": str(settings.DATA_DIR / "shops" / OTHER),
            "url": database_url_with_name(os.environ["DATABASE_URL"], OTHER),
            "database": OTHER,
        }
        assert ShopSettings.objects.get().name == "This one"
        assert broker.llen(f"{OTHER}:default") == 1
        assert broker.llen(f"{settings.SHOP_NAME}:default") == 0
        assert broker.llen("default") == 0
        keys = redis.Redis.from_url(settings.CACHE_URL).keys("*whose*")
        assert keys == [f"{OTHER}:1:whose".encode()]
    finally:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {OTHER}")
