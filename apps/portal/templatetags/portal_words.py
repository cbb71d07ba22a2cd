"""Filters that say things of the system in the reader's words."""

from django import template

from apps.jobs.models import Job
from apps.portal.words import jobs

register = template.Library()


@register.filter
def job_title(job: Job) -> str:
    """`{{ job|job_title }}`."""
    return jobs.job_title(job)
