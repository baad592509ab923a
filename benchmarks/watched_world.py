"""A desk at its largest: venues with instruments each, all books live, balances everywhere, arbs and transfers under way.

Only what a scrape, a page and a look read is real: books, engine, state, observers. Venues are not connected; their books
move by `move`, which is what a feed does with a parsed frame: levels into the book, its check, the screen, and the engine
where that says so.
"""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import product
from types import SimpleNamespace

import numpy as np

from arbot.domain.decisions import ArbState
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
    VenueStatusReported,
)
from arbot.domain.ids import ArbId, Asset, InstrumentId, VenueId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.transfer import Network, TransferId, TransferIntent, TransferState, VenueStatus
from arbot.domain.units import ZERO
from arbot.engine.config import EngineConfig, RiskLimits
from arbot.engine.engine import Engine
from arbot.engine.state import Arb, Transfer
from arbot.market.books import Books, level_array
from arbot.market.screen import CLEARS
from arbot.observe.collect.words import Readings
from arbot.observe.status import About
from arbot.observe.summary import Summary
from arbot.observe.watch import Watch
from arbot.ports import VenueConfig
from arbot.runtime.latency import LatencyHistogram
from arbot.settings.registry import shipped
from strategies.cross_venue import CrossVenue

VENUES, PAIRS, OPEN, IN_FLIGHT, LEVELS = 20, 50, 20, 10, 20
TAKER = Decimal("0.0004")
EDGE_NET_BPS_MIN = "5"
START_NS = 1_763_631_000_000_000_000
ENDPOINTS = ("market", "account", "orders", "transfers")
MOVES_KEPT = 4  # shapes of a book's touch, taken in turns
LIMITS = RiskLimits(
    notional_per_arb_max=Decimal("0.0001"), arbs_open_max=100, edge_gross_bps_max=Decimal(5_000),
    book_age_recv_ms_max=10**9, book_age_venue_ms_max=10**9, book_skew_ms_max=10**9, clock_skew_ms_max=10**9,
    net_delta_notional_max=Decimal(10**9), inventory_notional_max=Decimal(10**9),
)  # fmt: skip


def feed_counters() -> SimpleNamespace:
    """Return what a stream counts about itself."""
    return SimpleNamespace(
        frames=1_000, bytes=10**6, connects_after={}, parse_errors=0, checksum_mismatches=0, resyncs_for={},
        last_alive_ns=START_NS,
    )  # fmt: skip


