"""An experiment's tables as files: what the portal's download links and the REST API both answer with."""

from apps.core.errors import NotFound
from apps.experiments.models import Experiment
from apps.experiments.results import analysis_read
from apps.experiments.tables import CONTENT_TYPES, FORMATS, TABLES, Table, analysis_table, log_table


def experiment_table_file(*, code: str, table: str, format: str) -> tuple[bytes, str, str]:
    """Content, content type and file name of one of TABLES in one of FORMATS.

    Raises NotFound for an experiment, table or format that is not there, and while nothing is counted yet.
    """
    if table not in TABLES or format not in FORMATS:
        raise NotFound(f"There is no such table. Tables: {', '.join(TABLES)}; formats: {', '.join(FORMATS)}.")
    experiment = Experiment.objects.select_related("readout").filter(code=code).first()
    if experiment is None:
        raise NotFound(f"There is no experiment {code!r}.")
    found = _log(experiment) if table == "log" else _analysed(experiment, table)
    return found.write(format), CONTENT_TYPES[format], f"{code}-{table}.{format}"


def _log(experiment: Experiment) -> Table:
    entries = experiment.log.select_related("actor").order_by("at", "pk")
    return log_table(
        (one.at, one.kind, one.actor.get_username() if one.actor else "", one.details) for one in entries
    )


def _analysed(experiment: Experiment, table: str) -> Table:
    readout = getattr(experiment, "readout", None)
    if readout is None or not readout.analysis:
        raise NotFound(f"Nothing has been counted for {experiment.code!r} yet.")
    return analysis_table(table, analysis_read(readout.analysis))
