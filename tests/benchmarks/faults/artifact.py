"""A live model without lists whose artifact is damaged. Each function runs in a Django process of its own."""

from pathlib import Path

import pandas as pd
from django.conf import settings
from django.db import connection

from apps.core import clock
from apps.ml.dataset import Dataset
from apps.ml.train import train
from apps.serving.tasks import lists_missing_build
from apps.training.models import ModelVersion, Recipe, VersionStatus

FROM_EVENTS = """
SELECT shopper_id AS user_id, product_id AS item_id, extract(epoch FROM occurred_at)::float8 AS timestamp
FROM events_interaction WHERE shopper_id IS NOT NULL AND product_id IS NOT NULL LIMIT 5000
"""


def make() -> None:
    """Train a model and make it live; prints its version's id and its file of numbers."""
    with connection.cursor() as cursor:
        cursor.execute(FROM_EVENTS)
        frame = pd.DataFrame(cursor.fetchall(), columns=["user_id", "item_id", "timestamp"])
    path = Path(settings.SHOP_DIR) / "artifacts" / f"late-{clock.now():%H%M%S}"
    train("popular", {}, Dataset.from_frames(frame)).save(path)
    recipe, _made = Recipe.objects.get_or_create(code="late", defaults={"name": "Late", "family": "popular"})
    version = ModelVersion.objects.create(
        recipe=recipe,
        number=recipe.versions.count() + 1,
        status=VersionStatus.LIVE,
        artifact_path=str(path),
        config={},
        snapshot_hash="bench",
    )
    print(version.pk, path / "model.safetensors")


def give_out() -> None:
    """What beat does every few seconds."""
    lists_missing_build()
