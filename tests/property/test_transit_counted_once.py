"""Money under way is counted once, in whatever order balances and histories tell of it."""

from __future__ import annotations

from decimal import Decimal

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

    def __init__(self, debited: int, credited: int, returned: int | None) -> None:
        self.debited, self.credited, self.returned = debited, credited, returned

    def kraken(self, at: int) -> Decimal:
        """Return kraken's balance."""
        gone = at >= self.debited and (self.returned is None or at < self.returned)
        return Decimal(10) - (1 + FEE if gone else 0)

    def coinbase(self, at: int) -> Decimal:
        """Return coinbase's balance."""
        return Decimal(10) + (1 if self.returned is None and at >= self.credited else 0)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, list[tuple[int, int, str]]]:
    """Return what happened and, by time of delivery, what was told of it: snapshots in order, reports as they come."""
    debited = draw(moment)
    is_returned = draw(st.booleans())
    after = draw(st.integers(debited, MOMENTS))
    truth = Truth(debited, after, after if is_returned else None)
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
        else "coinbase deposit D1 1 done tx X to bc1-ours"
    )
    told.append((after + draw(lag), len(told), last))
    if not is_returned:
        told.append((after + draw(lag), len(told), f"kraken withdrawal W1 1 fee {FEE} done tx X"))
    return truth, sorted(told)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_all_orders_of_news_count_each_coin_once(case: tuple[Truth, list[tuple[int, int, str]]]) -> None:
    """Never count a coin twice nor lose one, but for the fee; and be exact once both ends were told of long after."""
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

    assert truth.kraken(MOMENTS * 2) + truth.coinbase(MOMENTS * 2) == world.counted()
    assert [] == list(world.engine.state.in_flight())
    assert {} == world.engine.state.unsettled
