"""What the live page remembers of a run: acts of people, alerts, recent decisions, the lives of arbs, and the curve of P&L.

Everything has a fixed size. Declines come by the thousand and are kept one row a reason; what happens often and alike
(declines) is never told one by one. Times are ms since the epoch, money is in the reporting currency unless said otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    FillClashed,
    LimitLatched,
    OpportunityDeclined,
    OrderRefused,
    OrphanFillFound,
    Outcome,
    PegChanged,
    QuotePulled,
    ResidualWorked,
    TradingStateChanged,
    TransferMoved,
    TransferRefused,
    VenueHealthChanged,
)
from arbot.domain.events import Envelope, FeedConnected, FeedDisconnected, OperatorRequested, Verb
from arbot.domain.ids import ArbId
from arbot.domain.units import ZERO, fmt

ALERTS_KEPT, DECISIONS_KEPT, CLOSED_KEPT, STEPS_KEPT, POINTS_MAX = 50, 60, 20, 24, 600
NS_PER_MS = 1_000_000
_LASTING = (Verb.KILL, Verb.PAUSE, Verb.HALT, Verb.DRAIN)


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for last with one verb."""

    ts_ms: int
    actor: str
    reason: str


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. Severity: info, warning, critical."""

    ts_ms: int
    severity: str
    code: str
    text: str


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the engine concluded, in words. Level: good, plain, warn, bad."""

    ts_ms: int
    level: str
    what: str
    text: str


class DeclineRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why opportunities were not taken: how often in this run, and the last one with its value against its limit."""

    reason: str
    count: int
    ts_ms: int
    buy: str
    sell: str
    value: Decimal
    limit: Decimal
    edge_net_bps: Decimal


class LifeStep(msgspec.Struct, frozen=True, array_like=True):
    """A state of an arb, and when it came into it."""

    state: str
    ts_ms: int


class ArbRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arb with its life. Residuals in the base and the foreign quote; money in its home quote, known once it is flat."""

    arb_id: str
    buy: str
    sell: str
    conversion: str
    qty: Decimal
    edge_net_bps: Decimal
    state: str
    residual: Decimal
    residual_foreign: Decimal
    opened_ms: int
    ended_ms: int
    life: tuple[LifeStep, ...]
    pnl_net: Decimal
    fees: Decimal
    unhedged_ms: int
    missed: bool
    is_quote: bool
    is_flush: bool


class Point(msgspec.Struct, frozen=True, array_like=True):
    """A point of the curve: P&L of this run after fees, and all that is held at present prices (None: no price)."""

    ts_ms: int
    pnl_net: float
    equity: float | None


class Curve:
    """A bounded curve: when it is full, every second point of its older half goes, so the past grows coarse, not short."""

    def __init__(self, points_max: int = POINTS_MAX) -> None:
        self._points: list[Point] = []
        self._max = points_max

    def add(self, point: Point) -> None:
        """Append a point."""
        self._points.append(point)
        if len(self._points) > self._max:
            half = len(self._points) // 2
            self._points[:half] = self._points[:half:2]

    def points(self) -> tuple[Point, ...]:
        """Return the points, oldest first."""
        return tuple(self._points)


