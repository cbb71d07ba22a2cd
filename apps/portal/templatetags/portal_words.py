"""Filters that say things of the system in the reader's words."""

from django import template

from apps.jobs.models import Job
from apps.portal.words import jobs
from apps.training.gate_words import reason_told

register = template.Library()


@register.filter
def job_title(job: Job) -> str:
    """`{{ job|job_title }}`."""
    return jobs.job_title(job)


@register.filter
def told(reason: str) -> str:
    """`{{ reason|told }}`: what the gate says, in the reader's language."""
    return reason_told(reason)
