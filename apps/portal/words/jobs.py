"""What jobs are called in the reader's language; a job keeps the plain English title it was made with."""

from django.utils.translation import gettext as _

from apps.jobs.models import Job
from apps.portal.words.sources import NAMES, sources_named


def job_title(job: Job) -> str:
    """The job's title in words; the stored one where its kind has no words of its own."""
    match job.kind:
        case "training.run":
            name = _recipe_name(job, "Train ")
            return _("Train “%(source)s”") % {"source": name} if name else job.title
        case "training.study":
            name = _recipe_name(job, "Tune ")
            return _("Tune “%(source)s”") % {"source": name} if name else job.title
        case "training.robustness":
            return _("Test how “%(source)s” stands bad data") % {"source": _source(job)}
        case "training.updates":
            return _("Test updates of “%(source)s”") % {"source": _source(job)}
        case "training.shilling":
            return _("Look for shoppers who push products")
        case "training.choice":
            return _("Choose models and weights by itself")
        case "training.hybrid":
            return _("Tune the blend's weights")
        case "serving.export":
            code = str(job.params.get("placement", ""))
            return _("E-mail lists of “%(placement)s”") % {"placement": code}
        case "feed_import":
            return _("Import %(file)s") % {"file": job.title.removeprefix("Import ")}
    return job.title


def _source(job: Job) -> str:
    code = str(job.params.get("recipe", ""))
    named = sources_named()
    return named[code].name if code in named else code


def _recipe_name(job: Job, verb: str) -> str:
    """The recipe the job is about: in words where it is built in, else by the name it was given."""
    code = str(job.params.get("recipe", ""))
    return str(NAMES[code][0]) if code in NAMES else job.title.removeprefix(verb)
