"""How venues, stablecoins and money under way are doing, as plain rows of the status. Reads the state, changes nothing.

Shares are fractions, delays in ms, values in the reporting currency, times in ns since the epoch (0 = none).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from arbot.domain.transfer import TransferState
from arbot.domain.units import ONE, ZERO
from arbot.engine import health
from arbot.engine.state import State, Transfer
from arbot.engine.watching import AnswerKind, VenueHealth


class HealthLine(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's conduct. `cap_share` is what its payouts leave of its caps; `locked` are assets that cannot leave it."""

    venue: str
    is_quarantined: bool
    why: tuple[str, ...]
    since_ns: int  # when it came into quarantine or out of it
    wait_s: int
    status: str
    answers: int
    ack_ms_mean: Decimal
    ack_ms_tail: Decimal
    reject_share: Decimal
    unanswered_share: Decimal
    drops: int
    maintenance_from_ns: int
    cap_share: Decimal
    locked: tuple[str, ...]

    def words(self) -> str:
        """Return it in one line for people."""
        told = []
        if self.is_quarantined:
            told.append(f"QUARANTINE: {'; '.join(self.why)}")
        if self.locked:
            told.append(f"cannot leave: {', '.join(self.locked)}")
        if self.cap_share < ONE:
            told.append(f"caps at {self.cap_share}")
        return "   ".join(told) or "well"


class PegLine(msgspec.Struct, frozen=True, kw_only=True):
    """One stablecoin against its peg; the rate is zero while no book tells."""

    asset: str
    rate: Decimal
    is_known: bool
    is_off: bool


class TransitLine(msgspec.Struct, frozen=True, kw_only=True):
    """An asset's transfers that are not over. `value` leaves out what has no price now."""

    asset: str
    count: int
    qty: Decimal
    value: Decimal
    oldest_ts_ns: int
    overdue: int


def health_lines(state: State) -> Iterator[HealthLine]:
    """Yield every configured venue."""
    nothing = VenueHealth()
    for venue in state.config.venues:
        known = state.health.get(venue, nothing)
        window = health.next_window(state, venue)
        yield HealthLine(
            venue=venue,
            is_quarantined=known.is_quarantined,
            why=known.why,
            since_ns=known.since_ns,
            wait_s=known.wait_s,
            status=known.status.value,
            answers=len(known.answers),
            ack_ms_mean=health.ack_ms_mean(known),
            ack_ms_tail=health.ack_ms_tail(known),
            reject_share=health.share(known, AnswerKind.REFUSED),
            unanswered_share=health.share(known, AnswerKind.NONE),
            drops=len(known.drops_ts_ns),
            maintenance_from_ns=0 if window is None else window.from_ns,
            cap_share=health.cap_factor(state, venue),
            locked=tuple(asset for asset in known.rails if not health.can_leave(state, venue, asset)),
        )


def peg_lines(state: State) -> Iterator[PegLine]:
    """Yield every stablecoin under watch."""
    for coin, peg in state.pegs.items():
        yield PegLine(asset=coin, rate=peg.rate if peg.is_known else ZERO, is_known=peg.is_known, is_off=peg.is_off)


def transit_lines(state: State) -> Iterator[TransitLine]:
    """Yield every asset of which something is, or in this run was, under way."""
    for asset in dict.fromkeys(transfer.asset for transfer in state.transfers.values()):
        under_way = [one for one in state.transfers.values() if one.asset == asset and not one.state.is_terminal]
        qty = sum((one.qty for one in under_way), ZERO)
        yield TransitLine(
            asset=asset,
            count=len(under_way),
            qty=qty,
            value=qty * (state.rate(asset) or ZERO),
            oldest_ts_ns=min((one.requested_ts_ns for one in under_way), default=0),
            overdue=sum(1 for one in under_way if is_overdue(state, one)),
        )


def is_overdue(state: State, transfer: Transfer) -> bool:
    """Return whether a transfer is later than the quantile of its route."""
    is_late = 0 < transfer.overdue_at_ns <= state.now_ns
    return transfer.state is TransferState.STUCK or (is_late and not transfer.state.is_terminal)


def quotes_resting(state: State) -> dict[str, int]:
    """Return how many orders of ours rest to be filled by others, by venue."""
    resting = dict.fromkeys((str(venue) for venue in state.config.venues), 0)
    for order in state.live_orders():
        if order.intent.tif.rests:
            resting[order.intent.venue] = resting.get(order.intent.venue, 0) + 1
    return resting


def worst_peg_bps(state: State) -> Decimal:
    """Return how far the coin furthest from its peg is, in bps; zero when none is measured."""
    return max((abs(peg.rate - ONE).scaleb(4) for peg in state.pegs.values() if peg.is_known), default=ZERO)


def worst_share(state: State, kind: AnswerKind) -> Decimal:
    """Return the largest share of answers of this kind at any venue that has answered often enough to be judged."""
    least = state.config.health.orders_min
    return max(
        (health.share(known, kind) for known in state.health.values() if len(known.answers) >= least), default=ZERO
    )
