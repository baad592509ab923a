"""Small random tapes and settings for the tests of sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random

import msgspec
import numpy as np

from arbot.backtest.stock import Listed, Made
from arbot.backtest.sweep_pass import Candidate
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.engine.config import EngineConfig, ExecutionPolicy, RiskLimits
from arbot.market.stream import BOOK_SHIFT, IS_LAST, Kind, Rows

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def an_instrument(
    venue: str, *, price_decimals: int, qty_decimals: int, base: str = "BTC", **more: Decimal
) -> Instrument:
    """Return an instrument in USD whose tick and step are one unit of its last decimals, unless told otherwise."""
    known = Instrument(
        id=InstrumentId(f"{base}/USD@{venue}"),
        venue=VenueId(venue),
        symbol=f"{base}/USD",
        venue_symbol=f"{base}USD",
        base=Asset(base),
        quote=Asset("USD"),
        tick_size=Decimal(1).scaleb(-price_decimals),
        qty_step=Decimal(1).scaleb(-qty_decimals),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
    )
    return msgspec.structs.replace(known, **more)


def three_streams() -> tuple[Listed, ...]:
    """Return three venues with unlike ticks, steps, minimums and depths."""
    return (
        Listed(an_instrument("kraken", price_decimals=1, qty_decimals=4, qty_min=Decimal("0.0010")), 0),
        Listed(an_instrument("coinbase", price_decimals=2, qty_decimals=6, notional_min=Decimal(1)), 10),
        Listed(
            an_instrument(
                "bitstamp", price_decimals=0, qty_decimals=5, qty_step=Decimal("0.00020"), qty_max=Decimal("0.5")
            ),
            4,
        ),
    )


def random_rows(rng: Random, streams: tuple[Listed, ...], messages: int) -> Rows:
    """Return rows of books that wander around 1000 and meet now and then; times repeat, and some lie seconds apart."""
    columns: list[tuple[int, int, int, int, int]] = []
    now, centre = START_NS, 1000.0
    for number in range(messages):
        now += rng.choice((0, 1_000_000, 7_000_000, 40_000_000, 300_000_000)) if rng.random() < 0.98 else 3 * SECOND_NS
        centre += rng.uniform(-0.4, 0.4)
        b = rng.randrange(len(streams))
        known = streams[b].instrument
        chance = rng.random()
        is_first = number < 2 * len(streams)
        kind = Kind.SNAPSHOT if is_first or chance < 0.1 else Kind.CLEAR if chance < 0.11 else Kind.ALIVE
        kind = kind if kind is not Kind.ALIVE or chance > 0.97 else Kind.TRADE if chance > 0.94 else Kind.DELTA
        own = centre + rng.uniform(-6, 6)
        levels = [(0, 0)]
        if kind in (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE):
            count = rng.randint(3, 9) if kind is Kind.SNAPSHOT else rng.randint(1, 3)
            levels = [_level(rng, own, known, is_bid=rng.random() < 0.5, kind=kind) for _ in range(count)]
        venue_ts = 0 if rng.random() < 0.1 else now - rng.randrange(50_000_000)
        for at, (key, qty) in enumerate(levels):
            flags = IS_LAST if at == len(levels) - 1 else 0
            columns.append((now, venue_ts, key, qty, b << BOOK_SHIFT | flags | int(kind)))
    return Rows(*(np.array(column, np.int64) for column in zip(*columns, strict=True)))


def _level(rng: Random, centre: float, known: Instrument, *, is_bid: bool, kind: Kind) -> tuple[int, int]:
    away = rng.uniform(0.2, 6.0)
    price = round((centre - away if is_bid else centre + away) * 10**known.price_decimals)
    qty = 0 if kind is Kind.DELTA and rng.random() < 0.35 else rng.randint(1, 10**known.qty_decimals)
    return (price if is_bid else -price), qty


def a_stock(streams: tuple[Listed, ...], rows: Rows, cuts: tuple[int, ...] = ()) -> Made:
    """Return a stock of these rows, cut into chunks at these rows (which must begin messages)."""

    def make() -> Iterator[Rows]:
        for first, stop in zip((0, *cuts), (*cuts, len(rows)), strict=True):
            yield rows.part(first, stop)

    return Made(streams, len(rows), "random", make)


def a_candidate(rng: Random, streams: tuple[Listed, ...]) -> Candidate:
    """Return a random setting: tight and loose limits, free and dear venues, none to much latency."""
    venues = tuple(dict.fromkeys(listed.instrument.venue for listed in streams))
    return Candidate(
        tail_bps=Decimal(0),
        config=EngineConfig(
            ccy=Asset("USD"),
            venues=venues,
            instruments=tuple(listed.instrument.id for listed in streams),
            limits=RiskLimits(
                notional_per_arb_max=Decimal(rng.choice((3, 50, 1000))),
                arbs_open_max=rng.choice((1, 2, 3)),
                orders_per_minute_max=rng.choice((4, 20, 120)),
                loss_day_max=Decimal(rng.choice((1, 200, 200))),
                drawdown_max=Decimal(rng.choice((2, 500))),
                book_age_recv_ms_max=rng.choice((100, 2000, 2000)),
                edge_gross_bps_max=Decimal(rng.choice((40, 300))),
                inventory_notional_max=Decimal(rng.choice((1100, 50_000))),
            ),
            execution=ExecutionPolicy(
                cool_down_ms=rng.choice((0, 50, 500)),
                depth_max=rng.choice((1, 3, 25)),
                hedge_slippage_bps=Decimal(rng.choice((0, 15, 40))),
                hedge_seconds_max=rng.choice((1, 20)),
                hedge_tries_max=rng.choice((1, 4)),
                hedge_loss_max=Decimal(rng.choice((1, 50))),
            ),
        ),
        edge_net_bps_min=Decimal(rng.choice((1, 5, 20))),
        taker={listed.instrument.id: Decimal(rng.choice((0, 5, 10))).scaleb(-4) for listed in streams},
        request_ns={venue: _latencies(rng, (0, 1_000_000, 20_000_000, 90_000_000)) for venue in venues},
        answer_ns={venue: _latencies(rng, (0, 5_000_000, 40_000_000)) for venue in venues},
        balances={venue: {Asset("BTC"): Decimal(rng.choice((1, 30))), Asset("USD"): Decimal(3000)} for venue in venues},
    )


def _latencies(rng: Random, known: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(rng.choice(known) for _ in range(rng.choice((1, 1, 4))))
