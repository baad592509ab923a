"""Recorded books as a market: numbers exact, order by time, consumed depth kept, traps of the files survived."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.domain.order import Side, TimeInForce
from arbot.sim import chance
from arbot.sim.listing import FLAVOURS, instruments_of
from arbot.sim.model import OrderRequest
from arbot.sim.recorded import RecordedMarket, RecordedSpec, on_grid, read_books, recorded_venues, symbols_of
from arbot.sim.venue import SimVenue

DOGE = "DOGE/USD"
MS = 1_000_000
DATA = Path(os.environ.get("ARBOT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
RECORDED = DATA / "l2-snapshots" / "ccxt13-doge-20240408"


def write(directory, venue, *books, symbol=DOGE):
    """Write a recording as the recorder does: ms stamps, levels of two or three items."""
    with gzip.open(directory / f"{venue}_doge_orderbooks.jsonl.gz", "wt") as lines:
        for ts_ms, bids, asks in books:
            lines.write(
                json.dumps({"symbol": symbol, "timestamp": ts_ms, "bids": bids, "asks": asks, "nonce": None}) + "\n"
            )


def venue_of(name):
    flavour = FLAVOURS[name]
    venue = SimVenue(name, instruments_of(name, name, (DOGE,)), flavour.tiers, chance.stream(1, name), flavour.policy)
    venue.open_account("main", {"USD": Decimal(10_000), "DOGE": Decimal(50_000)}, 0)
    return venue


@pytest.fixture
def small(tmp_path):
    """Two venues, out of order lines, a level that stays and one that goes."""
    write(
        tmp_path,
        "kraken",
        (7000, [[0.1999, 300.5, 7]], [[0.2001, 50.0, 7]]),
        (1000, [[0.1999951, 100.25, 1]], [[0.2, 50.0, 1], [0.2001, 50.0, 1]]),
    )
    write(tmp_path, "bitfinex", (2000, [[0.19985, 1000.05]], [[0.200061, 70.5]]))
    return tmp_path


def play(directory, **options):
    venues = {name: venue_of(name) for name in ("kraken", "coinbase")}
    spec = RecordedSpec(directory=directory, mapping={"kraken": "kraken", "coinbase": "bitfinex"}, **options)
    market = RecordedMarket(venues, spec)
    market.start(0)
    return venues, market


def book(venue, side):
    return [(venue.price(DOGE, ticks), venue.qty(DOGE, lots)) for ticks, lots in venue.top(DOGE, side, 20)]


def test_numbers_are_the_files_text_on_the_venues_grid(small):
    """Kraken's digits survive exactly; on a coarser grid bids go down, asks up, sizes down."""
    venues, _ = play(small)
    assert [(Decimal("0.1999951"), Decimal("100.25"))] == book(venues["kraken"], Side.BUY)
    assert [(Decimal("0.19985"), Decimal(1000))] == book(venues["coinbase"], Side.BUY)
    assert [(Decimal("0.20007"), Decimal("70.5"))] == book(venues["coinbase"], Side.SELL)


def test_books_come_by_time_and_speed(small):
    """The first moment is the first at which all venues have a book; later ones come `speed` times faster."""
    venues, market = play(small, speed=Decimal(10))
    market.advance(499 * MS)
    assert Decimal("0.1999951") == book(venues["kraken"], Side.BUY)[0][0]
    market.advance(500 * MS)
    assert [(Decimal("0.1999"), Decimal("300.5"))] == book(venues["kraken"], Side.BUY)
    assert not market.is_ended
    market.advance(501 * MS)
    assert market.is_ended


def test_a_loop_starts_again(small):
    """With loop the first books come back after the last."""
    venues, market = play(small, loop=True)
    market.advance(6_000 * MS)
    assert Decimal("0.1999951") == book(venues["kraken"], Side.BUY)[0][0]
    assert not market.is_ended


def test_consumed_depth_returns_only_with_a_changed_level(small):
    """A level the recording shows unchanged stays as the customer left it."""
    venues, market = play(small)
    request = OrderRequest(
        account="main",
        symbol=DOGE,
        side=Side.BUY,
        qty=Decimal(80),
        price=Decimal("0.2001"),
        tif=TimeInForce.IOC,
    )
    venues["kraken"].submit(request, 1)
    assert [(Decimal("0.2001"), Decimal(20))] == book(venues["kraken"], Side.SELL)
    market.advance(5_000 * MS)
    assert [(Decimal("0.2001"), Decimal(20))] == book(venues["kraken"], Side.SELL)


def test_mistakes_are_told(tmp_path, small):
    """A missing venue, an empty directory, unlike symbols and a broken line each say what would do."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no \\*_orderbooks"):
        recorded_venues(empty)
    with pytest.raises(UserError, match="map to one of bitfinex, kraken"):
        read_books(small, "gemini")
    write(small, "binance", (1, [[1, 1]], [[2, 1]]), symbol="DOGE/USDT")
    with pytest.raises(UserError, match="symbols differ"):
        symbols_of(RecordedSpec(directory=small, mapping={"a": "kraken", "b": "binance"}))
    with gzip.open(small / "okx_doge_orderbooks.jsonl.gz", "wt") as lines:
        lines.write('{"symbol": "DOGE/USD"}\n')
    with pytest.raises(UserError, match=r"okx_doge_orderbooks\.jsonl\.gz:1"):
        read_books(small, "okx")


def test_an_hour_of_real_books_plays():
    """Kraken's and Bitfinex's recorded hour goes through two venues: never crossed, every shown level in the file."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded books at {RECORDED}: set ARBOT_DATA")
    venues, market = play(RECORDED)
    files = {"kraken": read_books(RECORDED, "kraken"), "coinbase": read_books(RECORDED, "bitfinex")}
    for at_s in range(0, 3_700, 5):
        market.advance(at_s * 1000 * MS)
    assert market.is_ended
    for name, venue in venues.items():
        venue.check_invariants()
        last = on_grid(files[name][-1], venue.instruments[DOGE])
        shown = {(side, ticks): lots for side in Side for ticks, lots in venue.top(DOGE, side, 100)}
        assert last == shown
