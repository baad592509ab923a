"""What a metric is made of: its type, its labels, and the bounds of its buckets.

Names, units and labels are those an operator's tools expect, and differ from the house's words where the field's own
differ: `pair` is a symbol, `trade` an arb, `spread` an edge between venues. Label values come from closed sets; an order's
id, an address or a venue's text is never one. `symbol` is on gauges and counters only. Moments are
`_timestamp_seconds`; ages are for the query. `_total` is only on what never falls: profit falls, so it is a gauge. Money
has a label `ccy`, its currency. A histogram of signed values has no sum: two counters beside it keep the money.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram", "stateset", "info"]

SERIES_MAX = 3_000  # of a daemon with four venues and three symbols each; a test and the live check hold it to that


class Metric(NamedTuple):
    """One metric family.

    `buckets` are upper bounds in the metric's unit, for histograms only. A stateset has its own name as a further label,
    whose values are `states`; exactly one of them is 1. `labelsets_max` bounds the label sets: those that come later are
    dropped and counted in arbot_metric_labelsets_dropped_total. `unwatched` says why no panel and no rule uses the
    metric; it is empty where one does.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    states: tuple[str, ...] = ()
    labelsets_max: int = 1_000
    unwatched: str = ""


LABELS: dict[str, str] = {
    "asset": "an asset held or traded, such as BTC",
    "bucket": "a budget of requests as the venue counts it: what it is spent on",
    "buy": "the venue bought at; `best` where there are too many routes for a series each",
    "ccy": "the currency of a sum of money; the reporting currency unless the help says otherwise",
    "channel": "the venue's stream: market or account; of notifications: webhook, telegram, apprise",
    "command": "a verb of the operator's",
    "dst": "the venue an asset is sent to",
    "endpoint": "a group of requests: market, account, orders, transfers",
    "fault": "why a book was dropped",
    "generation": "of the garbage collector: 0, 1, 2",
    "kind": "of a fee: maker, taker, withdrawal, network, funding; of a node: venue, issuer, bank, chain ...",
    "leg": "what an order was for: leg, hedge, unwind, flush, flatten",
    "level": "of a log line",
    "limit": "a limit of the risk engine, as `arbot risk show` names it",
    "liquidity": "maker or taker",
    "mode": "live, paper, demo, record, scan",
    "network": "the chain a transfer goes over",
    "node": "a venue, an issuer, a bank, a chain, as the registry names it",
    "outcome": "how it ended; the help lists the values",
    "pair": "a symbol, such as BTC/USD",
    "purpose": "what an order was for: leg, hedge, unwind, flush, flatten",
    "queue": "work that waits: notify, tape, recorder, page",
    "reason": "why, from the closed set the help names",
    "route": "buying venue>selling venue; `best` where there are too many routes for a series each",
    "scenario": "a stress scenario, as `arbot stress` names it",
    "scope": "of a kill switch: all",
    "sell": "the venue sold at; `best` likewise",
    "severity": "of an alert: info, warning, critical",
    "side": "buy or sell",
    "src": "the venue an asset leaves",
    "state": "the help lists the values",
    "status": "of an answer: 2xx, 3xx, 4xx, 429, 5xx, timeout, lost; of the page: the code it answered with",
    "strategy": "the plug-in that proposes",
    "symbol": "an instrument of that venue, such as BTC/USD",
    "task": "a supervised task: beats bear its whole name, such as venue:kraken; counts what stands before the colon",
    "term": "short or long, as the tax law of the configured country has it",
    "venue": "a configured venue",
    "version": "of arbot",
}
"""Every label there is, and what its values are."""

VENUE_STATES = ("down", "connecting", "reconciling", "live", "quarantined", "maintenance")
"""In the order of the board: nothing answers; a stream is missing; ledger and venue not yet compared; all well; no new arbs
after its own conduct or a person's word; inside an announced window, or in maintenance by its own word."""

CONNECT_REASONS = (
    "first",
    "connect_failed",
    "closed",
    "silent",
    "ack_timeout",
    "refused",
    "sequence_gap",
    "malformed",
)
"""How the connection before was lost, as venues.codec.DropReason has it; `first` for a stream's first connection."""

RESYNC_REASONS = ("gap", "checksum", "crossed", "malformed", "missing", "stale", "refused", "reconnect")
"""Why a book was asked for anew, as venues.codec.ResyncReason has it."""

ENDPOINTS = ("market", "account", "orders", "transfers")
ANSWERS = ("2xx", "3xx", "4xx", "429", "5xx", "timeout", "lost")
"""Groups of requests and classes of answers, as venues.endpoints and venues.rest have them; `lost`: broken off."""

COMMAND_OUTCOMES = ("done", "refused", "denied")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
GENERATIONS = ("0", "1", "2")

MODES = ("paper", "live", "demo")

# Bounds stand where a decision is made: the loop's 5 ms, a leg's deadline, the half second of a stale book.
LATENCY = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 7.5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0)
ROUND_TRIP = (5e-3, 10e-3, 25e-3, 50e-3, 75e-3, 100e-3, 150e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 10.0)
AGE = (1e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.0, 5.0)
LIFETIME = (1e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 15.0, 60.0)
EDGE = (0.0, 1e-4, 2e-4, 5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2)
SIGNED = (-5e-3, -2e-3, -1e-3, -5e-4, -2e-4, -1e-4, 0.0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3)
CAPTURE = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0)
SHARE = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
TRANSFER = (60.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0)
