"""A recorder as part of a daemon: it sees every step and every book from the first event to the last.

A disk that fails ends a run that was made for recording; a run that trades goes on without its tape, and says so in the
log and in `arbot_tape_recording`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

import structlog

from arbot.runtime.daemon import Daemon, Numbers, Timings
from arbot.runtime.latency import LatencyHistogram
from arbot.runtime.supervisor import SILENT_S_MAX
from arbot.settings.model import Tape
from arbot.tape.recorder import Recorder, TapeFailed

_log = structlog.get_logger("arbot.tape")


class Recording:
    """A service of the daemon (Wiring.witnesses); `recorder` is there once the daemon has started it."""

    def __init__(self, root: Path, *, rotate_s: int, with_trades: bool, is_the_purpose: bool) -> None:
        self.root = root
        self.rotate_s = rotate_s
        self.with_trades = with_trades
        self.is_the_purpose = is_the_purpose  # of the run: it ends when the tape fails
        self.recorder: Recorder | None = None

    @classmethod
    def of(cls, table: Tape) -> Self:
        """Return the recording that a daemon makes beside its trading."""
        return cls(table.dir, rotate_s=table.rotate_s, with_trades=table.with_trades, is_the_purpose=False)

    def __call__(self, daemon: Daemon) -> AbstractAsyncContextManager[object]:
        """Record for as long as the context lasts."""
        return self._recording(daemon)

    @asynccontextmanager
    async def _recording(self, daemon: Daemon) -> AsyncIterator[None]:
        wiring = daemon.wiring
        recorder = Recorder(
            wiring.books,
            self.root,
            rotate_s=self.rotate_s,
            run_id=wiring.started.run_id,
            now_ns=wiring.clock.now_ns,
        )
        self.recorder = recorder
        recorder.start(daemon.sequencer.seq)
        told = daemon.partners if self.is_the_purpose else daemon.observers
        told.append(recorder.observe)
        waits = LatencyHistogram()

        def durations() -> Timings:
            for wait_ns in recorder.take_waits_ns():
                waits.add(wait_ns)
            return {"arbot_queue_wait_seconds": {("tape",): waits}}

        daemon.numbers.append(lambda: _numbers(recorder))
        daemon.durations.append(durations)
        task = daemon.supervisor.spawn(self._keep(recorder, daemon), "tape", silent_s_max=SILENT_S_MAX)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            recorder.stop()
            await asyncio.to_thread(recorder.join)
            told.remove(recorder.observe)
            if recorder.failure is not None:
                _log.critical("the tape is not whole", tape=str(self.root), error=str(recorder.failure))

    def demand_whole(self) -> None:
        """Raise TapeFailed when not everything that was recorded is on the disk."""
        if self.recorder is not None and self.recorder.failure is not None:
            raise TapeFailed(f"{self.root}: {self.recorder.failure}") from self.recorder.failure

    async def _keep(self, recorder: Recorder, daemon: Daemon) -> None:
        async def sleep(seconds: float) -> None:
            daemon.supervisor.beat("tape")
            await daemon.wiring.clock.sleep(seconds)

        try:
            await recorder.run(sleep)
        # a disk that failed, or a bug: who trades reads it in the log, who records has the run end
        except Exception as error:
            if self.is_the_purpose:
                raise
            recorder.stop()
            trace = None if isinstance(error, TapeFailed) else error
            _log.critical("recording has ended, trading goes on", error=repr(error), exc_info=trace)


def _numbers(recorder: Recorder) -> Numbers:
    return {
        "arbot_tape_recording": {(): recorder.is_recording},
        "arbot_tape_rows_total": {(): recorder.counts.rows},
        "arbot_tape_messages_lost_total": {(): recorder.counts.messages_lost},
        "arbot_queue_depth": {("tape",): recorder.waiting},
        "arbot_queue_dropped_total": {("tape", "full"): recorder.counts.messages_lost},
    }
