"""Train recipes now: here (--inline) or by the workers, then tune the hybrid for what is live."""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import RecoPortalError
from apps.jobs.models import Job, JobStatus
from apps.jobs.queue import job_enqueue
from apps.training import hybrid, runs
from apps.training.models import Recipe, TrainingRun
from apps.training.recipes import recipes_ensure

POLL_SECONDS = 0.5


class Command(BaseCommand):
    """`train_now [--recipes als,ease] [--wait | --inline] [--no-hybrid]`"""

    help = "Train recipes on one snapshot, promote what passes the gate, and tune the hybrid's weights."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--recipes", default="", help="Codes, comma separated. Default: all active ones.")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--inline", action="store_true", help="Train in this process.")
        where.add_argument("--wait", action="store_true", help="Wait until the workers are done.")
        parser.add_argument(
            "--no-hybrid", action="store_true", help="Leave the hybrid's weights as they are."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        recipes = self._recipes(options["recipes"])
        created = runs.runs_create(recipes=recipes)
        busy = sorted({recipe.code for recipe in recipes} - {run.recipe.code for run in created})
        if busy:
            self.stdout.write(f"In training already: {', '.join(busy)}.")
        if options["inline"]:
            failed = self._run_here(created)
        else:
            for run in created:
                job_enqueue(run.job)
            self.stdout.write(f"{len(created)} runs queued.")
            if not options["wait"]:
                return
            failed = self._wait([run.job for run in created])
        if not options["no_hybrid"] and len(hybrid.live_versions()) > 1:
            failed += self._hybrid(inline=options["inline"])
        if failed:
            raise CommandError(f"{failed} of the runs failed; see above.")

    def _recipes(self, codes: str) -> list[Recipe]:
        known = {recipe.code: recipe for recipe in recipes_ensure() if recipe.active or codes}
        wanted = [code.strip() for code in codes.split(",") if code.strip()] or list(known)
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise CommandError(f"No recipe {', '.join(unknown)}; there are {', '.join(known)}.")
        return [known[code] for code in wanted]

    def _run_here(self, created: Sequence[TrainingRun]) -> int:
        failed = 0
        for run in created:
            try:
                runs.run_execute(job_id=run.job_id)
            except RecoPortalError as error:
                self.stderr.write(f"{run.recipe.code}: {error}")
            failed += self._report(Job.objects.get(pk=run.job_id))
        return failed

    def _hybrid(self, *, inline: bool) -> int:
        job = hybrid.hybrid_job_create()
        if not inline:
            job_enqueue(job)
            return self._wait([job])
        hybrid.hybrid_tune(job_id=job.pk)
        return self._report(Job.objects.get(pk=job.pk))

    def _wait(self, jobs: Sequence[Job]) -> int:
        failed, open_ids = 0, {job.pk for job in jobs}
        while open_ids:
            for job in Job.objects.filter(pk__in=open_ids):
                if job.is_final:
                    open_ids.discard(job.pk)
                    failed += self._report(job)
            time.sleep(POLL_SECONDS)
        return failed

    def _report(self, job: Job) -> int:
        """One line for a job that is over; 1 when it failed."""
        seconds = (
            (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else 0.0
        )
        outcome = {JobStatus.DONE: job.result.get("status", "done")}.get(
            JobStatus(job.status), job.error or job.status
        )
        self.stdout.write(f"{job.title}: {outcome} ({seconds:.1f} s)")
        return int(job.status != JobStatus.DONE)
