"""Which task runs which kind of job, and on which queue.

Higher apps register their kinds in `AppConfig.ready`, so that the sweeper here can wake a job up by the
task's name without importing anything above it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobKind:
    """`task` is the Celery task's name; it takes one argument, the job's id. `queue`: default|score|train."""

    code: str
    task: str
    queue: str = "default"


_kinds: dict[str, JobKind] = {}


def kind_register(*, code: str, task: str, queue: str = "default") -> JobKind:
    """Tell the queue how to wake up jobs of kind `code`; registering the same again changes nothing."""
    kind = JobKind(code=code, task=task, queue=queue)
    known = _kinds.setdefault(code, kind)
    if known != kind:
        raise ValueError(f"job kind {code!r} is registered for {known.task!r} already; choose another code")
    return known


def kind_get(code: str) -> JobKind | None:
    """The registered kind, or None for jobs that only the process that made them can run."""
    return _kinds.get(code)


def kinds_of_queue(queue: str) -> list[str]:
    """Codes of the kinds that wait in `queue`."""
    return [kind.code for kind in _kinds.values() if kind.queue == queue]
