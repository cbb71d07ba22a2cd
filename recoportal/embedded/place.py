"""Where the servers' files are, whose they are, and how a server process is run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FALLBACK_PARENT = Path("/var/tmp")
PLACE_FILE = "services-place"


class ServicesError(RuntimeError):
    """An embedded server can't be started or used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The account the servers run as. PostgreSQL refuses root and wants an account with a name."""

    uid: int
    gid: int
    dropped: bool

    @classmethod
    def of(cls, data_dir: Path) -> Owner:
        """Return ourselves, or, when we are root, the owner of existing data, or postgres, or nobody."""
        if os.geteuid() != 0:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError:
                raise ServicesError(
                    f"user id {os.geteuid()} has no name on this machine and PostgreSQL needs one: run as "
                    "another user, or set DATABASE_URL, REDIS_URL and CACHE_URL to servers of your own."
                ) from None
            return cls(os.geteuid(), os.getegid(), dropped=False)
        existing = data_dir / "postgres"
        if existing.exists() and existing.stat().st_uid != 0:
            with contextlib.suppress(KeyError):
                found = pwd.getpwuid(existing.stat().st_uid)
                return cls(found.pw_uid, found.pw_gid, dropped=True)
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                found = pwd.getpwnam(name)
                return cls(found.pw_uid, found.pw_gid, dropped=True)
        raise ServicesError(
            "root needs an account called postgres or nobody to run PostgreSQL as: create one."
        )

    def run(self, command: Sequence[str | Path], *, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, away from the caller's folder, terminal and environment."""
        try:
            return subprocess.run(
                [str(part) for part in command],
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                umask=0o077,
                user=self.uid if self.dropped else None,
                group=self.gid if self.dropped else None,
                extra_groups=[] if self.dropped else None,
            )
        except subprocess.TimeoutExpired as error:
            raise ServicesError(f"{Path(command[0]).name} did not end within {timeout:.0f} s.") from error
        except OSError as error:
            raise ServicesError(f"{command[0]} can't be run: {error}.") from error

    def own(self, path: Path, mode: int) -> None:
        """Give a file or folder to this account with a mode."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)


def passable(path: Path) -> bool:
    """Tell whether any account may pass through `path` and every folder above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that holds the servers' folders, and the account that owns those."""

    data_dir: Path
    root: Path
    owner: Owner

    @classmethod
    def of(cls, data_dir: Path) -> Place:
        """Return the place of a data folder, making it if needed.

        Root's servers run as another account, which may not be able to reach the data folder (a clone
        below /root or in a `mktemp -d`). Their files are then kept below /var/tmp, under a name made from
        the data folder's, and a file in the data folder says so.
        """
        data_dir = data_dir.absolute()
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            data_dir = data_dir.resolve()
            owner = Owner.of(data_dir)
            note = data_dir / PLACE_FILE
            if note.exists():
                root = Path(note.read_text(encoding="utf-8").strip())
                elsewhere(root)
            elif owner.dropped and not passable(data_dir):
                digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
                root = FALLBACK_PARENT / f"recoportal-{digest}"
                elsewhere(root)
                note.write_text(f"{root}\n", encoding="utf-8")
            else:
                root = data_dir
        except OSError as error:
            raise ServicesError(
                f"{data_dir} can't be used for embedded services: {error}. Set RECOPORTAL_DATA_DIR to a "
                "folder this user may write, or set DATABASE_URL, REDIS_URL and CACHE_URL."
            ) from error
        return cls(data_dir=data_dir, root=root, owner=owner)

    def folder(self, name: str) -> Path:
        """Return a server's own folder, made with mode 0700 and owned by the servers' account."""
        path = self.root / name
        path.mkdir(exist_ok=True)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise ServicesError(
                f"{path} belongs to another user: start as that user (or root), or set RECOPORTAL_DATA_DIR "
                "to another folder."
            )
        self.owner.own(path, 0o700)
        return path

    def password(self, folder: Path) -> str:
        """Return the server's password, made on first use and readable by its account alone."""
        path = folder / "password"
        if not path.exists():
            fresh = path.with_name("password.new")
            fresh.write_text(secrets.token_hex(16), encoding="ascii")
            self.owner.own(fresh, 0o600)
            fresh.rename(path)
        return path.read_text(encoding="ascii").strip()

    def binaries(self, package: str, inside: str) -> Path:
        """Return the folder `inside` an installed package, copied if the servers' account can't reach it."""
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ServicesError(
                f"the package {package} is not installed: run `make setup`, or set DATABASE_URL, REDIS_URL "
                "and CACHE_URL to servers of your own."
            )
        source = Path(spec.origin).parent / inside
        if not self.owner.dropped or passable(source.resolve()):
            return source
        stamp = hashlib.sha256(f"{source}{source.stat().st_mtime_ns}".encode()).hexdigest()[:12]
        copy = self.root / f"{package}-{stamp}"
        if not copy.exists():
            fresh = copy.with_name(copy.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh, symlinks=True)
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            fresh.rename(copy)
        return copy

    @contextlib.contextmanager
    def locked(self, timeout: float = 180) -> Iterator[None]:
        """Hold the data folder's lock: one process at a time starts or stops servers."""
        with (self.data_dir / "services.lock").open("a") as file:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServicesError(
                            f"another process has been starting or stopping the services of {self.data_dir} "
                            f"for {timeout:.0f} s: end it, then try again."
                        ) from None
                    time.sleep(0.05)
            yield


def elsewhere(root: Path) -> None:
    """Make or accept a place below a folder that everyone may write; refuse one that is not ours."""
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o711)
        root.chmod(0o711)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServicesError(f"{root} is not a folder of this user: remove it, or set RECOPORTAL_DATA_DIR.")


def lock_holder(path: Path) -> str | None:
    """Return what the holder of a lock file wrote into it, None when nobody holds it."""
    if not path.exists():
        return None
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            return file.read().strip()
    return None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_read(folder: Path) -> int | None:
    """Return the port a server of this folder was last given."""
    try:
        return int((folder / "port").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def port_choose(folder: Path) -> int:
    """Return the last port if it is free, else a fresh one; written to the folder for others to find."""
    port = port_read(folder)
    if port is None or not port_is_free(port):
        port = free_port()
        fresh = folder / "port.new"
        fresh.write_text(str(port), encoding="ascii")
        fresh.rename(folder / "port")
    return port


def log_tail(path: Path, lines: int = 12) -> str:
    """Return the end of a server's log for an error message."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def pid_of(path: Path) -> int | None:
    """Return the process id on the first line of a pid file."""
    try:
        return int(path.read_text(encoding="ascii", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def process_state(pid: int) -> str:
    """Return Linux's one-letter state of a process, "" when there is none or no /proc."""
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[0]
        )
    except (OSError, IndexError):
        return ""


def works_elsewhere(pid: int, folder: Path) -> bool:
    """Tell whether a live process certainly has another working folder (servers work in their data's)."""
    try:
        return not Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working folder this is, as far as we may look."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").samefile(folder):
                found.append(int(path.name))
        except OSError:
            continue
    return found
