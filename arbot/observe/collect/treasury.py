"""Balances, transfers, exposures, profit."""

from __future__ import annotations

from arbot.domain.commands import SubmitTransfer
from arbot.domain.decisions import Reason, TransferMoved, TransferRefused
from arbot.domain.events import TransferRestored
from arbot.domain.registry import NodeKind
from arbot.domain.transfer import TransferId, TransferIntent, TransferState
from arbot.engine.risk.exposure import cap_lines
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.watched import transit_lines

OUTCOMES = (TransferState.CREDITED, TransferState.FAILED, TransferState.STUCK)


class Treasury:
    """Counts transfers; puts balances, exposures and profit."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._facts = facts
        self.events: OnEvent = {TransferRestored: lambda event, _: self._begun(event.intent)}
        self._known: dict[TransferId, tuple[str, str]] = {}  # asset and network of those under way
        self.commands: OnEvent = {SubmitTransfer: lambda command, _: self._begun(command.approved.intent)}
        self.decisions: OnDecision = {
            TransferMoved: self._transfer_moved,
            TransferRefused: lambda d, _: metrics.add("arbot_transfers_refused_total", (d.reason.value,)),
        }
        metrics.ensure_children("arbot_transfers_refused_total", Reason)
        metrics.ensure_children("arbot_reconciliation_breaks", facts.venues)

    def read(self, readings: Readings) -> Steps:
        """Put what stands where."""
        yield from self._read_balances(readings)
        self._read_transit(readings)
        yield
        self._read_exposure(readings)
        yield
        self._read_profit(readings)

    def _read_balances(self, readings: Readings) -> Steps:
        put, state = self._metrics.put, readings.state
        for name, venue in state.venues.items():
            put("arbot_reconciliation_breaks", (name,), len(venue.differences))
            for asset, total in venue.totals.items():
                locked = state.reserved(name, asset)
                put("arbot_balance", (name, asset, "free"), total - locked)
                put("arbot_balance", (name, asset, "locked"), locked)
            yield
        for asset in dict.fromkeys(one.base for one in state.instruments.values()):
            put("arbot_net_delta", (asset,), state.net_delta(asset))

    def _read_transit(self, readings: Readings) -> None:
        put, ccy = self._metrics.put, self._facts.ccy
        for transit in transit_lines(readings.state):
            put("arbot_transfers_in_transit_value", (transit.asset, ccy), transit.value)
            put("arbot_transfers_overdue", (transit.asset,), transit.overdue)
            oldest_s = transit.oldest_ts_ns / NS_PER_S
            put("arbot_transfer_oldest_start_timestamp_seconds", (transit.asset,), oldest_s)

    def _read_exposure(self, readings: Readings) -> None:
        put, ccy = self._metrics.put, self._facts.ccy
        for line in cap_lines(readings.state):
            kind, node = line.node[0], line.node[1]
            if kind is NodeKind.VENUE:
                name, labels = "arbot_counterparty_exposure", (node, ccy)
            else:
                name, labels = "arbot_exposure", (kind.value, node, ccy)
            put(name, labels, line.value)
            if line.limit is not None:
                put(f"{name}_limit", labels, line.limit)

    def _read_profit(self, readings: Readings) -> None:
        put, ccy, standing = self._metrics.put, self._facts.ccy, readings.state.standing
        totals = readings.summary.totals(readings.now_ns)
        strategy = (self._facts.strategy, ccy)
        put("arbot_pnl_gross", strategy, totals.pnl_gross)
        put("arbot_pnl_net", strategy, totals.pnl_net)
        put("arbot_realised", (ccy,), standing.realised_total)
        put("arbot_realised_day", (ccy,), standing.realised_day)

    def _begun(self, intent: TransferIntent) -> None:
        self._known[intent.transfer] = (intent.asset, intent.network)
        for outcome in OUTCOMES:
            self._metrics.ensure_child("arbot_transfers_total", (intent.asset, intent.network, outcome.value))

    def _transfer_moved(self, moved: TransferMoved, _ts_ns: int) -> None:
        if moved.after in OUTCOMES and moved.transfer in self._known:
            self._metrics.add("arbot_transfers_total", (*self._known[moved.transfer], moved.after.value))
        if moved.after.is_terminal:
            self._known.pop(moved.transfer, None)
