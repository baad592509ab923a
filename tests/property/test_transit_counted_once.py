"""Money under way is counted once, in whatever order balances and histories tell of it."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.transfer_world import TransferWorld

FEE = Decimal("0.001")
LAG_S_MAX = 9  # below transit.SETTLE_NS: no snapshot is delivered later than that after it was taken
MOMENTS = 60  # seconds that a case lasts
moment = st.integers(0, MOMENTS)
lag = st.integers(0, LAG_S_MAX)


class Truth:
    """What the venues really hold, second by second."""

    def __init__(self, debited: int, credited: int, returned: int | None, share: Decimal) -> None:
        self.debited, self.credited, self.returned, self.share = debited, credited, returned, share

    def kraken(self, at: int) -> Decimal:
        """Return kraken's balance."""
        gone = at >= self.debited and (self.returned is None or at < self.returned)
        return Decimal(10) - (1 + FEE if gone else 0)

    def coinbase(self, at: int) -> Decimal:
        """Return coinbase's balance."""
        return Decimal(10) + (self.share if self.returned is None and at >= self.credited else 0)

    @property
    def lost(self) -> Decimal:
        """Return what left and never arrives: it stays counted as under way."""
        return Decimal(0) if self.returned is not None else 1 - self.share


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, list[tuple[int, int, str]]]:
    """Return what happened and, by time of delivery, what was told of it: snapshots in order, reports as they come."""
    debited = draw(moment)
    is_returned = draw(st.booleans())
    after = draw(st.integers(debited, MOMENTS))
    share = draw(st.sampled_from((Decimal(1), Decimal(1), Decimal("0.4"))))
    truth = Truth(debited, after, after if is_returned else None, share)
    told: list[tuple[int, int, str]] = []
    for venue in ("kraken", "coinbase"):
        delivered = 0
        for taken in sorted(draw(st.lists(moment, max_size=8))):
            delivered = max(delivered, taken + draw(lag))
            told.append((delivered, len(told), f"{venue} holds BTC {getattr(truth, venue)(taken)} USD 10000"))
    if draw(st.booleans()):
        told.append((debited + draw(lag), len(told), f"kraken withdrawal W1 1 fee {FEE} pending tx X"))
    last = (
        f"kraken withdrawal W1 1 fee {FEE} failed tx X"
        if is_returned
        else f"coinbase deposit D1 {share} done tx X to bc1-ours"
    )
    told.append((after + draw(lag), len(told), last))
    if not is_returned:
        told.append((after + draw(lag), len(told), f"kraken withdrawal W1 1 fee {FEE} done tx X"))
    return truth, sorted(told)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_all_orders_of_news_count_each_coin_once(case: tuple[Truth, list[tuple[int, int, str]]]) -> None:
    """Never count a coin twice nor lose one, but for the fee; and be exact once both ends were told of long after.

    Much less than was sent may arrive, and be told before the source has named its transaction.
    """
    truth, told = case
    world = TransferWorld()
    for line in ("ask 1 BTC kraken coinbase bitcoin", "sent", "accepted W1"):
        world.line(line)
    now = 0
    for at, _, line in told:
        if at > now:
            world.line(f"wait {at - now}s")
            now = at
        world.line(line)
        assert Decimal(20) - FEE * 2 <= world.counted() <= Decimal(20), line
    for _ in range(2):
        world.line("wait 11s")
        for venue in ("kraken", "coinbase"):
            world.line(f"{venue} holds BTC {getattr(truth, venue)(MOMENTS * 2)} USD 10000")

    assert truth.kraken(MOMENTS * 2) + truth.coinbase(MOMENTS * 2) + truth.lost == world.counted()
    assert [truth.lost] * bool(truth.lost) == [one.qty for one in world.engine.state.in_flight()]
    assert bool(truth.lost) == bool(world.engine.state.unsettled)
    assert {} == world.engine.state.unclaimed


@pytest.mark.parametrize("tx", ["X", "Q"])
def test_a_deposit_that_is_set_aside_is_counted_once(tx: str) -> None:
    """Count far too small a deposit once, in every order of news: part of ours by its transaction, else somebody's else."""
    news = (
        "coinbase holds BTC 10.4 USD 10000",
        f"coinbase deposit D1 0.4 done tx {tx}",
        "kraken holds BTC 8.999 USD 10000",
        f"kraken withdrawal W1 1 fee {FEE} done tx X",
    )
    extra = Decimal(0) if tx == "X" else Decimal("0.4")
    for order in itertools.permutations(news):
        world = TransferWorld()
        for line in ("ask 1 BTC kraken coinbase bitcoin", "sent", "accepted W1"):
            world.line(line)
        for line in order:
            world.line(line)
            assert Decimal(20) - FEE * 2 <= world.counted() <= Decimal(20) + extra, (order, line)
        last, held = ("D2 0.6", "11") if tx == "X" else ("D2 1", "11.4")
        holds = (f"coinbase holds BTC {held} USD 10000", "kraken holds BTC 8.999 USD 10000")
        for line in (f"coinbase deposit {last} done tx X", "wait 11s", *holds, "wait 11s", *holds):
            world.line(line)

        assert Decimal(20) - FEE + extra == world.counted(), order
        assert {} == world.engine.state.unsettled, order
        assert {} == world.engine.state.unclaimed
