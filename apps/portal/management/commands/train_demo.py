"""The demo's first models: train what is missing, build lists, publish tuned weights, count the history."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from apps.merchandising.services import placements_ensure, weights_default_set
from apps.metrics.rollups import rollups_build
from apps.serving.batch import lists_missing_build
from apps.training.hybrid import hybrid_due, hybrid_get, hybrid_job_create, hybrid_tune
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import recipes_ensure
from apps.training.registry import version_promote


class Command(BaseCommand):
    """Idempotent: a second start finds live versions with lists and does nothing."""

    help = "Trains the recipes that have no live version yet and makes them serve."

    def handle(self, *args: Any, **options: Any) -> None:
        """Fill the gaps between recipes, live versions, lists and default weights."""
        placements_ensure()
        live = ModelVersion.objects.filter(status=VersionStatus.LIVE).values_list("recipe_id", flat=True)
        missing = [r.code for r in recipes_ensure() if r.active and r.pk not in set(live)]
        if missing:
            call_command(
                "train_now", recipes=",".join(missing), inline=True, no_hybrid=True, stdout=self.stdout
            )
        for recipe in recipes_ensure():
            self._first_version_promote(recipe)
        if hybrid_due():
            self.stdout.write("tuning the hybrid's weights")
            hybrid_tune(job_id=hybrid_job_create().pk)
        for build in lists_missing_build():
            self.stdout.write(f"version {build.version_id}: {build.lists} lists")
        tuned = hybrid_get()
        if tuned is not None and "new" in tuned.weights:
            for publication in weights_default_set(
                weights=tuned.weights["new"],
                weights_repeat=tuned.weights.get("all"),
                note="Tuned on history",
            ):
                self.stdout.write(f"published {publication}")
        built = rollups_build()
        self.stdout.write(f"metrics of {built.days} days")

    def _first_version_promote(self, recipe: Recipe) -> None:
        """A demo shows every source: a first version that the gate refused goes live with a stated reason."""
        version = recipe.versions.order_by("-number").first()
        if version is not None and not recipe.versions.filter(status=VersionStatus.LIVE).exists():
            version_promote(version=version, reason="First version of this source in the demo shop.")
            self.stdout.write(f"{version}: live against the gate, with a reason")
