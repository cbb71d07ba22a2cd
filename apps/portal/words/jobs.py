"""What jobs are called in the reader's language; a job keeps the plain English title it was made with."""

from django.utils.translation import gettext as _

from apps.jobs.models import Job
from apps.portal.words.sources import NAMES


def job_title(job: Job) -> str:
    """The job's title in words; the stored one where its kind has no words of its own."""
    match job.kind:
        case "training.run":
            code = str(job.params.get("recipe", ""))
            return _("Train “%(source)s”") % {"source": NAMES[code][0]} if code in NAMES else job.title
        case "training.hybrid":
            return _("Tune the blend's weights")
        case "feed_import":
            return _("Import %(file)s") % {"file": job.title.removeprefix("Import ")}
    return job.title
