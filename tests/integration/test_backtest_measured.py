"""Latencies measured from a real journal on disk."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.backtest.measured import COUNT_MIN, answer_times
from arbot.domain.decisions import Outcome
from arbot.domain.errors import UserError
from arbot.domain.events import (
    Envelope,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderSent,
    RejectCode,
    RequestOutcomeUnknown,
    TimerFired,
)
from arbot.ports import Record
from tests.support.accounting import T0_NS, a_fill, an_intent, opened, order_name
from tests.support.stores import a_store, begin

MS = 1_000_000


class Run:
    """A run of a daemon that writes one order after the other into a store."""

    def __init__(self, url: str, run_id: str) -> None:
        self.store = a_store(url)
        self.epoch = begin(self.store, run_id=run_id)
        self.count = 0
        self.step = 0

    def order(self, venue, *answers) -> None:
        """Write an order and (ms after it was sent, event maker) of what came of it."""
        self.count += 1
        name = order_name(self.count, epoch=self.epoch)
        intent = an_intent(
            self.count, client_order_id=name, venue=venue, arb_id=f"{self.epoch}-{self.count}", qty=Decimal(1)
        )
        self.write(0, TimerFired(key=""), opened(intent))
        self.write(0, OrderSent(client_order_id=name))
        for ms, make in answers:
            self.write(ms, make(name, venue))

    def write(self, ms, event, outcome=None) -> None:
        self.step += 1
        envelope = Envelope(self.step, T0_NS + self.count * 10_000 * MS + ms * MS, event)
        self.store.commit([Record(envelope=envelope, outcome=outcome or Outcome())])

    def end(self) -> None:
        self.store.end_run()
        self.store.close()


def accepted(name, _venue):
    return OrderAccepted(client_order_id=name, venue_order_id=f"O-{name}")


def filled(name, venue):
    return OrderFilled(fill=a_fill(client_order_id=name, venue=venue, venue_order_id=f"O-{name}", qty=Decimal("0.1")))


def rejected(code):
    return lambda name, _venue: OrderRejected(client_order_id=name, code=code, detail="")


def unknown(name, _venue):
    return RequestOutcomeUnknown(client_order_id=name, request="submit", detail="")


@pytest.fixture
def url(tmp_path):
    """Return a store with a long run of both venues and a short one of Kraken."""
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    run = Run(url, "long")
    for number in range(COUNT_MIN):
        run.order("kraken", (100 - number, accepted), (120, filled))
        run.order("coinbase", (7 + number, filled), (8 + number, accepted))
    run.order("kraken", (5, rejected(RejectCode.INSUFFICIENT_FUNDS)))
    run.order("kraken", (1, rejected(RejectCode.RATE_LIMITED)))
    run.order("kraken", (5000, unknown), (9000, filled))
    run.order("kraken")
    run.end()
    run = Run(url, "short")
    for _ in range(3):
        run.order("kraken", (500, accepted))
    run.end()
    return url


def measure(url, *venues, run_id=""):
    return answer_times(url, venues, now_ns=lambda: T0_NS, run_id=run_id)


def test_the_first_answer_counts(url):
    """Times run from OrderSent to the first acceptance, fill or refusal; limits and lost answers are left out."""
    found = measure(url, "kraken", "coinbase", run_id="long")
    assert tuple(ms * MS for ms in (5, *range(81, 101))) == found["kraken"]
    assert tuple(ms * MS for ms in range(7, 27)) == found["coinbase"]


def test_all_runs_count_when_none_is_named(url):
    """Without a run id every run in the store is measured."""
    assert (COUNT_MIN + 1 + 3, 500 * MS) == (
        len(measure(url, "kraken")["kraken"]),
        measure(url, "kraken")["kraken"][-1],
    )


def test_too_few_answers_are_told_with_their_number(url):
    """A venue with too few measurements is named with how many there are, every such venue at once."""
    with pytest.raises(UserError) as caught:
        measure(url, "kraken", "bitstamp", run_id="short")
    assert [
        "3 measured answers of kraken, 20 are needed",
        "0 measured answers of bitstamp, 20 are needed",
    ] == [found.what for found in caught.value.mistakes]


def test_an_unknown_run_and_a_missing_store_are_mistakes(url, tmp_path):
    """A run that is not in the store, or a store that is not there, is told; nobody asked is nothing opened."""
    with pytest.raises(UserError, match="the store has no run 'other'"):
        measure(url, "kraken", run_id="other")
    nowhere = f"sqlite:///{tmp_path / 'none.sqlite'}"
    with pytest.raises(UserError, match=r"none\.sqlite"):
        measure(nowhere, "kraken")
    assert {} == measure(nowhere)
