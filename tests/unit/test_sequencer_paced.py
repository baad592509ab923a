"""Is a paced strategy asked in time: not more often than it wants, and at once when a quote's touch moves?"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import Outcome
from arbot.domain.events import BooksMoved, Envelope, TimerFired
from arbot.domain.ids import InstrumentId
from arbot.runtime.clock import VirtualClock
from arbot.runtime.sequencer import Sequencer

LOOK_MS = 100


class Shell:
    """A sequencer on a virtual clock; its engine only notes when it was asked about which books."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.began_ns = self.clock.now_ns()
        self.looks: list[tuple[int, tuple[str, ...]]] = []
        self.touches: dict[int, tuple[int, int, int]] = {}
        self.depends_on: tuple[InstrumentId, ...] = ()
        self.sequencer = Sequencer(
            clock=self.clock, engine=self, ledger=self, store=self, screen=self, dispatch=lambda _: None,
            observe=lambda *_: None, broken=lambda _: None, look_ms=LOOK_MS,
        )  # type: ignore[arg-type]  # fmt: skip

    def step(self, envelope: Envelope) -> Outcome:
        if isinstance(envelope.event, BooksMoved):
            books = tuple(one.partition("@")[0] for one in envelope.event.instruments)
            self.looks.append(((envelope.ts_ns - self.began_ns) // 1_000_000, books))
        return Outcome()

    def standing(self) -> Decimal:
        return Decimal(0)

    def quoted(self) -> tuple[InstrumentId, ...]:
        return self.depends_on

    def apply(self, envelope: Envelope, decisions: object) -> tuple[()]:
        return ()

    def commit(self, records: object) -> None:
        """Keep nothing."""

    def instrument(self, index: int) -> InstrumentId:
        return InstrumentId(f"{index}@v")

    def recv_ts_ns(self, index: int) -> int:
        return self.clock.now_ns()

    def touch(self, index: int) -> tuple[int, int, int]:
        return self.touches.get(index, (1, 1, 2))

    def moves(self, *books: int) -> None:
        """Let books move now, and the burst end."""
        for book in books:
            self.sequencer.book_moved(book)
        self.clock.advance(0)

    def quotes(self, *books: int) -> None:
        """Let an order rest that depends on these books."""
        self.depends_on = tuple(self.instrument(book) for book in books)
        self.sequencer.submit((TimerFired(key="any"),))


def test_what_moves_during_the_rest_is_looked_at_together_when_it_is_over() -> None:
    """Look at the first book at once, at the next ones once the rest is over, each once; and then not again."""
    shell = Shell()
    shell.moves(1)
    shell.clock.advance(0.03)
    shell.moves(2, 3, 2)
    shell.clock.advance(1)

    assert shell.looks == [(0, ("1",)), (LOOK_MS, ("2", "3"))]


def test_the_touch_of_a_book_that_a_quote_depends_on_does_not_wait() -> None:
    """Look at once when its touch changed, and take along what moved before; deeper changes wait for their turn."""
    shell = Shell()
    shell.moves(1)
    shell.quotes(1, 2)
    shell.clock.advance(0.01)
    shell.moves(3)
    shell.clock.advance(0.01)
    shell.moves(2)
    shell.clock.advance(0.01)
    shell.moves(2)
    shell.clock.advance(1)

    assert shell.looks == [(0, ("1",)), (20, ("3", "2")), (20 + LOOK_MS, ("2",))]

    shell.touches[2] = (0, 0, 0)
    shell.moves(2)
    assert shell.looks[-1] == (1030, ("2",))
