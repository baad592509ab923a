"""Sees every step of a play and remembers what tripped, what was let go, and how long something stood on one leg.

A chance that stays open is looked at again and again: it is counted once until CHANCE_NS have passed without a look.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from arbot.backtest.stress.played import Declined, Trip
from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import (
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    LimitLatched,
    OpportunityDeclined,
    OpportunitySeen,
    OrderRefused,
    Outcome,
    PegChanged,
    Reason,
    TransferMoved,
    TransferRefused,
    VenueHealthChanged,
)
from arbot.domain.events import Envelope, OrderFilled
from arbot.domain.order import Fill
from arbot.domain.transfer import TransferState
from arbot.domain.units import ZERO, fmt

CHANCE_NS = 10_000_000_000
_EXPOSED = frozenset({ArbState.ONE_SIDED, ArbState.HEDGING, ArbState.UNWINDING, ArbState.UNKNOWN, ArbState.STRANDED})
_ORDINARY = frozenset({Reason.NO_EDGE, Reason.COOL_DOWN, Reason.ARBS_OPEN})  # every quiet day has them: not a trip


class Watcher:
    """Give it every step; `finish` once."""

    def __init__(self, adds: Callable[[Fill], bool], node: str = "") -> None:
        self._adds = adds  # whether a fill adds to the watched exposure
        self._node = node  # the watched venue, where an arb that sells brings what has to leave again
        self._trips: dict[tuple[str, str], Trip] = {}
        self._declined: dict[str, list[Decimal]] = {}
        self._looked_ns: dict[tuple[str, str, str], int] = {}
        self._since_ns: dict[str, int] = {}
        self._seen: OpportunitySeen | None = None
        self.unhedged_ns = self.unhedged_ns_longest = 0
        self.arbs = self.fills = 0
        self.added_ns: list[int] = []
        self.transfers: dict[str, int] = {}

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take one step in."""
        now_ns = envelope.ts_ns
        if isinstance(envelope.event, OrderFilled):
            self.fills += 1
            if self._adds(envelope.event.fill):
                self.added_ns.append(now_ns)
        for command in outcome.commands:
            if isinstance(command, RaiseAlert) and command.severity is Severity.CRITICAL:
                self.trip(now_ns, command.code, command.text)
        for decision in outcome.decisions:
            take = _TAKES.get(type(decision))
            if take is not None:
                take(self, now_ns, decision)

    def trip(self, ts_ns: int, what: str, detail: str) -> None:
        """Note that something said no: the first time in full, later ones as a count."""
        key = (what, "")
        known = self._trips.get(key)
        self._trips[key] = (
            Trip(ts_ns=ts_ns, what=what, detail=detail)
            if known is None
            else msgspec.structs.replace(known, count=known.count + 1)
        )

    def finish(self, now_ns: int) -> None:
        """Count what is still on one leg."""
        for arb in list(self._since_ns):
            self._hedged(arb, now_ns)

    def trips(self) -> tuple[Trip, ...]:
        """Return what tripped, in the order of its first time."""
        return tuple(sorted(self._trips.values(), key=lambda trip: (trip.ts_ns, trip.what)))

    def declined(self) -> tuple[Declined, ...]:
        """Return what was let go, the dearest reason first."""
        rows = (
            Declined(reason=reason, chances=int(chances), expected=expected.quantize(Decimal("0.01")))
            for reason, (chances, expected) in self._declined.items()
        )
        return tuple(sorted(rows, key=lambda row: (-row.expected, row.reason)))

    # --- decisions ----------------------------------------------------------------------------------------------------

    def take_seen(self, _: int, decision: OpportunitySeen) -> None:
        """Remember what the next decline was about."""
        self._seen = decision

    def take_declined(self, now_ns: int, decision: OpportunityDeclined) -> None:
        """Count a chance once, with what it promised."""
        reason, seen = decision.reason.value, self._seen
        self._seen = None
        key = (decision.buy, decision.sell, reason)
        is_new = now_ns - self._looked_ns.get(key, -CHANCE_NS) >= CHANCE_NS
        self._looked_ns[key] = now_ns
        if decision.reason is Reason.NO_EDGE or not is_new:
            return
        promised = ZERO
        if seen is not None and (seen.buy, seen.sell) == (decision.buy, decision.sell):
            promised = seen.qty * seen.buy_price * seen.edge_net_bps / 10_000
        row = self._declined.setdefault(reason, [ZERO, ZERO])
        row[0] += 1
        row[1] += promised
        if decision.reason not in _ORDINARY:
            told = (
                f"{decision.buy} to {decision.sell}: {fmt(round(decision.value, 4))} of {fmt(round(decision.limit, 4))}"
            )
            self.trip(now_ns, reason, told)

    def take_opened(self, now_ns: int, decision: ArbOpened) -> None:
        """Count it, and whether it brings more to the watched venue."""
        self.arbs += 1
        if decision.sell.endswith(f"@{self._node}"):
            self.added_ns.append(now_ns)

    def take_moved(self, now_ns: int, decision: ArbMoved) -> None:
        """Start and stop the clock of one arb's exposure."""
        if decision.after in _EXPOSED and decision.residual:
            self._since_ns.setdefault(decision.arb_id, now_ns)
        elif decision.after is ArbState.FLAT:
            self._hedged(decision.arb_id, now_ns)

    def _hedged(self, arb: str, now_ns: int) -> None:
        since_ns = self._since_ns.pop(arb, None)
        if since_ns is not None:
            self.unhedged_ns += now_ns - since_ns
            self.unhedged_ns_longest = max(self.unhedged_ns_longest, now_ns - since_ns)

    def take_latched(self, now_ns: int, decision: LimitLatched) -> None:
        """Note a limit that only a person resets."""
        self.trip(now_ns, f"{decision.limit}_latched", f"{fmt(round(decision.value, 2))} of {fmt(decision.bound)}")

    def take_stranded(self, now_ns: int, decision: ArbStranded) -> None:
        """Note a residual that waits for a person."""
        self.trip(now_ns, "stranded", f"{fmt(decision.residual)} {decision.base}: {decision.why}")

    def take_refused(self, now_ns: int, decision: OrderRefused) -> None:
        """Note an order that our own risk stopped."""
        self.trip(now_ns, f"order_refused_{decision.reason.value}", f"{fmt(decision.value)} of {fmt(decision.limit)}")

    def take_transfer_refused(self, now_ns: int, decision: TransferRefused) -> None:
        """Note a transfer that was asked for in vain; that it has to be confirmed is no refusal."""
        if decision.reason is Reason.CONFIRMATION_NEEDED:
            return
        route = f"{fmt(decision.qty)} {decision.asset} {decision.source} to {decision.target}"
        told = f"{route}: {fmt(round(decision.value, 4))} of {fmt(round(decision.limit, 4))} {decision.detail}"
        self.trip(now_ns, f"transfer_{decision.reason.value}".replace("transfer_transfer", "transfer"), told.rstrip())
        self.transfers["refused"] = self.transfers.get("refused", 0) + 1

    def take_transfer_moved(self, now_ns: int, decision: TransferMoved) -> None:
        """Count where transfers came to; a stuck one trips."""
        name = decision.after.value
        self.transfers[name] = self.transfers.get(name, 0) + 1
        if decision.after is TransferState.STUCK:
            self.trip(now_ns, "transfer_stuck", f"{decision.transfer} {decision.detail}".rstrip())

    def take_health(self, now_ns: int, decision: VenueHealthChanged) -> None:
        """Note quarantines."""
        if decision.is_quarantined:
            self.trip(now_ns, "quarantine", f"{decision.venue}: {'; '.join(decision.why)}")

    def take_peg(self, now_ns: int, decision: PegChanged) -> None:
        """Note a peg that broke."""
        if decision.is_depegged:
            self.trip(now_ns, "peg_broken", f"{decision.asset} at {fmt(round(decision.rate, 4))}")


_TAKES: dict[type, Callable[..., None]] = {  # each gets its own kind of decision only
    OpportunitySeen: Watcher.take_seen,
    OpportunityDeclined: Watcher.take_declined,
    ArbOpened: Watcher.take_opened,
    ArbMoved: Watcher.take_moved,
    OrderRefused: Watcher.take_refused,
    TransferRefused: Watcher.take_transfer_refused,
    TransferMoved: Watcher.take_transfer_moved,
    VenueHealthChanged: Watcher.take_health,
    PegChanged: Watcher.take_peg,
    LimitLatched: Watcher.take_latched,
    ArbStranded: Watcher.take_stranded,
}
