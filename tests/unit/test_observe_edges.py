"""Edges at the touch: every route of a few venues, the best of many."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.book import BookState, Level
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.engine.config import EngineConfig
from arbot.engine.state import State
from arbot.observe.catalogue.opportunities import ROUTES_MAX
from arbot.observe.collect import Collector
from arbot.observe.collect.words import Readings, RunFacts
from arbot.observe.edges import EdgeLine, best_edges, edge_lines, edges_told, routes_count
from arbot.observe.metrics import Metrics
from arbot.observe.recent import Recent
from arbot.observe.risk import look_at_risk, tails_told
from arbot.observe.slices import at_once
from arbot.observe.status import About, Moment, look
from arbot.observe.summary import Summary

Touches = dict[InstrumentId, tuple[Decimal, Decimal]]


class Touched:
    """A market of which only the touch is known: bid and ask of each book, or nothing."""

    def __init__(self, touches: Touches) -> None:
        self.touches = touches
        self.asked = 0  # for one side of a book

    def state(self, instrument: InstrumentId) -> BookState:
        return BookState(instrument in self.touches, 1, 1)

    def best(self, instrument: InstrumentId, side: Side) -> Level | None:
        self.asked += 1
        touch = self.touches.get(instrument)
        return None if touch is None else Level(touch[side is Side.BUY], Decimal(1))

    def levels(self, *_: object) -> tuple[Level, ...]:
        return ()


def listing(venue: str, symbol: str) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        id=InstrumentId(f"{symbol}@{venue}"), venue=VenueId(venue), symbol=symbol, venue_symbol=symbol,
        base=Asset(base), quote=Asset(quote), tick_size=Decimal("0.01"), qty_step=Decimal("0.01"), price_decimals=2,
        qty_decimals=2,
    )  # fmt: skip


def world(touches: dict[tuple[str, str], tuple[int, int, int]]) -> State:
    """Return a state of books given as (venue, symbol): bid, ask and taker fee in bps; a bid of 0 is an empty book."""
    listed = [listing(*place) for place in touches]
    config = EngineConfig(
        ccy=Asset("USD"),
        venues=tuple(dict.fromkeys(one.venue for one in listed)),
        instruments=tuple(one.id for one in listed),
    )
    known = zip(listed, touches.values(), strict=True)
    state = State(config, Touched({one.id: (Decimal(bid), Decimal(ask)) for one, (bid, ask, _) in known if bid}))
    state.relist({one.id: one for one in listed})
    for one, (_, _, fee_bps) in zip(listed, touches.values(), strict=True):
        rate = Decimal(fee_bps).scaleb(-4)
        state.fees[one.id] = FeeRate(instrument=one.id, maker=rate, taker=rate)
    return state


def many(venues_count: int = 10) -> State:
    """Return a state with more routes than are told one by one."""
    venues, symbols = range(venues_count), range(5)
    return world({(f"v{v}", f"C{s}/USD"): (100 + v, 101 + v, 10) for v in venues for s in symbols})


books = st.dictionaries(
    st.tuples(st.sampled_from([f"v{number}" for number in range(6)]), st.sampled_from(["A/USD", "B/USD"])),
    st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(0, 500)).map(
        lambda row: (1_000 + row[0] if row[0] else 0, 1_000 + row[1], row[2])
    ),
    max_size=12,
)


@given(books)
def test_the_best_edge_is_the_best_of_all(touches: dict[tuple[str, str], tuple[int, int, int]]) -> None:
    """One look at each book finds the same best net edge of each symbol as looking at every route."""
    state = world(touches)
    every: dict[str, Decimal] = {}
    for line in edge_lines(state, Recent()):
        every[line.symbol] = max(every.get(line.symbol, line.edge_net_bps), line.edge_net_bps)
    assert every == {line.symbol: line.edge_net_bps for line in best_edges(state, Recent())}


def test_the_best_edge_is_told_like_any_other() -> None:
    """It has the same venues, fees and quantity as the line of its route."""
    state = world({("a", "A/USD"): (100, 101, 10), ("b", "A/USD"): (104, 105, 20), ("c", "A/USD"): (103, 104, 0)})
    (best,) = best_edges(state, Recent())
    assert (best.buy, best.sell) == ("a", "b")
    assert best in list(edge_lines(state, Recent()))


def test_routes_are_counted_without_going_through_them() -> None:
    """The count of routes is that of the pairs of one base at two venues, whatever their quotes."""
    state = world({
        ("a", "A/USD"): (1, 2, 0), ("a", "A/EUR"): (1, 2, 0), ("b", "A/USD"): (1, 2, 0), ("c", "B/USD"): (1, 2, 0),
        ("d", "B/USD"): (1, 2, 0),
    })  # fmt: skip
    listed = [(one.venue, one.base) for one in state.instruments.values()]
    assert routes_count(listed) == len(list(edge_lines(state, Recent()))) == 6


def test_too_many_routes_are_told_by_their_best() -> None:
    """Status, risk view and metrics of 10 venues with 5 symbols hold a line for each symbol, not for each of 450 routes."""
    state = many()
    assert routes_count((one.venue, one.base) for one in state.instruments.values()) == 450 > ROUTES_MAX
    symbols = [f"C{number}/USD" for number in range(5)]
    assert symbols == [line.symbol for line in edges_told(state, Recent())]
    assert symbols == [line.buy.partition("@")[0] for line in tails_told(state)]


def scraped(state: State, metrics: Metrics, collector: Collector) -> dict[tuple[str, ...], float]:
    for _ in collector.read(Readings(now_ns=1, state=state, summary=Summary(), recent=Recent())):
        pass
    return dict(metrics.children("arbot_spread_gross_ratio"))


def facts_of(state: State) -> RunFacts:
    symbols: dict[str, list[str]] = {}
    for one in state.instruments.values():
        symbols.setdefault(one.venue, []).append(one.symbol)
    return RunFacts(
        version="1", mode="demo", strategy="cross_venue", ccy="USD", started_ts_ns=0, venues=tuple(symbols),
        symbols=symbols, assets=tuple(state.assets),
    )  # fmt: skip


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    return Metrics()


def test_a_route_without_a_book_has_no_spread(metrics: Metrics) -> None:
    """A spread is there while both books have both sides, and is gone when one is empty: it does not stay as it was."""
    state = world({("a", "A/USD"): (100, 101, 0), ("b", "A/USD"): (102, 103, 0)})
    collector = Collector(metrics, facts_of(state), state)
    both = {("A/USD", "a>b"), ("A/USD", "b>a")}
    assert both == set(scraped(state, metrics, collector))
    assert isinstance(state.market, Touched)
    kept = state.market.touches.pop(InstrumentId("A/USD@a"))
    assert scraped(state, metrics, collector) == {}
    state.market.touches[InstrumentId("A/USD@a")] = kept
    assert both == set(scraped(state, metrics, collector))


def test_the_spread_of_many_routes_has_the_label_best(metrics: Metrics) -> None:
    """With too many routes each symbol has one series, and nothing was left out for want of room."""
    state = many()
    spreads = scraped(state, metrics, Collector(metrics, facts_of(state), state))
    assert sorted(spreads) == [(f"C{number}/USD", "best") for number in range(5)]
    assert metrics.value("arbot_metric_labelsets_dropped_total") == 0


def test_an_edge_between_unlike_quotes_says_so() -> None:
    """A route from USD to EUR is told with both symbols and is never among the best."""
    state = world({("a", "A/USD"): (100, 101, 0), ("b", "A/EUR"): (100, 101, 0)})
    lines: list[EdgeLine] = list(edge_lines(state, Recent()))
    assert {"quote_mismatch"} == {line.reason for line in lines}
    assert list(best_edges(state, Recent())) == []


@pytest.mark.parametrize("looks", ["scrape", "status", "risk"])
def test_no_look_grows_with_the_square_of_the_venues(looks: str) -> None:
    """With twice the venues, and four times the routes, a look asks twice as often for a side of a book."""
    asked = []
    for venues in (10, 20):
        state, metrics = many(venues), Metrics()
        assert isinstance(state.market, Touched)
        about = About(version="1", mode="demo", run_name="x", pid=1, started_ts_ns=0)
        if looks == "scrape":
            scraped(state, metrics, Collector(metrics, facts_of(state), state))
        elif looks == "status":
            at_once(look(Moment(about, 1, state, Summary(), Recent(), {})))
        else:
            at_once(look_at_risk(state))
        asked.append(state.market.asked)
    assert asked[1] <= 2 * asked[0]
