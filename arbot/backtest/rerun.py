"""Run a recorded daemon run again, from its journal and its tape, and find the first step that comes out otherwise.

The journal has every event that did something, with what came of it; the tape has what the books took in, each row with
the number of the last event before it. Told in that order, books and engine are at every event what they were then, so
that commands, decisions and, at the end, the digest of the engine's state have to be equal. What differs is a change of
the code, of the config or of the strategy, or a strategy that remembers what it saw: looks at books that came to
nothing are not journaled, so it is not shown those again.

A run that was killed has a journal to its last step and a tape that ends up to a rotation earlier: the first difference
after the last row of such a tape is where checking ends, not a divergence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from arbot.backtest.run_tape import BookTape, RunTape
from arbot.domain.decisions import Outcome
from arbot.domain.errors import ArbotError
from arbot.domain.events import InstrumentsLoaded, RunEnded
from arbot.domain.ids import InstrumentId, VenueId
from arbot.engine.config import EngineConfig
from arbot.engine.engine import Engine
from arbot.engine.strategy import Strategy
from arbot.journal.codec import encode
from arbot.market.books import Books
from arbot.ports import Record
from arbot.runtime.screening import BookScreen


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first step that came out otherwise. `what` is commands, decisions, digest or error; the texts are JSON."""

    seq: int
    ts_ns: int
    event: str
    what: str
    expected: tuple[str, ...]
    got: tuple[str, ...]


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """What running it again came to. `digest` is empty when the journal has none: the run did not end in good order."""

    run_id: str
    steps: int
    commands: int
    rows: int
    digest: str
    divergence: Divergence | None
    steps_unchecked: int = 0  # at the end of a killed run, beyond what its recorder had finished writing

    @property
    def is_equal(self) -> bool:
        """Whether everything came out as it did then."""
        return self.divergence is None


def rerun(  # noqa: PLR0917 - what a run is made of
    run_id: str,
    records: Iterable[Record],
    recorded: RunTape,
    config: EngineConfig,
    strategy: Strategy,
    book_depths: Mapping[VenueId, int],
) -> Rerun:
    """Run the records of one run again, up to the first difference. Raises: UserError for a tape that cannot be read."""
    books = Books()
    screen = BookScreen(books, book_depths, strategy.edge_net_bps_min)
    engine = Engine(config, strategy, books)
    tapes: dict[InstrumentId, BookTape] = {}
    steps = commands = 0
    digest = ""
    divergence: Divergence | None = None
    steps_unchecked = 0
    left = iter(records)
    for record in left:
        envelope = record.envelope
        for tape in tapes.values():
            tape.play_until(books, envelope.seq)
        if isinstance(envelope.event, RunEnded) and envelope.event.digest:
            digest = engine.digest()
        divergence = _step(engine, record, digest)
        if divergence is not None and tapes and all(tape.is_over for tape in tapes.values()):
            after = list(left)
            if not any(isinstance(one.envelope.event, RunEnded) for one in (record, *after)):
                divergence, steps_unchecked = None, 1 + len(after)
                break
        steps += 1
        commands += len(record.outcome.commands)
        if divergence is not None:
            break
        screen.follow(envelope.event)
        if isinstance(envelope.event, InstrumentsLoaded):
            for one in envelope.event.instruments:
                tapes.setdefault(one.id, recorded.book(one, books.index(one.id)))
    return Rerun(
        run_id=run_id,
        steps=steps,
        commands=commands,
        rows=sum(tape.rows for tape in tapes.values()),
        digest=digest,
        divergence=divergence,
        steps_unchecked=steps_unchecked,
    )


def _step(engine: Engine, record: Record, digest: str) -> Divergence | None:
    """Give the engine one event again and return how what came of it differs, if it does."""
    event, recorded = record.envelope.event, record.outcome
    if isinstance(event, RunEnded) and event.digest != digest:
        return _divergence(record, "digest", (event.digest,), (digest,))
    try:
        outcome = engine.step(record.envelope)
    except ArbotError as error:
        return _divergence(record, "error", _texts(recorded.commands), (f"{type(error).__name__}: {error}",))
    for what, then, now in _compared(recorded, outcome):
        if then != now:
            return _divergence(record, what, then, now)
    return None


def _compared(then: Outcome, now: Outcome) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield what is compared as canonical texts, in which equal numbers are written alike."""
    yield "commands", _texts(then.commands), _texts(now.commands)
    yield "decisions", _texts(then.decisions), _texts(now.decisions)


def _texts(structs: Sequence[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(encode(one) for one in structs)


def _divergence(record: Record, what: str, expected: tuple[str, ...], got: tuple[str, ...]) -> Divergence:
    envelope = record.envelope
    return Divergence(
        seq=envelope.seq, ts_ns=envelope.ts_ns, event=encode(envelope.event), what=what, expected=expected, got=got
    )
