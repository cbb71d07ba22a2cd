"""`GET /api/v1/experiments/{code}/{table}.csv` and `.parquet`: an experiment's tables for programs."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.errors import InvalidInput
from apps.core.openapi import path_document
from apps.experiments.table_files import experiment_table_file
from apps.experiments.tables import (
    CONTENT_TYPES,
    DAILY_COLUMNS,
    EXPOSURE_COLUMNS,
    LOG_COLUMNS,
    RESULT_COLUMNS,
    Columns,
)

SCOPE = "experiments"
PATH = "/api/v1/experiments/{code}"
COLUMNS: dict[str, tuple[str, Columns]] = {
    "results": ("Every metric and variant with all intervals", RESULT_COLUMNS),
    "daily": ("Effects through each day, and of the day by itself", DAILY_COLUMNS),
    "segments": ("The results within each segment", (("segment", "text"), *RESULT_COLUMNS)),
    "exposures": ("Units by variant through each day", EXPOSURE_COLUMNS),
    "log": ("What happened to the experiment", LOG_COLUMNS),
}


@api_view_plain("GET", scope=SCOPE)
def experiment_table_get(
    request: HttpRequest, caller: ApiCaller, code: str, table: str, format: str
) -> HttpResponse:
    """One table as a file."""
    strange = next(iter(request.GET), None)
    if strange is not None:
        raise InvalidInput(field=strange, value=request.GET[strange], remedy="Leave it out.")
    content, content_type, name = experiment_table_file(code=code, table=table, format=format)
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def document() -> None:
    """Add the endpoints to the OpenAPI document."""
    code = {
        "name": "code",
        "in": "path",
        "required": True,
        "description": "The experiment's code.",
        "schema": {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"},
    }
    for table, (summary, columns) in COLUMNS.items():
        for format, content_type in CONTENT_TYPES.items():
            schema: dict[str, Any] = {"type": "string"}
            if format == "parquet":
                schema["format"] = "binary"
            path_document(
                path=f"{PATH}/{table}.{format}",
                method="get",
                operation={
                    "operationId": f"experiment_{table}_{format}",
                    "tags": ["experiments"],
                    "summary": f"{summary} ({format})",
                    "description": f"Columns: {', '.join(name for name, _kind in columns)}. Shares and "
                    "relative changes are fractions; what can't be had is empty. Made from the last count, "
                    f"at most ten minutes old while the experiment runs. Needs the scope `{SCOPE}`.",
                    "parameters": [code],
                    "responses": {
                        "200": {"description": "The file.", "content": {content_type: {"schema": schema}}}
                    },
                },
                errors=("400", "401", "403", "404", "429", "503"),
            )
