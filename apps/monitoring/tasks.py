"""Thin shells."""

from celery import current_app, shared_task

from apps.monitoring import health


@shared_task(expires=60)
def workers_look() -> None:
    """Ask which workers listen to which queue and keep the answer (beat, every 30 s)."""
    answers = current_app.control.inspect(timeout=2.0).active_queues() or {}
    queues: dict[str, list[str]] = {}
    for worker, listened in answers.items():
        for queue in listened:
            queues.setdefault(queue["name"], []).append(worker)
    health.workers_look_store(queues=queues)
