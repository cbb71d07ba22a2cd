"""Health for load balancers and supervisors: plain views, no key, nothing told that helps attackers."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.core.api import json_response
from apps.core.openapi import json_content, path_document
from apps.monitoring.health import Health, services_report
from recoportal.keptonce import site_mark_ensure

_STATUS = {"ok": "ok", "warn": "degraded", "down": "degraded"}


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Liveness: 200 as long as this process answers. Slates are served from memory when services are away, so
    an outage is told in the body and never takes web processes out of service.
    """
    return json_response(_body(services_report()))


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Readiness: 503 until the database answers; for the start of a process, not for its whole life."""
    report = services_report()
    down = any(check.code == "postgres" and check.state == "down" for check in report.checks)
    return json_response(_body(report), status=503 if down else 200)


def _body(report: Health) -> dict[str, object]:
    return {
        "status": _STATUS[report.state],
        "site": site_mark_ensure(settings.DATA_DIR, settings.SHOP_NAME),
        "services": {check.code: check.state for check in report.checks},
    }


HEALTH_SCHEMA = {
    "type": "object",
    "required": ["status", "site", "services"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "degraded"]},
        "site": {"type": "string", "description": "Random; tells this installation from another."},
        "services": {
            "type": "object",
            "required": ["postgres", "cache", "broker"],
            "properties": {
                name: {"type": "string", "enum": ["ok", "warn", "down"]}
                for name in ("postgres", "cache", "broker")
            },
        },
    },
}


def _document(path: str, operation_id: str, summary: str, codes: dict[str, str]) -> None:
    schema = {"$ref": "#/components/schemas/Health"}
    path_document(
        path=path,
        method="get",
        operation={
            "operationId": operation_id,
            "tags": ["health"],
            "summary": summary,
            "security": [],
            "responses": {
                code: {"description": text, "content": json_content(schema)} for code, text in codes.items()
            },
        },
        components={"Health": HEALTH_SCHEMA},
        errors=(),
    )


def paths_document() -> None:
    """Describe both views in the OpenAPI document."""
    _document(
        "/api/v1/health",
        "health",
        "Is this process alive, and are the services it stands on?",
        {"200": "Alive; the body says whether a service is away."},
    )
    _document(
        "/api/v1/health/ready",
        "health_ready",
        "Can this process take requests?",
        {"200": "The database answers.", "503": "The database does not answer."},
    )