class World:
    """All of it. `now_ns` advances with every move."""

    def __init__(self, seed: int = 1, venues: int = VENUES, pairs: int = PAIRS) -> None:
        self._chance = random.Random(seed)
        self.now_ns = START_NS
        self.books = Books()
        self.known = {VenueId(f"venue{n}"): self._instruments(f"venue{n}", pairs) for n in range(venues)}
        self.books.add_all((one, 100) for those in self.known.values() for one in those)
        self.books.set_edge_min(Decimal(EDGE_NET_BPS_MIN))
        self.listed = [one for those in self.known.values() for one in those]
        for index in range(len(self.listed)):
            self.books.set_taker_rate(index, TAKER)
        self._mids = {one.base: 10_000 + 100 * number for number, one in enumerate(next(iter(self.known.values())))}
        self._moves = [self._shapes(index) for index in range(len(self.listed))]
        for index, shapes in enumerate(self._moves):
            self.books.apply_snapshot(index, *shapes[0], self.now_ns, self.now_ns)
            self.books.validate(index)
        self.steps = self.looks = 0
        self.summary, self.latency = Summary(), LatencyHistogram()
        self.about = About(version="1", mode="demo", run_name="size", pid=1, started_ts_ns=START_NS)
        configs = tuple(
            VenueConfig(venue=venue, adapter="none", symbols=tuple(one.symbol for one in those))
            for venue, those in self.known.items()
        )
        self.engine = self._engine()
        self.watch = Watch(self.about, configs, self.engine.state, strategy="cross_venue", shares={})
        self.observers = [self.summary.observe, *self.watch.observers]
        self._expose()
        self.feeds = {(venue, stream.value): feed_counters() for venue in self.known for stream in Stream}

    def move(self, count: int) -> None:
        """Let so many books move."""
        for index in self._chance.choices(range(len(self.listed)), k=count):
            self.now_ns += 1_000_000
            shapes = self._moves[index]
            self.books.apply_snapshot(index, *self._chance.choice(shapes), self.now_ns, self.now_ns)
            self.books.validate(index)
            if self.books.screen(index) == CLEARS:
                self.looks += 1
                self.step(BooksMoved(instruments=(self.listed[index].id,)))

    def change(self) -> None:
        """Let a balance change: a step that is journaled, after which exposures are counted anew."""
        venue = self._chance.choice(tuple(self.known))
        self.step(AccountSnapshotReceived(venue=venue, balances=self._balances(venue)))

    def step(self, event: Event) -> None:
        """Give the engine an event, and all observers what came of it."""
        self.steps += 1
        envelope = Envelope(self.steps, self.now_ns, event)
        outcome = self.engine.step(envelope)
        for observe in self.observers:
            observe(envelope, outcome)

    def readings(self) -> Readings:
        """Return what a scrape reads."""
        return Readings(
            now_ns=self.now_ns,
            state=self.engine.state,
            summary=self.summary,
            recent=self.watch.recent,
            feeds=self.feeds,
            durations={
                "arbot_decision_latency_seconds": {("cross_venue",): self.latency},
                "arbot_journal_write_seconds": {(): self.latency},
                "arbot_event_loop_lag_seconds": {(): self.latency},
                "arbot_rest_request_duration_seconds": dict.fromkeys(product(self.known, ENDPOINTS), self.latency),
            },
        )

    def _instruments(self, venue: str, pairs: int) -> list[Instrument]:
        return [
            Instrument(
                id=InstrumentId(f"C{number}/USD@{venue}"), venue=VenueId(venue), symbol=f"C{number}/USD",
                venue_symbol=f"C{number}-USD", base=Asset(f"C{number}"), quote=Asset("USD"), tick_size=Decimal("0.01"),
                qty_step=Decimal("0.00000001"), price_decimals=2, qty_decimals=8, qty_min=Decimal("0.001"),
            )
            for number in range(pairs)
        ]  # fmt: skip

    def _shapes(self, index: int) -> list[tuple[np.ndarray, np.ndarray]]:
        one, shapes = self.listed[index], []
        for _ in range(MOVES_KEPT):
            middle = round(self._mids[one.base] * (1 + self._chance.gauss(0, 3e-4)) * 100)
            sides = []
            for sign in (-1, 1):
                levels = [(Decimal(middle + sign * (3 + step)).scaleb(-2), Decimal("1.5")) for step in range(LEVELS)]
                sides.append(level_array(levels, one))
            shapes.append((sides[0], sides[1]))
        return shapes

    def _balances(self, venue: VenueId) -> tuple[Balance, ...]:
        held = [
            Balance(asset=one.base, total=Decimal(self._chance.randint(1, 1_000)) / 10) for one in self.known[venue]
        ]
        return (*held, Balance(asset=Asset("USD"), total=Decimal(10**6)))

    def _engine(self) -> Engine:
        config = EngineConfig(
            ccy=Asset("USD"), venues=tuple(self.known), instruments=tuple(one.id for one in self.listed), limits=LIMITS,
            registry=shipped(),
        )  # fmt: skip
        engine = Engine(config, CrossVenue({"edge_net_bps_min": EDGE_NET_BPS_MIN}), self.books)
        for venue, those in self.known.items():
            events: tuple[Event, ...] = (
                InstrumentsLoaded(venue=venue, instruments=tuple(those)),
                FeesLoaded(
                    venue=venue, fees=tuple(FeeRate(instrument=one.id, maker=TAKER, taker=TAKER) for one in those)
                ),
                AccountSnapshotReceived(venue=venue, balances=self._balances(venue)),
                ClockSkewMeasured(venue=venue, skew_ms=0, rtt_ms=1),
                FeedConnected(venue=venue, stream=Stream.MARKET),
                FeedConnected(venue=venue, stream=Stream.ACCOUNT),
                ReconciliationEnded(venue=venue, differences=0),
                VenueStatusReported(venue=venue, status=VenueStatus.ONLINE),
            )
            for event in events:
                engine.step(Envelope(0, START_NS, event))
        return engine

    def _expose(self) -> None:
        state, venues = self.engine.state, list(self.known)
        state.note_rates()
        for number in range(min(OPEN, len(self.listed))):
            buy, sell = (self.known[venues[(number + step) % len(venues)]][number % len(self._mids)] for step in (0, 1))
            arb = Arb(
                id=ArbId(f"9-{number}"), number=number, buy=buy.id, sell=sell.id, base=buy.base, quote=buy.quote,
                qty=Decimal(1), buy_price=Decimal(10_000), sell_price=Decimal(10_000), opened_ts_ns=START_NS,
                state=ArbState.ONE_SIDED, residual_in=Decimal("0.01"), unhedged_since_ns=START_NS,
            )  # fmt: skip
            state.arbs[arb.id] = state.unfinished[arb.id] = arb
        for number in range(IN_FLIGHT):
            source, target = venues[number % len(venues)], venues[(number + 1) % len(venues)]
            intent = TransferIntent(
                transfer=TransferId(f"9-t{number}"), source=source, target=target, asset=Asset(f"C{number % 3}"),
                network=Network("bitcoin"), address="a", qty=Decimal("0.01"), requested_ts_ns=START_NS, actor="benchmark",
            )  # fmt: skip
            sent = Transfer(
                intent=intent, state=TransferState.BROADCAST, since_ns=START_NS, requested_ts_ns=START_NS, tx_id="x",
                qty_sent=intent.qty, debited=intent.qty or ZERO,
            )  # fmt: skip
            state.transfers[sent.id] = state.unsettled[sent.id] = sent
        state.version += 1
