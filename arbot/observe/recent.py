"""What happened last: open arbs, the last closed ones, why each route was last declined, and whether trading is on."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec

from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    Decision,
    OpportunityDeclined,
    OpportunitySeen,
    Outcome,
    TradingStateChanged,
)
from arbot.domain.events import Envelope
from arbot.domain.ids import ArbId, InstrumentId
from arbot.domain.units import ZERO

KEPT = 12
NS_PER_MS = 1_000_000


class ArbLine(msgspec.Struct, frozen=True, kw_only=True):
    """One arb. Money in its home quote; instruments are empty for an arb of an earlier run and for a flush."""

    arb_id: str
    buy: str = ""
    sell: str = ""
    conversion: str = ""  # empty: an arb of two legs
    qty: Decimal = ZERO
    edge_net_bps: Decimal = ZERO
    state: str = ArbState.PLANNED.value
    residual: Decimal = ZERO
    residual_foreign: Decimal = ZERO
    pnl_net: Decimal = ZERO
    fees: Decimal = ZERO
    missed: bool = False
    is_quote: bool = False
    ts_ns: int = 0
    age_ms: int = 0


class Recent:
    """Keeps the last of everything, in fixed space."""

    def __init__(self) -> None:
        self.may_open = False
        self.reasons: tuple[str, ...] = ()
        self._open: dict[ArbId, ArbLine] = {}
        self._last: deque[ArbLine] = deque(maxlen=KEPT)
        self._declined: dict[tuple[InstrumentId, InstrumentId], str] = {}

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take over one step."""
        for decision in outcome.decisions:
            self._take(decision, envelope.ts_ns)

    def open_arbs(self, now_ns: int) -> tuple[ArbLine, ...]:
        """Return the arbs that are not flat, oldest first."""
        return tuple(_aged(arb, now_ns) for arb in self._open.values())

    def last_arbs(self, now_ns: int) -> tuple[ArbLine, ...]:
        """Return the last arbs that went flat, newest first."""
        return tuple(_aged(arb, now_ns) for arb in reversed(self._last))

    def reason(self, buy: InstrumentId, sell: InstrumentId) -> str:
        """Return why a route was declined when it was last looked at, or an empty text."""
        return self._declined.get((buy, sell), "")

    def _take(self, decision: Decision, ts_ns: int) -> None:
        if isinstance(decision, OpportunityDeclined):
            self._declined[decision.buy, decision.sell] = decision.reason.value
        elif isinstance(decision, OpportunitySeen):
            self._declined.pop((decision.buy, decision.sell), None)
        elif isinstance(decision, ArbOpened):
            self._open[decision.arb_id] = ArbLine(
                arb_id=decision.arb_id,
                buy=decision.buy,
                sell=decision.sell,
                conversion="" if decision.conversion is None else decision.conversion.instrument,
                qty=decision.qty,
                edge_net_bps=decision.edge_net_bps,
                is_quote=decision.is_quote,
                ts_ns=ts_ns,
            )
        elif isinstance(decision, ArbMoved):
            arb = self._open.get(decision.arb_id, ArbLine(arb_id=decision.arb_id, ts_ns=ts_ns))
            self._open[decision.arb_id] = msgspec.structs.replace(
                arb,
                state=decision.after.value,
                residual=decision.residual,
                residual_foreign=decision.residual_foreign,
            )
        elif isinstance(decision, ArbClosed):
            arb = self._open.pop(decision.arb_id, ArbLine(arb_id=decision.arb_id, ts_ns=ts_ns))
            self._last.append(
                msgspec.structs.replace(
                    arb,
                    state=ArbState.FLAT.value,
                    residual=decision.residual,
                    residual_foreign=decision.residual_foreign,
                    pnl_net=decision.pnl_net,
                    fees=decision.fees,
                    missed=decision.missed,
                    ts_ns=ts_ns,
                )
            )
        elif isinstance(decision, TradingStateChanged):
            self.may_open = decision.may_open
            self.reasons = tuple(reason.value for reason in decision.reasons)


def _aged(arb: ArbLine, now_ns: int) -> ArbLine:
    return msgspec.structs.replace(arb, age_ms=max(0, now_ns - arb.ts_ns) // NS_PER_MS)
