"""What the risk engine believes and counts now, as plain rows: behind GET /risk and `arbot risk show`.

It reads the state like the status does. Money in the reporting currency, costs in bps of notional, delays in ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.book import BookState, Level
from arbot.domain.events import LegEvidence
from arbot.domain.ids import Asset, InstrumentId, VenueId, instrument_id
from arbot.domain.order import Side
from arbot.domain.units import ZERO, div
from arbot.engine.config import EngineConfig
from arbot.engine.risk.evidence import believed
from arbot.engine.risk.exposure import cap_lines, table_of
from arbot.engine.risk.losses import loss_open
from arbot.engine.risk.stress import SCENARIOS, stress_lines
from arbot.engine.risk.tail import Listed, tail_bps
from arbot.engine.state import State
from arbot.observe.edges import best_routes, has_routes_to_tell
from arbot.observe.slices import Look, at_once, gathered

EVIDENCE_A_SLICE = 20


class EvidenceLine(msgspec.Struct, frozen=True, kw_only=True):
    """Legs at one instrument: what was believed before the first one, and what is believed now."""

    instrument: str
    legs: Decimal  # seen, those of long ago counting less
    fail_prior: Decimal
    fail: Decimal
    unwind_bps_prior: Decimal
    unwind_bps: Decimal
    latency_ms_prior: Decimal
    latency_ms: Decimal


class TailLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a route's edge has to pay for its tail, on top of fees and the strategy's minimum."""

    buy: str
    sell: str
    tail_bps: Decimal


class StressRow(msgspec.Struct, frozen=True, kw_only=True):
    """A disaster at one node: what it would cost now, and what it may cost."""

    scenario: str
    words: str
    node: str
    loss: Decimal
    budget: Decimal


class ExposureRow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on one node. `limit` is None where no cap applies: see [[share_max]] in the registry."""

    kind: str
    node: str
    value: Decimal
    limit: Decimal | None


class PenniesRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the arbs of a pair of venues were expected to earn, against what they put under the steamroller; of this run."""

    buy_venue: str
    sell_venue: str
    arbs: int
    expected: Decimal
    stress_loss: Decimal
    ratio: Decimal  # zero without an arb


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `unpriced` are assets held without a price: while there are any, nothing is opened.

    `tails` are of every route, or, where there are too many to tell, of each market's best one now.
    """

    ccy: str
    capital: Decimal
    loss_open: Decimal  # of residuals that are open now
    unpriced: tuple[str, ...]
    evidence: tuple[EvidenceLine, ...]
    tails: tuple[TailLine, ...]
    stress: tuple[StressRow, ...]
    exposures: tuple[ExposureRow, ...]
    pennies: tuple[PenniesRow, ...]


def risk_view(state: State) -> RiskView:
    """Return what the engine counts at this moment, all at once."""
    return at_once(look_at_risk(state))


def look_at_risk(state: State) -> Look[RiskView]:
    """Look at what the engine counts, in slices."""
    evidence = yield from gathered(evidence_lines(state), EVIDENCE_A_SLICE)
    tails = yield from gathered(tails_told(state), 1)
    table = table_of(state)
    words = {one.name: one.words for one in SCENARIOS}
    return RiskView(
        ccy=state.config.ccy,
        capital=table.whole,
        loss_open=loss_open(state),
        unpriced=table.unpriced,
        evidence=evidence,
        tails=tails,
        stress=tuple(
            StressRow(scenario=row.scenario, words=words[row.scenario], node=row.node, loss=row.loss, budget=row.budget)
            for row in stress_lines(state)
        ),
        exposures=tuple(
            ExposureRow(kind=line.node[0].value, node=line.node[1], value=line.value, limit=line.limit)
            for line in cap_lines(state)
        ),
        pennies=tuple(pennies_rows(state)),
    )


def evidence_lines(state: State) -> Iterator[EvidenceLine]:
    """Yield every configured instrument, and any other that has evidence, with prior and posterior."""
    risk = state.config.risk
    for instrument in dict.fromkeys((*state.config.instruments, *state.evidence)):
        nothing = LegEvidence(instrument=instrument)
        before, now = believed(risk, nothing), believed(risk, state.evidence.get(instrument, nothing))
        yield EvidenceLine(
            instrument=instrument,
            legs=now.legs,
            fail_prior=before.fail,
            fail=now.fail,
            unwind_bps_prior=before.unwind_bps,
            unwind_bps=now.unwind_bps,
            latency_ms_prior=before.latency_ms,
            latency_ms=now.latency_ms,
        )


def tails_told(state: State) -> Iterator[TailLine]:
    """Yield every route while there are few, else the route of each market with the best edge now: see edges.py."""
    if has_routes_to_tell(state):
        yield from tail_lines(state, tuple(state.instruments.values()))
        return
    for (buy, _), (sell, _) in best_routes(state):
        yield TailLine(buy=buy.id, sell=sell.id, tail_bps=tail_bps(state, (buy, Side.BUY), (sell, Side.SELL)))


def tail_lines(state: State, listed: Sequence[Listed]) -> Iterator[TailLine]:
    """Yield every route between instruments of one base and quote."""
    markets: dict[tuple[Asset, Asset], list[Listed]] = {}
    for one in listed:
        markets.setdefault((one.base, one.quote), []).append(one)
    for buy in listed:
        for sell in markets[buy.base, buy.quote]:
            if buy.venue != sell.venue:
                tail = tail_bps(state, (buy, Side.BUY), (sell, Side.SELL))
                yield TailLine(buy=buy.id, sell=sell.id, tail_bps=tail)


def pennies_rows(state: State) -> Iterator[PenniesRow]:
    """Yield every pair of venues between which this run opened an arb."""
    for (buy, sell), row in state.pennies.items():
        ratio = div(row.expected, row.stress_loss) if row.stress_loss else ZERO
        yield PenniesRow(
            buy_venue=buy,
            sell_venue=sell,
            arbs=row.arbs,
            expected=row.expected,
            stress_loss=row.stress_loss,
            ratio=ratio.quantize(Decimal("0.000001")),
        )


class Listing(NamedTuple):
    """An instrument as the config names it: enough to tell its tail."""

    id: InstrumentId
    venue: VenueId
    base: Asset
    quote: Asset


class NoBooks:
    """A MarketView without a book: of a run that is over."""

    def state(self, _instrument: InstrumentId) -> BookState:
        """Return that it is not valid."""
        return BookState(False, 0, 0)

    def best(self, _instrument: InstrumentId, _side: Side) -> Level | None:
        """Return nothing."""
        return None

    def levels(self, _instrument: InstrumentId, _side: Side, _depth: int) -> tuple[Level, ...]:
        """Return nothing."""
        return ()


def remembered(
    config: EngineConfig, symbols: Iterable[tuple[VenueId, str]], evidence: Iterable[LegEvidence]
) -> RiskView:
    """Return what can be said without books: the evidence of a run that is over, and the tails that follow from it."""
    state = State(config, NoBooks())
    state.evidence = {one.instrument: one for one in evidence}
    listed = []
    for venue, symbol in symbols:
        base, quote = symbol.split("/")
        listed.append(Listing(instrument_id(symbol, venue), venue, Asset(base), Asset(quote)))
    return RiskView(
        ccy=config.ccy,
        capital=ZERO,
        loss_open=ZERO,
        unpriced=(),
        evidence=tuple(evidence_lines(state)),
        tails=tuple(tail_lines(state, listed)),
        stress=(),
        exposures=(),
        pennies=(),
    )
