"""Balances, exposures, profit: what is held, where, and what it is worth.

Rules of this file:
- A gauge that cannot be told is absent, never zero and never old: the value of what has no price, equity as long as anything
  held or under way has none or a venue has not told its balances, the drawdown as long as there is no equity, a cap while the
  capital has no price. Counts of things do not need a price and are always there.
- Equity and deviations are those of observe/worth.py, which the page shows too. What is held and not traded has a balance
  and no part in equity.
- What a venue owes us is what the company behind it owes us: venues of one company are capped together, and each of them
  tells the whole.
- Values are by the books of this moment, all by the same rates, read a few at a time just before.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.registry import NodeKind
from arbot.domain.units import ZERO, div
from arbot.engine.risk.exposure import cap_lines, table_of
from arbot.engine.state import State
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import Metrics
from arbot.observe.rates import Rates
from arbot.observe.worth import Wanted, equity_of, worth

DELTAS_AT_ONCE = 10
LIMITS = {
    "arbot_counterparty_exposure": "arbot_counterparty_exposure_limit",
    "arbot_exposure": "arbot_exposure_limit",
}


class Treasury:
    """Puts balances, exposures and profit."""

    def __init__(self, metrics: Metrics, facts: RunFacts, _state: State) -> None:
        self._metrics = metrics
        self._facts = facts
        self._capped: dict[tuple[str, tuple[str, ...]], None] = {}  # exposures that were put, by name and labels
        self.events: OnEvent = {}
        self.decisions: OnDecision = {}
        self.commands: OnEvent = {}
        make, strategy = metrics.ensure_children, (facts.strategy,)
        make("arbot_net_delta", facts.assets)
        make("arbot_reconciliation_breaks", facts.venues)
        make("arbot_pnl_gross", strategy, (facts.ccy,))
        make("arbot_pnl_net", strategy, (facts.ccy,))
        make("arbot_realised", (facts.ccy,))
        make("arbot_realised_day", (facts.ccy,))
        metrics.forget("arbot_drawdown_ratio", ())

    def read(self, readings: Readings) -> Steps:
        """Put what stands where."""
        state, rates = readings.state, readings.rates
        yield from self._read_balances(state, rates)
        self._read_equity(state, rates)
        yield
        yield from self._read_deviations(state)
        self._read_exposure(state)
        yield
        self._read_profit(readings)
        yield

    def _put_or_forget(self, name: str, labels: tuple[str, ...], value: Decimal | None) -> None:
        if value is None:
            self._metrics.forget(name, labels)
        else:
            self._metrics.put(name, labels, value)

    # --- what is held ---------------------------------------------------------------------------------------------------

    def _read_balances(self, state: State, rates: Rates) -> Steps:
        put, ccy = self._metrics.put, self._facts.ccy
        for name, venue in tuple(state.venues.items()):
            put("arbot_reconciliation_breaks", (name,), len(venue.differences))
            for asset, total in venue.totals.items():
                locked = state.reserved(name, asset)
                put("arbot_balance", (name, asset, "free"), total - locked)
                put("arbot_balance", (name, asset, "locked"), locked)
                self._put_or_forget("arbot_balance_value", (name, asset, ccy), worth(rates, asset, total))
            yield
        for count, asset in enumerate(dict.fromkeys(one.base for one in state.instruments.values()), 1):
            put("arbot_net_delta", (asset,), state.net_delta(asset))
            if count % DELTAS_AT_ONCE == 0:
                yield

    def _read_equity(self, state: State, rates: Rates) -> None:
        """Put the worth of everything, or nothing while it is not known."""
        standing = state.standing
        equity = equity_of(state, rates)
        self._put_or_forget("arbot_equity", (self._facts.ccy,), equity)
        fall = standing.realised_peak - standing.realised_total
        self._put_or_forget(
            "arbot_drawdown_ratio", (), div(fall, equity) if equity is not None and equity > 0 else None
        )

    def _read_deviations(self, state: State) -> Steps:
        """Put how far each venue is from the share that is wanted there of an asset it trades."""
        wanted = Wanted(state, self._facts.shares)
        yield from wanted.ask()
        for asset, venues in wanted.by_asset.items():
            for venue in venues:
                told = wanted.deviation(venue, asset)
                self._put_or_forget("arbot_inventory_deviation_ratio", (venue, asset), told)
            yield

    # --- what stands on whom --------------------------------------------------------------------------------------------

    def _read_exposure(self, state: State) -> None:
        ccy, is_priced = self._facts.ccy, not table_of(state).unpriced
        present: dict[tuple[str, tuple[str, ...]], tuple[Decimal, Decimal | None]] = {}
        venues: dict[str, list[str]] = {}  # of each company that runs one
        for venue in state.config.venues:
            venues.setdefault(state.config.registry.venue(venue).entity or venue, []).append(venue)
        for line in cap_lines(state):
            kind, node = line.node[0], line.node[1]
            told = (line.value, line.limit if is_priced else None)
            if kind is NodeKind.VENUE and node in venues:
                present.update({("arbot_counterparty_exposure", (venue, ccy)): told for venue in venues[node]})
            else:
                present["arbot_exposure", (kind.value, node, ccy)] = told
        for place in self._capped:
            present.setdefault(place, (ZERO, None))  # nothing stands there any more
        for (name, labels), (value, limit) in present.items():
            self._capped[name, labels] = None
            self._metrics.put(name, labels, value)
            self._put_or_forget(LIMITS[name], labels, limit)

    def _read_profit(self, readings: Readings) -> None:
        put, ccy, standing = self._metrics.put, self._facts.ccy, readings.state.standing
        totals = readings.summary.totals(readings.now_ns)
        strategy = (self._facts.strategy, ccy)
        put("arbot_pnl_gross", strategy, totals.pnl_gross)
        put("arbot_pnl_net", strategy, totals.pnl_net)
        put("arbot_realised", (ccy,), standing.realised_total)
        put("arbot_realised_day", (ccy,), standing.realised_day)
