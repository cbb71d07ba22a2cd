"""The supervisor: starts, restarts, stops, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.portal.programs import web_port
from apps.portal.stack import OnlyOne, Program, Stack, StackError, process_started, wait_for
from recoportal.env import BASE_DIR
from tests.processes import free_port

# A process that has a child of its own, like a worker with its pool.
STEADY = (
    "import subprocess; child = subprocess.Popen(['sleep', '300'])\n"
    "print('ready', child.pid, flush=True); child.wait()"
)
STUBBORN = (
    "import signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\n"
    "print('ready', flush=True); time.sleep(300)"
)
SUPERVISOR = """
import sys
from pathlib import Path
from apps.portal.stack import Program, Stack
stack = Stack(data_dir=Path(sys.argv[1]), root=Path.cwd(), say=print)
running = stack.start(Program("steady", ("-c", sys.argv[2]), ready_sign="ready"))
stack.wait_ready(running)
print(running.popen.pid, flush=True)
while True:
    stack.watch(0.1)
"""


@pytest.fixture
def said() -> list[str]:
    """Collect what the supervisor says."""
    return []


@pytest.fixture
def stack(tmp_path: Path, said: list[str]) -> Iterator[Stack]:
    """Give a supervisor whose children are ended afterwards."""
    stack = Stack(data_dir=tmp_path, root=BASE_DIR, say=said.append)
    yield stack
    stack.stop()


def steady(name: str = "steady") -> Program:
    return Program(name, ("-c", STEADY), ready_sign="ready")


def gone(pid: int) -> bool:
    return process_started(pid) == ""


def test_a_program_starts_with_its_settings_and_logs_to_its_file(stack: Stack, tmp_path: Path) -> None:
    code = "import os; print('ready', os.environ['COLOUR'], flush=True); import time; time.sleep(300)"
    running = stack.start(Program("painter", ("-c", code), {"COLOUR": "green"}, "ready"))
    stack.wait_ready(running)

    assert (tmp_path / "logs" / "painter.log").read_text() == "ready green\n"


def test_a_program_that_ends_at_once_is_an_error_with_its_last_words(stack: Stack) -> None:
    running = stack.start(Program("short", ("-c", "raise SystemExit('no such table')"), ready_sign="ready"))

    with pytest.raises(StackError, match=r"short did not start(.|\n)*no such table"):
        stack.wait_ready(running)


def test_stopping_ends_children_and_their_children(stack: Stack) -> None:
    running = stack.start(steady())
    stack.wait_ready(running)
    grandchild = int(running.log_since_start().split()[1])

    stack.stop()

    assert gone(running.popen.pid)
    assert wait_for(lambda: gone(grandchild), 5)
    assert not stack.list_path.exists()


def test_one_that_will_not_stop_is_killed(stack: Stack) -> None:
    running = stack.start(Program("stubborn", ("-c", STUBBORN), ready_sign="ready"))
    stack.wait_ready(running)

    stack.stop()

    assert running.popen.returncode == -signal.SIGKILL


def test_a_killed_child_is_started_again_and_its_own_children_ended(stack: Stack, said: list[str]) -> None:
    running = stack.start(steady())
    stack.wait_ready(running)
    first, grandchild = running.popen.pid, int(running.log_since_start().split()[1])

    os.kill(first, signal.SIGKILL)
    running.popen.wait()
    deadline = time.monotonic() + 30
    while running.popen.pid == first and time.monotonic() < deadline:
        stack.watch(0.05)

    assert running.popen.pid != first
    assert wait_for(lambda: gone(grandchild), 5)
    assert len(said) == 1
    assert said[0].startswith("steady ended, code -9")
    assert str(running.popen.pid) in stack.list_path.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), STEADY],
        cwd=BASE_DIR, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())

    supervisor.kill()
    supervisor.wait()

    assert wait_for(lambda: gone(child), 10)


def test_what_a_killed_supervisor_left_is_ended_at_the_next_start(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE)
    assert left.stdout is not None
    left.stdout.readline()
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    stack = Stack(data_dir=tmp_path, root=BASE_DIR, say=print)
    stack.list_path.write_text(f'[[{left.pid}, "{process_started(left.pid)}"], [{stranger.pid}, "17"]]')
    try:
        assert stack.leftovers_end() == 1
        assert left.wait(timeout=5) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_supervisor_is_told_of_the_first(tmp_path: Path) -> None:
    lock = OnlyOne(tmp_path / "demo.lock")
    lock.note("http://127.0.0.1:8000 (process 7)")

    with pytest.raises(StackError, match=r"already running: http://127.0.0.1:8000 \(process 7\)"):
        OnlyOne(tmp_path / "demo.lock")
    lock.file.close()
    OnlyOne(tmp_path / "demo.lock").file.close()


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    wanted = free_port()
    assert web_port("127.0.0.1", wanted) == wanted
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", wanted))
        stranger.listen()
        assert web_port("127.0.0.1", wanted) != wanted
