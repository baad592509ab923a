"""The screen against the exact numbers: it may wake for nothing, and never sleeps through a route that clears."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from arbot.domain.units import bps_to_rate, fmt
from arbot.market.books import Books, level_array
from arbot.market.layout import HEADS, TAKER_PPT
from arbot.market.screen import APPARENT, CLEARS, QUIET
from tests.support.books import an_instrument

rates = st.decimals(Decimal("-0.001"), Decimal("0.02"), places=6)
edges = st.decimals(-50, 50, places=3)
decimals = st.integers(0, 8)


def exact_edge_clears(ask, buy_rate, bid, sell_rate, edge_min_bps):
    net = bid * (1 - sell_rate) - ask * (1 + buy_rate)
    return net >= bps_to_rate(edge_min_bps) * ask


def two_books(quotes, rates_known=(), edge_min=Decimal(0)):
    """Return Books with one valid book per (venue, price decimals, bid, ask) and the indexes."""
    books = Books()
    books.set_edge_min(edge_min)
    indexes = []
    for venue, places, bid, ask in quotes:
        instrument = an_instrument(venue, price_decimals=places)
        index = books.add(instrument, 10)
        one = Decimal(1)
        books.apply_snapshot(index, level_array([(bid, one)], instrument), level_array([(ask, one)], instrument), 0, 1)
        books.validate(index)
        indexes.append(index)
    for index, rate in zip(indexes, rates_known, strict=False):
        books.set_taker_rate(index, rate)
    return books, indexes


@settings(max_examples=400, deadline=None)
@given(data=st.data(), edge_min=edges, rate_a=rates, rate_b=rates, places_a=decimals, places_b=decimals)
def test_never_asleep_where_exact_numbers_clear(data, edge_min, rate_a, rate_b, places_a, places_b):
    """Whatever prices, decimals, fees and minimum: exact yes implies screen yes, from either book of the route."""
    near = 10 ** data.draw(st.integers(1, 8))
    ticks_a = near * 10**places_a
    bid_a = data.draw(st.integers(max(1, ticks_a - ticks_a // 100), ticks_a + ticks_a // 100))
    ask_a = bid_a + data.draw(st.integers(1, max(1, ticks_a // 200)))
    a = (Decimal(bid_a).scaleb(-places_a), Decimal(ask_a).scaleb(-places_a))
    # the other book often just where the exact answer flips
    edge_price = a[1] * (1 + rate_a + bps_to_rate(edge_min)) / (1 - rate_b)
    assume(edge_price > 0)
    bid_b = int(edge_price.scaleb(places_b).to_integral_value()) + data.draw(st.integers(-2, 2))
    assume(0 < bid_b < 10**17)
    b = (Decimal(bid_b).scaleb(-places_b), Decimal(bid_b + data.draw(st.integers(1, 1000))).scaleb(-places_b))
    books, (one, other) = two_books(
        [("a", places_a, *a), ("b", places_b, *b)], rates_known=(rate_a, rate_b), edge_min=edge_min
    )
    exact = exact_edge_clears(a[1], rate_a, b[0], rate_b, edge_min) or exact_edge_clears(
        b[1], rate_b, a[0], rate_a, edge_min
    )
    if exact:
        assert books.screen(one) == CLEARS
    assert (books.screen(one) == CLEARS) == (books.screen(other) == CLEARS)


@given(rate=st.decimals(-1, 1, places=20))
@example(rate=Decimal("1E-13"))
@example(rate=Decimal("-1E-13"))
def test_rates_are_rounded_towards_waking(rate):
    """A rate finer than the screen keeps is taken for less, never for more."""
    books, (one, _) = two_books([("a", 0, Decimal(99), Decimal(100)), ("b", 0, Decimal(101), Decimal(102))])
    books.set_taker_rate(one, rate)
    kept = Decimal(int(books.mem[HEADS + TAKER_PPT])).scaleb(-12)
    assert 0 <= rate - kept < Decimal("1E-12"), fmt(rate)


def test_asleep_without_an_edge():
    """Books at the same price do not wake, so the screen is worth having."""
    books, (one, other) = two_books([("a", 1, Decimal(99), Decimal(100)), ("b", 1, Decimal(99), Decimal(100))])
    assert not books.screen(one)
    assert not books.screen(other)


def test_fees_and_minimum_count():
    """An edge of 1 % wakes at fees of 0.4 % + 0.4 % and a minimum of 10 bps, and sleeps when any of the three rises."""
    quotes = [("a", 2, Decimal("99.9"), Decimal(100)), ("b", 2, Decimal(101), Decimal("101.1"))]
    fee = Decimal("0.004")
    for rates_known, edge_min, wakes in (
        ((fee, fee), Decimal(10), True),
        ((fee, fee), Decimal(25), False),
        ((fee + Decimal("0.002"), fee), Decimal(10), False),
        ((fee, fee + Decimal("0.002")), Decimal(10), False),
    ):
        books, (one, _) = two_books(quotes, rates_known, edge_min)
        assert (CLEARS if wakes else APPARENT) == books.screen(one)


def test_book_without_a_known_fee_wakes():
    """No rate counts as zero, so that the engine gets to decline with its reason."""
    books, (one, _) = two_books([("a", 1, Decimal(99), Decimal(100)), ("b", 1, Decimal("100.1"), Decimal(102))])
    assert books.screen(one) == CLEARS


def test_invalid_book_is_no_route():
    """Neither side of a route may be invalid."""
    books, (one, other) = two_books([("a", 1, Decimal(99), Decimal(100)), ("b", 1, Decimal(110), Decimal(111))])
    assert books.screen(one) == CLEARS
    books.invalidate(other)
    assert not books.screen(one)
    assert not books.screen(other)


def test_one_venue_is_no_route():
    """Two instruments of one base at the same venue are not compared."""
    books = Books()
    for quote, bid in (("USD", 99), ("EUR", 110)):
        instrument = an_instrument("a", quote=quote, price_decimals=0)
        index = books.add(instrument, 10)
        one = Decimal(1)
        books.apply_snapshot(
            index,
            level_array([(Decimal(bid), one)], instrument),
            level_array([(Decimal(bid + 1), one)], instrument),
            0,
            1,
        )
        assert books.validate(index)
        assert not books.screen(index)


def test_unlike_quotes_are_apparent_and_other_bases_are_not():
    """BTC/USD and BTC/USDT are looked at together and never clear, BTC and ETH are not looked at together."""
    books = Books()
    wakes = {}
    for venue, base, quote, bid in (("a", "BTC", "USD", 99), ("b", "ETH", "USD", 200), ("c", "BTC", "USDT", 120)):
        instrument = an_instrument(venue, base=base, quote=quote, price_decimals=0)
        index = books.add(instrument, 10)
        one = Decimal(1)
        books.apply_snapshot(
            index,
            level_array([(Decimal(bid), one)], instrument),
            level_array([(Decimal(bid + 1), one)], instrument),
            0,
            1,
        )
        books.validate(index)
        wakes[base, quote] = books.screen(index)
    assert wakes == {("BTC", "USD"): QUIET, ("ETH", "USD"): QUIET, ("BTC", "USDT"): APPARENT}
