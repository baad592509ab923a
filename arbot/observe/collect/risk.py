"""Limits, switches, and what each penny can cost."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import LimitLatched
from arbot.domain.registry import NodeKind
from arbot.engine.risk.losses import loss_open
from arbot.engine.risk.stress import SCENARIOS, stress_lines
from arbot.observe.collect.words import BEST, OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import Metrics
from arbot.observe.risk import pennies_rows, tails_told
from arbot.observe.status import limits_in_use
from arbot.observe.watched import peg_lines

_BPS = Decimal(10_000)
LATCHING = ("loss_day", "drawdown")
LIMITS = (
    "arbs_open",
    "inventory",
    "net_delta",
    "counterparty_share",
    "order_rate",
    *LATCHING,
    "reject_share",
    "unanswered_share",
    "peg_band",
    "stress_budget",
    *(f"{kind}_exposure" for kind in NodeKind if kind is not NodeKind.VENUE),  # a venue's is counterparty_share
)
SCOPE = ("all",)


class Risk:
    """Counts latches and alerts; puts the use of limits, switches and stress."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._facts = facts
        self.events: OnEvent = {}
        self.decisions: OnDecision = {
            LimitLatched: lambda d, _: metrics.add("arbot_risk_limit_breaches_total", (d.limit,)),
        }
        self.commands: OnEvent = {
            RaiseAlert: lambda alert, _: metrics.add("arbot_alerts_total", (alert.severity.value,)),
        }
        make = metrics.ensure_children
        make("arbot_risk_limit_used_ratio", LIMITS)
        make("arbot_limit_latched", LATCHING)
        make("arbot_risk_limit_breaches_total", LIMITS)
        make("arbot_kill_switch_engaged", SCOPE)
        make("arbot_trading_enabled", (facts.strategy,))
        make("arbot_alerts_total", Severity)

    def read(self, readings: Readings) -> Steps:
        """Put switches, limits, pegs and stress."""
        put, state, standing = self._metrics.put, readings.state, readings.state.standing
        put("arbot_kill_switch_engaged", SCOPE, standing.killed)
        put("arbot_paused", (), standing.paused or standing.halted)
        put("arbot_trading_enabled", (self._facts.strategy,), readings.recent.may_open)
        for limit in limits_in_use(state, readings.now_ns, readings.rates):
            put("arbot_risk_limit_used_ratio", (limit.limit,), limit.share)
        for name in LATCHING:
            put("arbot_limit_latched", (name,), name in standing.latched)
        yield
        for peg in peg_lines(state):
            put("arbot_stablecoin_price_ratio", (peg.asset,), peg.rate)
            put("arbot_stablecoin_off_peg", (peg.asset,), peg.is_off)
        self._read_stress(readings)
        yield
        yield from self._read_tails(readings)

    def _read_stress(self, readings: Readings) -> None:
        put, ccy = self._metrics.put, self._facts.ccy
        put("arbot_loss_open", (ccy,), loss_open(readings.state))
        rows = tuple(stress_lines(readings.state))
        for scenario in SCENARIOS:
            worst = max((row for row in rows if row.scenario == scenario.name), key=lambda row: row.loss, default=None)
            if worst is not None:
                put("arbot_stress_loss", (scenario.name, ccy), worst.loss)
                put("arbot_stress_budget", (scenario.name, ccy), worst.budget)

    def _read_tails(self, readings: Readings) -> Steps:
        put = self._metrics.put
        for pennies in pennies_rows(readings.state):
            put("arbot_pennies_per_steamroller_ratio", (pennies.buy_venue, pennies.sell_venue), pennies.ratio)
        for tail in tails_told(readings.state):
            symbol, _, buy = tail.buy.rpartition("@")
            sell = tail.sell.rpartition("@")[2]
            venues = (buy, sell) if self._facts.has_routes_to_tell else (BEST, BEST)
            put("arbot_tail_ratio", (*venues, symbol), tail.tail_bps / _BPS)
            yield
