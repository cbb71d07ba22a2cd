"""What a piece of work costs: seconds, core-seconds, peak memory."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path

KIB_PER_MB = 1024
PEAK_RESET = "5"
"""Written to clear_refs, it makes the kernel forget the largest memory so far (proc(5))."""


@dataclass(frozen=True)
class Cost:
    """seconds: wall. core_seconds: of all threads of this process. peak_memory_mb: largest resident memory of
    the process while the work ran (or since it started, where the kernel can't tell).
    """

    seconds: float
    core_seconds: float
    peak_memory_mb: float


class Meter:
    """Started when it is made; `read` may be called again and again."""

    def __init__(self) -> None:
        _peak_forget()
        self.wall, self.core = time.perf_counter(), time.process_time()

    def read(self) -> Cost:
        """The cost so far."""
        return Cost(
            round(time.perf_counter() - self.wall, 3),
            round(time.process_time() - self.core, 3),
            round(_peak_mb(), 1),
        )


def _peak_forget() -> None:
    try:
        Path("/proc/self/clear_refs").write_text(PEAK_RESET, "ascii")
    except OSError:
        return


def _peak_mb() -> float:
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / KIB_PER_MB
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB
