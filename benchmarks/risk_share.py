"""What the risk evaluation adds to a decision: the same frames with stress budgets, exposures and tails, and without.

The world: 10 venues, 200 instruments with balances of every asset, 50 arbs that stand alone with a residual, 20 transfers in
flight. The books of 50 instruments move: a Kraken and a Coinbase connection, each heard by five venues. Every gate is
passed, every cap is asked, and one (the notional of an arb) then declines, so that the state stays as it is. The table of
exposures is built anew once every REBUILD_EVERY wakes, as balances and fills would have it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import msgspec
import numpy as np
from seeded_frames import BASES, SeededMarket, instrument

from arbot.domain.decisions import ArbState, OpportunityDeclined, Reason
from arbot.domain.events import (
    AccountSnapshotReceived,
    BooksMoved,
    ClockSkewMeasured,
    Envelope,
    Event,
    FeedConnected,
    FeesLoaded,
    InstrumentsLoaded,
    ReconciliationEnded,
    Stream,
)
from arbot.domain.ids import ArbId, Asset, InstrumentId, VenueId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.transfer import Network, TransferId, TransferIntent, TransferState
from arbot.domain.units import ZERO
from arbot.engine import detector
from arbot.engine.config import EngineConfig, RiskLimits
from arbot.engine.engine import Engine
from arbot.engine.risk import approve, caps
from arbot.engine.state import Arb, Transfer
from arbot.market.books import Books
from arbot.market.screen import CLEARS
from arbot.settings.registry import shipped
from arbot.venues.codec import StreamStats
from arbot.venues.coinbase.codec import CoinbaseMarketCodec
from arbot.venues.kraken.codec import KrakenMarketCodec
from strategies.cross_venue import CrossVenue

COPIES, MORE_BASES, OPEN, IN_FLIGHT = 5, 15, 50, 20
CODECS = {"kraken": KrakenMarketCodec, "coinbase": CoinbaseMarketCodec}
DEPTHS = {"kraken": 100, "coinbase": 0}
TAKER = Decimal("0.0005")
EDGE_NET_BPS_MIN = Decimal(1)
START_NS = 1_763_631_000_000_000_000
REBUILD_EVERY = 50
RISK_CAPS = (caps.exposure, caps.stress_budget)
LIMITS = RiskLimits(
    notional_per_arb_max=Decimal("0.0001"), arbs_open_max=100, edge_gross_bps_max=Decimal(5_000),
    book_age_recv_ms_max=10**9, book_age_venue_ms_max=10**9, book_skew_ms_max=10**9, clock_skew_ms_max=10**9,
    net_delta_notional_max=Decimal(10**9), inventory_notional_max=Decimal(10**9),
)  # fmt: skip


class Fleet:
    """Ten venues with books of their own, and an engine over them."""

    def __init__(self) -> None:
        self.books, self.known = Books(), dict[VenueId, list[Instrument]]()
        self.books.set_edge_min(EDGE_NET_BPS_MIN)
        self._codecs: dict[str, list] = {kind: [] for kind in CODECS}
        for kind, codec in CODECS.items():
            for copy in range(COPIES):
                venue = VenueId(f"{kind}-{copy}")
                mine = [_renamed(instrument(kind, base), venue, base) for base in BASES]
                for one in mine:
                    self.books.set_taker_rate(self.books.add(one, DEPTHS[kind]), TAKER)
                self._codecs[kind].append(codec(mine, self.books, StreamStats()))
                still = [_renamed(instrument(kind, BASES[0]), venue, f"C{number}") for number in range(MORE_BASES)]
                self.known[venue] = mine + still
                for one in still:
                    self.books.add(one, DEPTHS[kind])
        self.wakes = self.reached = 0
        self.engine = self._engine()
        self._is_open = False

    def _engine(self) -> Engine:
        instruments = tuple(one for those in self.known.values() for one in those)
        config = EngineConfig(
            ccy=Asset("USD"), venues=tuple(self.known), instruments=tuple(one.id for one in instruments), limits=LIMITS,
            registry=shipped(),
        )  # fmt: skip
        engine = Engine(config, CrossVenue({"edge_net_bps_min": str(EDGE_NET_BPS_MIN)}), self.books)
        for venue, those in self.known.items():
            held = [Balance(asset=one.base, total=Decimal(10)) for one in those]
            events: tuple[Event, ...] = (
                InstrumentsLoaded(venue=venue, instruments=tuple(those)),
                FeesLoaded(
                    venue=venue, fees=tuple(FeeRate(instrument=one.id, maker=TAKER, taker=TAKER) for one in those)
                ),
                AccountSnapshotReceived(
                    venue=venue, balances=(*held, Balance(asset=Asset("USD"), total=Decimal(10**6)))
                ),
                ClockSkewMeasured(venue=venue, skew_ms=0, rtt_ms=1),
                FeedConnected(venue=venue, stream=Stream.MARKET),
                FeedConnected(venue=venue, stream=Stream.ACCOUNT),
                ReconciliationEnded(venue=venue, differences=0),
            )
            for event in events:
                engine.step(Envelope(0, START_NS, event))
        return engine

    def expose(self) -> None:
        """Open the arbs and send the transfers, once the books are there to price them."""
        state, venues = self.engine.state, list(self.known)
        state.note_rates()
        for one in state.assets:
            state.last_rate.setdefault(one, Decimal(1_000))
        for number in range(OPEN):
            buy, sell = (self.known[venues[(number + step) % len(venues)]][number % len(BASES)] for step in (0, 1))
            arb = Arb(
                id=ArbId(f"9-{number}"), number=number, buy=buy.id, sell=sell.id, base=buy.base, quote=buy.quote,
                qty=Decimal(1), buy_price=Decimal(1_000), sell_price=Decimal(1_000), opened_ts_ns=START_NS,
                state=ArbState.ONE_SIDED, residual_in=Decimal("0.01"),
            )  # fmt: skip
            state.arbs[arb.id] = state.unfinished[arb.id] = arb
        for number in range(IN_FLIGHT):
            source, target = venues[number % len(venues)], venues[(number + 1) % len(venues)]
            intent = TransferIntent(
                transfer=TransferId(f"9-t{number}"), source=source, target=target, asset=Asset("BTC"),
                network=Network("bitcoin"), address="a", qty=Decimal("0.01"), requested_ts_ns=START_NS, actor="benchmark",
            )  # fmt: skip
            sent = Transfer(
                intent=intent, state=TransferState.BROADCAST, since_ns=START_NS, requested_ts_ns=START_NS,
                qty_sent=intent.qty, debited=intent.qty,
            )  # fmt: skip
            state.transfers[sent.id] = state.unsettled[sent.id] = sent
        state.version += 1

    def hear(self, kind: str, frame: bytes, spent: list[tuple[int, bool]]) -> None:
        """Let all venues of a kind hear a frame, and note for each the ns it took and whether the engine woke."""
        clock, screen = time.perf_counter_ns, self.books.screen
        for codec in self._codecs[kind]:
            before, woke = clock(), False
            for book in codec.decode(frame, START_NS).moved:
                if screen(book) == CLEARS:
                    woke = True
                    self._decide(book)
            spent.append((clock() - before, woke))

    def _decide(self, book: int) -> None:
        self.wakes += 1
        if self.wakes % REBUILD_EVERY == 0:
            self.engine.state.version += 1
        event = BooksMoved(instruments=(self.books.instrument(book).id,))
        for decision in self.engine.step(Envelope(self.wakes, START_NS, event)).decisions:
            asked = isinstance(decision, OpportunityDeclined) and decision.reason is Reason.NOTIONAL_PER_ARB
            self.reached += asked


def _renamed(one: Instrument, venue: VenueId, base: str) -> Instrument:
    symbol = f"{base}/USD"
    changed = {"id": InstrumentId(f"{symbol}@{venue}"), "venue": venue, "symbol": symbol, "base": Asset(base)}
    changed["qty_min"] = Decimal("0.001")  # more than LIMITS allow
    if base not in BASES:
        changed["venue_symbol"] = symbol
    return msgspec.structs.replace(one, **changed)


@contextmanager
def without_risk() -> Iterator[None]:
    """Ask neither for exposures, budgets nor tails."""
    kept, tail = approve.CAPS, detector.route_tail_bps
    approve.CAPS = tuple(cap for cap in kept if cap not in RISK_CAPS)
    detector.route_tail_bps = lambda *_: ZERO
    try:
        yield
    finally:
        approve.CAPS, detector.route_tail_bps = kept, tail


def measured(seed: int, count: int) -> list[dict]:
    """Return the p50 in us with and without, of every frame and of those on which the engine woke, and their ratios."""
    fleets = {"with": Fleet(), "without": Fleet()}
    spent: dict[str, list[tuple[int, bool]]] = {name: [] for name in fleets}
    frames = list(SeededMarket(seed, len(BASES)).frames(count))
    snapshots = len(frames) - count
    for fleet in fleets.values():
        for kind, frame in frames[:snapshots]:
            fleet.hear(kind, frame, [])
        fleet.expose()
        fleet.wakes = fleet.reached = 0
    for turn, (kind, frame) in enumerate(frames[snapshots:]):  # in turns, so that load on the machine hits both alike
        for name in ("with", "without") if turn % 2 else ("without", "with"):
            if name == "with":
                fleets[name].hear(kind, frame, spent[name])
            else:
                with without_risk():
                    fleets[name].hear(kind, frame, spent[name])
    rows = []
    for label, only_woken in (("every frame", False), ("frames on which the engine wakes", True)):
        p50 = {
            name: float(np.median([ns for ns, woke in those if woke or not only_woken])) / 1000
            for name, those in spent.items()
        }
        rows.append(
            {
                "frames": label,
                "count": sum(1 for _, woke in spent["with"] if woke or not only_woken),
                "all caps asked": fleets["with"].reached,
                "with_p50_us": round(p50["with"], 2),
                "without_p50_us": round(p50["without"], 2),
                "ratio": round(p50["with"] / p50["without"], 3),
            }
        )
    return rows
