"""What the risk evaluation adds to a decision: the same frames with all of it, and without.

All of it are the caps on exposures and stress losses, the tails, and the gates on venues' health, maintenance, withdrawals,
pegs, transfers and news. The world: 10 venues that tell their networks and a maintenance to come, 200 instruments with
balances of every asset, 50 arbs that stand alone with a residual, 20 transfers in flight of which some are stuck, a gap that
was news. The books of 50 instruments move: a Kraken and a Coinbase connection, each heard by five venues. Every gate is
passed, every cap is asked, and one (the notional of an arb) then declines, so that the state stays as it is. The table of
exposures is built anew once every REBUILD_EVERY wakes, as balances and fills would have it.

Both engines hear each frame, in turns. Measured is the processor time of this thread, which others on the machine do not
lengthen as they do wall time; told is the median over ROUNDS of the ratio of the two p50, each of its share of the frames.
"""

from __future__ import annotations

import random
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
    NetworksReported,
    ReconciliationEnded,
    Stream,
    VenueStatusReported,
)
from arbot.domain.ids import ArbId, Asset, InstrumentId, VenueId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.transfer import (
    MaintenanceWindow,
    Network,
    NetworkTerms,
    TransferId,
    TransferIntent,
    TransferState,
    VenueStatus,
)
from arbot.domain.units import ZERO
from arbot.engine import detector
from arbot.engine.config import EngineConfig, RiskLimits, RiskPolicy
from arbot.engine.engine import Engine
from arbot.engine.risk import approve, caps, gates
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
ROUNDS = 15
RISK_CAPS = (caps.exposure, caps.stress_budget)
RISK_GATES = (
    gates.tail_paid, gates.venues_healthy, gates.no_maintenance, gates.pegs_hold, gates.money_can_leave,
    gates.transfer_overdue, gates.not_news,
)  # fmt: skip
FREE = RiskPolicy(tail_price=ZERO, unwind_bps_prior=ZERO)  # tails are asked for and come to nothing: both decide alike
LATER = MaintenanceWindow(from_ns=START_NS + 86_400_000_000_000, until_ns=START_NS + 90_000_000_000_000)
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
            registry=shipped(), risk=FREE,
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
                NetworksReported(
                    venue=venue, networks=tuple(_open(asset) for asset in (*(one.base for one in those), Asset("USD")))
                ),
                VenueStatusReported(venue=venue, status=VenueStatus.ONLINE, windows=(LATER,)),
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
                transfer=TransferId(f"9-t{number}"), source=source, target=target, asset=Asset("C0" if number % 5 == 0 else "BTC"),
                network=Network("bitcoin"), address="a", qty=Decimal("0.01"), requested_ts_ns=START_NS, actor="benchmark",
            )  # fmt: skip
            sent = Transfer(
                intent=intent, state=TransferState.STUCK if number % 5 == 0 else TransferState.BROADCAST, since_ns=START_NS,
                requested_ts_ns=START_NS, tx_id="x",
                qty_sent=intent.qty, debited=intent.qty,
            )  # fmt: skip
            state.transfers[sent.id] = state.unsettled[sent.id] = sent
        first, second = (self.known[venues[step]][-1].id for step in (0, 1))
        state.news[first, second] = START_NS
        state.version += 1

    def hear(self, kind: str, frame: bytes, spent: list[tuple[int, bool]]) -> None:
        """Let all venues of a kind hear a frame, and note for each the ns it took and whether the engine woke."""
        clock, screen = time.thread_time_ns, self.books.screen
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
    """Ask neither for exposures, budgets, tails nor for what RISK_GATES look at."""
    kept, asked, tail = approve.CAPS, approve.GATES, detector.route_tail_bps
    approve.CAPS = tuple(cap for cap in kept if cap not in RISK_CAPS)
    approve.GATES = tuple(gate for gate in asked if gate not in RISK_GATES)
    detector.route_tail_bps = lambda *_: ZERO
    try:
        yield
    finally:
        approve.CAPS, approve.GATES, detector.route_tail_bps = kept, asked, tail


def measured(seed: int, count: int) -> list[dict]:
    """Return a row for every frame and one for those on which the engine woke."""
    fleets = {"with": Fleet(), "without": Fleet()}
    spent: dict[str, list[tuple[int, bool]]] = {name: [] for name in fleets}
    frames = list(SeededMarket(seed, len(BASES)).frames(count))
    snapshots = len(frames) - count
    for fleet in fleets.values():
        for kind, frame in frames[:snapshots]:
            fleet.hear(kind, frame, [])
        fleet.expose()
        fleet.wakes = fleet.reached = 0
    order = random.Random(seed)  # who hears a frame first finds cold caches
    for kind, frame in frames[snapshots:]:
        for name in order.sample(("with", "without"), 2):
            if name == "with":
                fleets[name].hear(kind, frame, spent[name])
            else:
                with without_risk():
                    fleets[name].hear(kind, frame, spent[name])
    if fleets["with"].reached != fleets["without"].reached:
        raise SystemExit(f"the two did not decide alike: {[fleet.reached for fleet in fleets.values()]}")
    return [
        row(label, fleets["with"].reached, *(_of(spent[name], only_woken=only_woken) for name in fleets))
        for label, only_woken in (("every frame", False), ("frames on which the engine wakes", True))
    ]


def row(label: str, reached: int, on: np.ndarray, off: np.ndarray) -> dict:
    """Return what the two took, in us, and the median of the rounds' ratios."""
    parts = list(zip(np.array_split(on, ROUNDS), np.array_split(off, ROUNDS), strict=True))
    ratios = [float(np.median(one) / np.median(other)) for one, other in parts]
    return {
        "frames": label,
        "count": len(on),
        "all caps asked": reached,
        "with_p50_us": round(float(np.median(on)) / 1000, 2),
        "without_p50_us": round(float(np.median(off)) / 1000, 2),
        "ratio": round(float(np.median(ratios)), 3),
        "rounds": f"{min(ratios):.3f} to {max(ratios):.3f}",
        "mean_ratio": round(float(np.mean(on) / np.mean(off)), 3),
    }


def _of(spent: list[tuple[int, bool]], *, only_woken: bool) -> np.ndarray:
    return np.array([ns for ns, woke in spent if woke or not only_woken])


def _open(asset: Asset) -> NetworkTerms:
    return NetworkTerms(asset=asset, network=Network("one"), can_deposit=True, can_withdraw=True)
