"""`manage.py demo`: the demo shop from nothing to a running site; `make demo` calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.roles import roles_sync
from apps.portal.collected import static_files_collected, static_files_collected_note
from apps.portal.demo.packs import DEFAULT_PACK, PACKS
from apps.portal.programs import ONE_THREAD, background_programs, simulator_program, web_port, web_program
from apps.portal.proof import ProofFailed, loop_prove, site_alone
from apps.portal.shops import shop_database_use
from apps.portal.stack import OnlyOne, Stack, StackError
from apps.portal.staff import DEMO_LOGINS, demo_staff_ensure
from apps.portal.storefront import storefront_open
from recoportal.embedded import services_stop
from recoportal.embedded.command import EMBEDDED

HOST = "127.0.0.1"
# Each is a management command in a process of its own: what one loads (torch) does not stay in this one.
# All are idempotent; a second start finds their work done.
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("demo shop", ("seed_demo", "--pack", "{pack}")),
    ("first models", ("train_demo",)),
    ("experiments", ("seed_experiments",)),
)


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


class Command(BaseCommand):
    """Build the demo shop, start every process, and stay until Ctrl-C."""

    pack = PACKS[DEFAULT_PACK]
    help = "Builds the demo shop, starts web, workers, beat and shoppers, and stays in the foreground."

    def add_arguments(self, parser: CommandParser) -> None:
        """What make knows and we don't."""
        parser.add_argument("--check", action="store_true", help="prove the loop, stop everything, exit 0")
        parser.add_argument("--pack", choices=sorted(PACKS), default=DEFAULT_PACK, help="which domain")
        parser.add_argument("--since", type=float, default=0.0, help="when `make` began, seconds since 1970")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps, start the processes, watch them until told to stop."""
        began = options["since"] or time.time()
        self.seconds: dict[str, float] = {"environment and services": max(0.0, time.time() - began)}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop_asked)
        try:
            lock = OnlyOne(settings.DATA_DIR / "demo.lock")
        except StackError as error:
            raise CommandError(f"demo: {error}. Stop it there with Ctrl-C first.") from error
        # The site as a shop would run it; a person who wants debug pages starts `manage.py runserver`.
        os.environ.update(ONE_THREAD, RECOPORTAL_DEBUG="0")
        self.pack = PACKS[options["pack"]]
        if self.pack.code != DEFAULT_PACK:  # one database is one shop
            shop_database_use(f"demo_{self.pack.code}")
        stack = Stack(data_dir=settings.DATA_DIR, root=settings.BASE_DIR, say=self.say)
        try:
            if left := stack.leftovers_end():
                self.say(f"ended {left} processes that an earlier start left behind")
            address = self.start(stack)
            lock.note(f"{address} (process {os.getpid()})")
            if options["check"]:
                self.prove(address)
                seconds = time.time() - began
            else:
                self.ready(address, time.time() - began)
                while True:
                    stack.watch(seconds=0.5)
        except Stopped:
            self.say("stopping …")
            if options["check"]:
                sys.exit(130)
            return
        except (StackError, ProofFailed) as error:
            raise CommandError(f"demo: {error}") from error
        finally:
            self.stop(stack, everything=not options["check"])
        if options["check"]:
            self.ready(address, seconds)

    def start(self, stack: Stack) -> str:
        """Run the steps and start the processes; returns the site's address."""
        with self.timed("database and roles"):
            call_command("migrate", interactive=False, verbosity=0)
            roles_sync()
        for title, command in STEPS:
            with self.timed(title):
                self.step(tuple(part.format(pack=self.pack.code) for part in command))
        # Only now: the first step refuses a shop that is not the demo.
        demo_staff_ensure()
        storefront_open()
        with self.timed("static files"):
            if not static_files_collected():
                self.step(("collectstatic", "--noinput", "--verbosity=0"))
                static_files_collected_note()
        with self.timed("processes"):
            background = [stack.start(program) for program in background_programs()]
            address = self.web_start(stack)
            for running in background:
                stack.wait_ready(running)
            if self.pack.simulated and "simulate_traffic" in get_commands():
                stack.start(simulator_program(address))
        return address

    def web_start(self, stack: Stack) -> str:
        """Start the site on the wanted port, or on a free one; returns its address."""
        for wanted in (settings.WEB_PORT, 0, 0):
            port = web_port(HOST, wanted)
            if wanted and port != wanted:
                self.say(f"port {wanted} is taken, using {port}")
            address = f"http://{HOST}:{port}"
            web = stack.start(web_program(host=HOST, port=port, workers=settings.WEB_WORKERS))
            stack.wait_ready(web, partial(site_answers, address))
            if site_alone(address):
                return address
            self.say(f"another site took port {port} meanwhile, using a free one")
            stack.end(web)
        raise StackError("every port that was free is shared with another site: stop that one first")

    def step(self, command: tuple[str, ...]) -> None:
        """Run one management command; its output goes straight to the terminal."""
        if command[0] not in get_commands():
            self.say(f"{command[0]} is not part of this version")
            return
        child = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *command], start_new_session=True
        )
        try:
            if code := child.wait():
                raise StackError(f"manage.py {' '.join(command)} ended with code {code}; its output is above")
        except Stopped:
            child.terminate()
            child.wait()
            raise

    def prove(self, address: str) -> None:
        """Show that the site answers a storefront and lets staff in."""
        with self.timed("proof"):
            proof = loop_prove(address=address, login=DEMO_LOGINS[0])
        self.say(
            f"recommendations API: {proof.items} products for shopper {proof.shopper or '(anonymous)'} from "
            f"rung {proof.rung!r} in {proof.milliseconds:.0f} ms; events API: {proof.accepted} click; "
            f"login: {proof.login}"
        )

    def ready(self, address: str, seconds: float) -> None:
        """Print the address, the logins, the seconds of each step and the closing line."""
        self.stdout.write("")
        for title, spent in self.seconds.items():
            self.stdout.write(f"  {spent:7.1f} s  {title}")
        self.stdout.write(f"\n  {address}\n")
        for login in DEMO_LOGINS:
            self.stdout.write(f"    {login.role:<13} {login.username} / {login.password}")
        self.stdout.write("    storefront:   /storefront/, no login needed")
        self.stdout.write(f"\n  logs: {settings.DATA_DIR / 'logs'}   stop: Ctrl-C\n\n")
        self.say(f"ready in {seconds:.0f} s")

    def stop(self, stack: Stack, *, everything: bool) -> None:
        """End the children, then the embedded services: all of them, or only those this start began."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stack.stop()
        if EMBEDDED.started or (everything and EMBEDDED.used):
            services_stop(settings.DATA_DIR)
        self.say("everything is stopped")

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Say what begins, and keep how long it took."""
        self.say(f"{title} …")
        began = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began

    def say(self, text: str) -> None:
        """Print one line at once."""
        self.stdout.write(f"demo: {text}")
        self.stdout.flush()


def stop_asked(number: int, frame: FrameType | None) -> NoReturn:
    """Turn a signal into an exception that unwinds to the orderly stop."""
    raise Stopped


def site_answers(address: str) -> bool:
    """Tell whether the site serves its login page."""
    try:
        with urllib.request.urlopen(f"{address}/admin/login/", timeout=10) as page:
            return bool(page.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False
