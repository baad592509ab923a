"""Where full replays of a sweep run: in this process, one per core, or on a Dask cluster that is there already.

A job carries a document and a part, never rows: each worker opens the tape itself, by its path, memory-mapped from the
cache. Processes are spawned, not forked, so that compiled code and threads of the parent do not leak into them.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from importlib.util import find_spec
from typing import Any, Protocol

import msgspec

from arbot.backtest.sweep_pass import Part
from arbot.backtest.sweep_store import Outcome
from arbot.domain.errors import Mistake, UserError

CONNECT_S = 10
ROWS_HERE_MAX = 15_000_000  # all jobs' rows together: replayed in about the time that processes take to start


class Job(msgspec.Struct, frozen=True):
    """A setting to replay on a part; `number` is the caller's."""

    number: int
    document: dict[str, Any]
    part: Part


Evaluate = Callable[[dict[str, Any], Part], Outcome]
"""A full replay: of a document, on a part. Must be picklable for workers in other processes."""


class Workers(Protocol):
    """Whoever does jobs."""

    def run(self, jobs: Sequence[Job], evaluate: Evaluate) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with what came of it, as they are done. Closing it early drops the rest."""
        ...


class Here:
    """In this process, one after the other."""

    def run(self, jobs: Sequence[Job], evaluate: Evaluate) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with what came of it."""
        for job in jobs:
            yield job, evaluate(job.document, job.part)


class Processes:
    """So many processes of this machine; none for work that is done sooner than they have started."""

    def __init__(self, count: int, rows: int = ROWS_HERE_MAX + 1) -> None:
        """Take how many processes, and about how many rows a job replays."""
        self._count = count
        self._rows = rows

    def run(self, jobs: Sequence[Job], evaluate: Evaluate) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with what came of it."""
        if len(jobs) * self._rows <= ROWS_HERE_MAX:
            yield from Here().run(jobs, evaluate)
            return
        spawned = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        pool = futures.ProcessPoolExecutor(
            min(self._count, max(1, len(jobs))), mp_context=spawned, initializer=_leave_ctrl_c
        )
        try:
            waiting = {pool.submit(evaluate, job.document, job.part): job for job in jobs}
            for done in futures.as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:  # goes on to the caller; nobody is to wait for jobs that are not wanted any more
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _leave_ctrl_c() -> None:
    """Let Ctrl-C reach the parent alone, which ends its workers without a traceback of each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Dask:
    """The workers of a Dask cluster: they need arbot installed, and the tape under the same path."""

    def __init__(self, address: str) -> None:
        """Take the scheduler's address. Raises: UserError when the package is missing."""
        if find_spec("distributed") is None:
            raise UserError(
                Mistake("--scheduler", "the package distributed is not installed", 'pip install "arbot[cluster]"')
            )
        self._address = address

    def run(self, jobs: Sequence[Job], evaluate: Evaluate) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with what came of it. Raises: UserError when no scheduler answers."""
        from distributed import Client, as_completed  # noqa: PLC0415 - optional

        try:
            client = Client(self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UserError(
                Mistake(
                    f"--scheduler {self._address}",
                    f"no scheduler answers there: {error}",
                    "start one with `dask scheduler`, or leave the option out to use the cores of this machine",
                )
            ) from error
        with client:
            waiting = {client.submit(evaluate, job.document, job.part, pure=False): job for job in jobs}
            for done in as_completed(list(waiting), loop=client.loop):
                yield waiting[done], done.result()