class LiveLog:
    """Observes every step of a run, in constant time for each."""

    def __init__(self) -> None:
        self.version = 0  # raised by whatever the page would show
        self.acts: dict[str, Act] = {}
        self.alerts: deque[AlertRow] = deque(maxlen=ALERTS_KEPT)
        self.alerts_count = 0
        self.decisions: deque[DecisionRow] = deque(maxlen=DECISIONS_KEPT)
        self.declines: dict[str, DeclineRow] = {}
        self.last_declined: dict[tuple[str, str], str] = {}  # by buying and selling instrument
        self.arbs_open: dict[ArbId, ArbRow] = {}
        self.arbs_closed: deque[ArbRow] = deque(maxlen=CLOSED_KEPT)
        self.arbs_flat = self.arbs_missed = 0
        self.may_open: bool | None = None  # None: the engine has not said so since this log began
        self.reasons: tuple[str, ...] = ()
        self.curve = Curve()
        self._takes: dict[type, Callable[[Any, int], None]] = {
            OpportunityDeclined: self._decline,
            ArbOpened: self._open,
            ArbMoved: self._move,
            ArbClosed: self._close,
            TradingStateChanged: self._change,
            OperatorRequested: self._act,
        }

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take over one step."""
        ts_ms = envelope.ts_ns // NS_PER_MS
        self._take(envelope.event, ts_ms)
        for decision in outcome.decisions:
            self._take(decision, ts_ms)
        for command in outcome.commands:
            if isinstance(command, RaiseAlert):
                self.alerted(command, ts_ms)

    def alerted(self, alert: RaiseAlert, ts_ms: int) -> None:
        """Take over an alert."""
        self.version += 1
        self.alerts_count += 1
        self.alerts.append(AlertRow(ts_ms=ts_ms, severity=alert.severity.value, code=alert.code, text=alert.text))

    def _take(self, told: object, ts_ms: int) -> None:
        take = self._takes.get(type(told))
        if take is not None:
            take(told, ts_ms)
        word = _WORDS.get(type(told))
        if word is not None:
            self.version += 1
            level, what, text = word(told)
            self.decisions.append(DecisionRow(ts_ms=ts_ms, level=level, what=what, text=text))

    def _act(self, asked: OperatorRequested, ts_ms: int) -> None:
        if asked.verb in _LASTING:
            self.acts[asked.verb.value] = Act(ts_ms=ts_ms, actor=asked.actor, reason=asked.reason)

    def _change(self, changed: TradingStateChanged, _ts_ms: int) -> None:
        self.may_open = changed.may_open
        self.reasons = tuple(reason.value for reason in changed.reasons)

    def _decline(self, declined: OpportunityDeclined, ts_ms: int) -> None:
        reason = declined.reason.value
        before = self.declines.get(reason)
        self.last_declined[declined.buy, declined.sell] = reason
        self.declines[reason] = DeclineRow(
            reason=reason,
            count=1 if before is None else before.count + 1,
            ts_ms=ts_ms,
            buy=declined.buy,
            sell=declined.sell,
            value=declined.value,
            limit=declined.limit,
            edge_net_bps=declined.edge_net_bps,
        )

    def _open(self, opened: ArbOpened, ts_ms: int) -> None:
        self.last_declined.pop((opened.buy, opened.sell), None)
        self.arbs_open[opened.arb_id] = msgspec.structs.replace(
            _unknown_arb(opened.arb_id, ts_ms),
            buy=opened.buy,
            sell=opened.sell,
            conversion="" if opened.conversion is None else opened.conversion.instrument,
            qty=opened.qty,
            edge_net_bps=opened.edge_net_bps,
            is_quote=opened.is_quote,
            is_flush=False,
        )

    def _move(self, moved: ArbMoved, ts_ms: int) -> None:
        arb = self.arbs_open.get(moved.arb_id) or self._closed(moved.arb_id) or _unknown_arb(moved.arb_id, ts_ms)
        self.version += 1
        self.arbs_open[moved.arb_id] = msgspec.structs.replace(
            arb,
            state=moved.after.value,
            residual=moved.residual,
            residual_foreign=moved.residual_foreign,
            life=(*arb.life, LifeStep(moved.after.value, ts_ms))[-STEPS_KEPT:],
        )

    def _close(self, closed: ArbClosed, ts_ms: int) -> None:
        self.version += 1
        arb = self.arbs_open.pop(closed.arb_id, None) or _unknown_arb(closed.arb_id, ts_ms)
        life = arb.life if arb.life[-1].state == ArbState.FLAT else (*arb.life, LifeStep(ArbState.FLAT.value, ts_ms))
        if not closed.is_flush and not arb.ended_ms:
            self.arbs_flat += 1
            self.arbs_missed += closed.missed
        self.arbs_closed.append(
            msgspec.structs.replace(
                arb,
                state=ArbState.FLAT.value,
                ended_ms=ts_ms,
                life=life[-STEPS_KEPT:],
                residual=closed.residual,
                residual_foreign=closed.residual_foreign,
                pnl_net=closed.pnl_net,
                fees=closed.fees,
                unhedged_ms=closed.unhedged_ns // NS_PER_MS,
                missed=closed.missed,
                is_flush=closed.is_flush,
            )
        )

    def _closed(self, arb: ArbId) -> ArbRow | None:
        """Take back an arb that had gone flat and was reopened by a late fill."""
        found = next((one for one in self.arbs_closed if one.arb_id == arb), None)
        if found is not None:
            self.arbs_closed.remove(found)
        return found


def _unknown_arb(arb: ArbId, ts_ms: int) -> ArbRow:
    """Return an arb of which no opening was seen: of an earlier run, or a flush."""
    return ArbRow(
        arb_id=arb,
        buy="",
        sell="",
        conversion="",
        qty=ZERO,
        edge_net_bps=ZERO,
        state=ArbState.PLANNED.value,
        residual=ZERO,
        residual_foreign=ZERO,
        opened_ms=ts_ms,
        ended_ms=0,
        life=(LifeStep(ArbState.PLANNED.value, ts_ms),),
        pnl_net=ZERO,
        fees=ZERO,
        unhedged_ms=0,
        missed=False,
        is_quote=False,
        is_flush=True,
    )


def told(word: str) -> str:
    """Return a name of the code as words: book_age_recv -> book age recv."""
    return word.replace("_", " ")


def _of_and_limit(reason: str, value: Decimal, limit: Decimal) -> str:
    return f"{told(reason)}: {fmt(value)} against {fmt(limit)}" if value or limit else told(reason)


def _trading(changed: TradingStateChanged) -> tuple[str, str, str]:
    if changed.may_open:
        return "good", "trading", "new arbs may be opened"
    return "warn", "not trading", ", ".join(told(reason.value) for reason in changed.reasons)


def _closing(closed: ArbClosed) -> tuple[str, str, str]:
    if closed.missed:
        return "plain", "arb missed", f"{closed.arb_id}: nothing was filled"
    level = "good" if closed.pnl_net >= 0 else "warn"
    residual = f", residual {fmt(closed.residual)} carried" if closed.residual else ""
    return level, "arb flat", f"{closed.arb_id}: net {closed.pnl_net:+,.2f}, fees {closed.fees:,.2f}{residual}"


def _asked(asked: OperatorRequested) -> tuple[str, str, str]:
    by = f"by {asked.actor}" + (f": {asked.reason}" if asked.reason else "")
    what = f"{told(asked.verb.value)} {asked.argument}".strip()
    return ("bad" if asked.verb is Verb.KILL else "warn"), what, by


def _health(changed: VenueHealthChanged) -> tuple[str, str, str]:
    if changed.is_quarantined:
        return "bad", "venue quarantined", f"{changed.venue}: {'; '.join(changed.why)}"
    return "good", "venue released", changed.venue


def _stranded(one: ArbStranded) -> tuple[str, str, str]:
    return "bad", "arb stranded", f"{one.arb_id}: {fmt(one.residual)} {one.base} open, {one.why}"


def _worked(one: ResidualWorked) -> tuple[str, str, str]:
    level = "plain" if one.is_expected else "warn"
    text = f"{one.arb_id}: {one.side.value} {fmt(one.qty)} at {fmt(one.limit_price)}, {one.instrument}"
    return level, told(one.purpose.value), text


def _opening(one: ArbOpened) -> tuple[str, str, str]:
    what = "quote placed" if one.is_quote else "arb opened"
    symbol, _, buy = one.buy.partition("@")
    way = f"{symbol}, {buy} to {one.sell.partition('@')[2]}"
    return "plain", what, f"{one.arb_id}: {fmt(one.qty)} {way}, {one.edge_net_bps:+.2f} bp net"


def _way(one: TransferRefused) -> str:
    return f"{fmt(one.qty)} {one.asset} {one.source} to {one.target}"


def _moved(one: TransferMoved) -> tuple[str, str, str]:
    way = f" {one.asset} {one.source} to {one.target}" if one.asset else ""
    return "plain", "transfer", f"{one.transfer}{way}: {told(one.after.value)} {one.detail}".rstrip()


_WORDS: dict[type, Callable[[Any], tuple[str, str, str]]] = {
    TradingStateChanged: _trading,
    ArbOpened: _opening,
    ArbClosed: _closing,
    ArbStranded: _stranded,
    ResidualWorked: _worked,
    OrderRefused: lambda one: (
        "warn",
        "order refused",
        f"{one.arb_id}: {told(one.purpose.value)}, {_of_and_limit(one.reason.value, one.value, one.limit)}",
    ),
    QuotePulled: lambda one: (
        "plain",
        "quote pulled",
        f"{one.arb_id}: {_of_and_limit(one.reason.value, one.value, one.limit)}",
    ),
    OrphanFillFound: lambda one: ("warn", "late fill", f"{one.client_order_id}: {fmt(one.qty)}"),
    FillClashed: lambda one: ("bad", "fill clashed", f"{one.client_order_id}, trade {one.trade_id}"),
    LimitLatched: lambda one: ("bad", "limit latched", _of_and_limit(one.limit, one.value, one.bound)),
    TransferMoved: _moved,
    TransferRefused: lambda one: (
        "warn",
        "transfer refused",
        f"{_way(one)}: {_of_and_limit(one.reason.value, one.value, one.limit)}",
    ),
    VenueHealthChanged: _health,
    PegChanged: lambda one: (
        "bad" if one.is_depegged else "good",
        "peg lost" if one.is_depegged else "peg regained",
        f"{one.asset} at {fmt(one.rate)}",
    ),
    FeedConnected: lambda one: ("good", "stream up", f"{one.venue} {one.stream.value}"),
    FeedDisconnected: lambda one: ("bad", "stream lost", f"{one.venue} {one.stream.value}"),
    OperatorRequested: _asked,
}
"""How each decision is told, as level, what and text."""


def declines_by_count(log: LiveLog) -> Iterator[DeclineRow]:
    """Yield the reasons, the most frequent first."""
    yield from sorted(log.declines.values(), key=lambda row: -row.count)
