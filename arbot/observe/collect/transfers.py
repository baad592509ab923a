"""Transfers of our own money: how many end how, how long they take, what they cost, what is under way.

Rules of this file:
- Each outcome of a transfer is counted once, whatever is told of it afterwards; one that was stuck and then arrived counts as
  both. What an earlier run had counted is not counted again.
- It takes from the request to the credit; the stages between are in the log.
- Fees are in the asset: `withdrawal` is what the source took by its own history, `network` what did not arrive of what was
  sent. A fee that is told anew, and larger, counts with what is more.
- The value under way is absent while there is no price, never zero.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal

from arbot.domain.commands import SubmitTransfer
from arbot.domain.decisions import Reason, TransferMoved, TransferRefused
from arbot.domain.events import TransferRestored
from arbot.domain.ids import Asset
from arbot.domain.transfer import TransferId, TransferIntent, TransferState
from arbot.domain.units import ZERO
from arbot.engine.state import State
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.watched import transit_lines

OUTCOMES = (TransferState.CREDITED, TransferState.FAILED, TransferState.STUCK)
_KEPT = 2_000  # as news of one that ended long ago can still come


@dataclass(slots=True)
class _Known:
    """A transfer with what was counted of it."""

    intent: TransferIntent
    counted: dict[TransferState, None] = field(default_factory=dict)
    fee_paid: Decimal = ZERO
    qty_lost: Decimal = ZERO


class Transfers:
    """Counts transfers, and puts those under way."""

    def __init__(self, metrics: Metrics, facts: RunFacts, _state: State) -> None:
        self._metrics = metrics
        self._ccy = facts.ccy
        self._known: OrderedDict[TransferId, _Known] = OrderedDict()
        self._ways: dict[tuple[str, str, str], None] = {}  # asset, source and target that were put
        self.events: OnEvent = {TransferRestored: self._restored}
        self.commands: OnEvent = {SubmitTransfer: self._submitted}
        self.decisions: OnDecision = {
            TransferMoved: self._moved,
            TransferRefused: lambda d, _: metrics.add("arbot_transfers_refused_total", (d.reason.value,)),
        }
        metrics.ensure_children("arbot_transfers_refused_total", Reason)
        for name in ("arbot_transfers_overdue", "arbot_transfer_oldest_start_timestamp_seconds"):
            metrics.ensure_children(name, facts.assets)
        metrics.ensure_children("arbot_transfers_in_transit_value", facts.assets, (facts.ccy,))

    def read(self, readings: Readings) -> Steps:
        """Put what is under way."""
        put, state = self._metrics.put, readings.state
        counts = dict.fromkeys(self._ways, 0)
        for one in state.transfers.values():
            if not one.state.is_terminal:
                way: tuple[str, str, str] = (one.asset, one.source, one.target)
                counts[way] = counts.get(way, 0) + 1
        for between, count in counts.items():
            self._ways[between] = None
            put("arbot_transfers_in_transit", between, count)
        yield
        for transit in transit_lines(state):
            place = (transit.asset, self._ccy)
            if transit.qty and readings.rates(Asset(transit.asset)) is None:
                self._metrics.forget("arbot_transfers_in_transit_value", place)
            else:
                put("arbot_transfers_in_transit_value", place, transit.value)
            put("arbot_transfers_overdue", (transit.asset,), transit.overdue)
            oldest_s = transit.oldest_ts_ns / NS_PER_S
            put("arbot_transfer_oldest_start_timestamp_seconds", (transit.asset,), oldest_s)
            yield

    def _submitted(self, command: SubmitTransfer, _ts_ns: int) -> None:
        self._begun(command.approved.intent)

    def _begun(self, intent: TransferIntent) -> _Known:
        known = self._known[intent.transfer] = _Known(intent)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        make, route = self._metrics.ensure_child, (intent.asset, intent.network)
        for outcome in OUTCOMES:
            make("arbot_transfers_total", (*route, outcome.value))
        make("arbot_transfer_duration_seconds", route)
        make("arbot_fees_total", (intent.source, "withdrawal", intent.asset))
        make("arbot_fees_total", (intent.target, "network", intent.asset))
        self._ways[intent.asset, intent.source, intent.target] = None
        return known

    def _restored(self, event: TransferRestored, _ts_ns: int) -> None:
        known = self._begun(event.intent)
        known.counted = {outcome: None for outcome in OUTCOMES if outcome is event.state}
        known.fee_paid = event.fee_paid
        if event.state is TransferState.CREDITED:
            known.qty_lost = max((event.qty_sent or event.intent.qty) - event.qty_credited, ZERO)

    def _moved(self, moved: TransferMoved, ts_ns: int) -> None:
        known = self._known.get(moved.transfer)
        if known is None:
            return
        intent, add = known.intent, self._metrics.add
        if moved.after in OUTCOMES and moved.after not in known.counted:
            known.counted[moved.after] = None
            add("arbot_transfers_total", (intent.asset, intent.network, moved.after.value))
            if moved.after is TransferState.CREDITED:
                took_s = (ts_ns - intent.requested_ts_ns) / NS_PER_S
                self._metrics.time("arbot_transfer_duration_seconds", (intent.asset, intent.network), took_s)
        add("arbot_fees_total", (intent.source, "withdrawal", intent.asset), moved.fee_paid - known.fee_paid)
        add("arbot_fees_total", (intent.target, "network", intent.asset), moved.qty_lost - known.qty_lost)
        known.fee_paid = max(known.fee_paid, moved.fee_paid)
        known.qty_lost = max(known.qty_lost, moved.qty_lost)
