"""Limits, switches, and what each penny can cost.

Rules of this file:
- A breach of a limit is an opportunity that was declined for it, or a latch: it stops everything until a person resets it.
  What is declined while a latch holds counts for the limit that latched.
- The kill switch trips when it is engaged and was not before. `operator` is who asks this daemon, `outside` who threw it in
  the store beside a running daemon. One that is found engaged at the start did not trip in this run.
- `arbot_trading_blocked` has a series for each reason that stops every arb; one that stops a single route is a decline.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import LimitLatched, OpportunityDeclined, Reason
from arbot.domain.events import OperatorRequested, StandingRestored, Verb
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
TRIPPED_BY = ("operator", "outside")
KILL_WATCH_ACTOR = "kill switch"  # who speaks for the store: runtime/daemon.py
LIMIT_OF = {reason: reason.value for reason in Reason if reason.value in LIMITS} | {Reason.DEPEGGED: "peg_band"}
"""The limit behind a reason for which a route is declined."""

BLOCKS = (
    Reason.KILLED,
    *(Reason(limit) for limit in LATCHING),
    Reason.DRAINING,
    Reason.PAUSED,
    Reason.STRANDED,
    Reason.VENUE_NOT_READY,
    Reason.NOT_RECONCILED,
    Reason.VENUE_QUARANTINED,
)
"""Every reason of the engine's for opening nothing at all."""


class Risk:
    """Counts latches and alerts; puts the use of limits, switches and stress."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._facts = facts
        self._is_killed = False
        self.events: OnEvent = {OperatorRequested: self._asked, StandingRestored: self._restored}
        self.decisions: OnDecision = {
            LimitLatched: lambda d, _: metrics.add("arbot_risk_limit_breaches_total", (d.limit,)),
            OpportunityDeclined: self._declined,
        }
        self.commands: OnEvent = {
            RaiseAlert: lambda alert, _: metrics.add("arbot_alerts_total", (alert.severity.value,)),
        }
        make = metrics.ensure_children
        make("arbot_risk_limit_used_ratio", LIMITS)
        make("arbot_limit_latched", LATCHING)
        make("arbot_risk_limit_breaches_total", LIMITS)
        make("arbot_kill_switch_engaged", SCOPE)
        make("arbot_kill_switch_trips_total", SCOPE, TRIPPED_BY)
        make("arbot_trading_blocked", BLOCKS)
        make("arbot_trading_enabled", (facts.strategy,))
        make("arbot_alerts_total", Severity)

    def read(self, readings: Readings) -> Steps:
        """Put switches, limits, pegs and stress."""
        put, state, standing = self._metrics.put, readings.state, readings.state.standing
        put("arbot_kill_switch_engaged", SCOPE, standing.killed)
        put("arbot_paused", (), standing.paused or standing.halted)
        put("arbot_trading_enabled", (self._facts.strategy,), readings.recent.may_open)
        for reason in BLOCKS:
            put("arbot_trading_blocked", (reason.value,), reason.value in readings.recent.reasons)
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

    def _declined(self, declined: OpportunityDeclined, _ts_ns: int) -> None:
        if declined.reason in LIMIT_OF:
            self._metrics.add("arbot_risk_limit_breaches_total", (LIMIT_OF[declined.reason],))

    def _restored(self, standing: StandingRestored, _ts_ns: int) -> None:
        self._is_killed = standing.killed

    def _asked(self, event: OperatorRequested, _ts_ns: int) -> None:
        if event.verb is Verb.KILL and not self._is_killed:
            by = "outside" if event.actor == KILL_WATCH_ACTOR else "operator"
            self._metrics.add("arbot_kill_switch_trips_total", (*SCOPE, by))
        if event.verb in (Verb.KILL, Verb.UNKILL):
            self._is_killed = event.verb is Verb.KILL

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
