"""What a quote does from its first rest to its end, in tables a trader can read: Kraken is quoted, Coinbase hedges.

Fees are nothing for a maker and 10 bps for a taker. The bid wants 20 bps now and may rest while 10 are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from arbot.domain.commands import CancelOrder
from arbot.domain.decisions import QuotePulled, Reason
from arbot.domain.events import (
    AccountSnapshotReceived,
    BookFault,
    BookInvalidated,
    FeesLoaded,
    OrderRestored,
    RateBudgetChanged,
)
from arbot.domain.ids import Asset, InstrumentId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate
from arbot.domain.order import OrderState, Side, TimeInForce
from arbot.engine.config import RiskLimits
from arbot.engine.strategy import Context, Quote
from strategies.maker_taker import MakerTaker
from tests.support.engine_world import World, play

PARAMS = {
    "makers": "kraken", "hedges": "coinbase", "sides": "buy", "notional": "100", "edge_net_bps_min": "10",
    "edge_margin_bps": "10", "move_bps": "5",
}  # fmt: skip
ROUTE = ("kraken", "coinbase")

OPEN = """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.9 @100.6 rest
kraken   sent
kraken   accepted
"""

TABLES = {
    "each partial fill is hedged as it comes, while the order goes on resting": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase filled 0.3 @101.0
kraken   quote filled 0.6 @100.6          -> coinbase sell 0.6 @100.9 hedge
coinbase filled 0.6 @101.0                -> flat 0.36
""",
    "fills that come while a hedge is under way wait for its end": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
kraken   quote filled 0.2 @100.6
coinbase filled 0.3 @101.0                -> coinbase sell 0.2 @100.9 hedge
coinbase filled 0.2 @101.0
""",
    "fills too small for any venue add up until they can be hedged": """
kraken   filled 0.05 @100.6
kraken   quote filled 0.04 @100.6
kraken   quote filled 0.06 @100.6         -> coinbase sell 0.1 @100.9 hedge
coinbase filled 0.1 @101.0
kraken   quote filled 0.05 @100.6         -> coinbase sell 0.1 @100.9 hedge
""",
    "what is left of them when the quote ends is carried": """
kraken   filled 0.05 @100.6
operator pause                            -> kraken cancel; pulled paused
kraken   quote canceled                   -> flat 0.0075 carry 0.05
""",
    "the hedge venue is lost: the cancel is the first command": """
coinbase market down                      -> kraken cancel; pulled venue_not_ready
kraken   quote canceled                   -> missed
""",
    "its account stream too": """
coinbase down                             -> kraken cancel; pulled venue_not_ready
""",
    "a fill that races the cancel is hedged": """
operator pause                            -> kraken cancel; pulled paused
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
kraken   quote canceled
coinbase filled 0.3 @101.0                -> flat 0.12
""",
    "a fill that comes after the end of the order reopens the arb and is hedged": """
operator pause                            -> kraken cancel; pulled paused
kraken   canceled                         -> missed
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge; orphan
coinbase filled 0.3 @101.0                -> flat 0.12
""",
    "a cancel that overtakes its fills waits for them, and they are hedged": """
operator pause                            -> kraken cancel; pulled paused
kraken   reported canceled 0.3            -> kraken query
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase filled 0.3 @101.0                -> flat 0.12
""",
    "a cancel without an answer is asked for again": """
operator pause                            -> kraken cancel; pulled paused
wait 3s                                   -> kraken cancel; kraken query
kraken   reported open 0                  -> kraken cancel
kraken   canceled                         -> missed
""",
    "an order found open at the venue rests on: its deadline is for its arrival": """
wait 5s
kraken   reported open 0
kraken   filled 0.9 @100.6                -> coinbase sell 0.9 @100.9 hedge
""",
    "a quote in doubt is asked about and pulled when it is found and no longer wanted": """
operator pause                            -> kraken cancel; pulled paused
kraken   unknown                          -> kraken query
kraken   reported open 0                  -> kraken cancel
""",
    "a rejected hedge pulls the quote before the next is sent": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase rejected other                   -> kraken cancel; coinbase sell 0.3 @100.8 hedge; pulled hedge_failed
kraken   quote canceled
coinbase rejected other                   -> kraken sell 0.3 @99.9 unwind
kraken   filled 0.3 @100.0                -> flat -0.18
""",
    "where our own order rests nothing is unwound: it would meet itself": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase rejected other                   -> kraken cancel; coinbase sell 0.3 @100.8 hedge; pulled hedge_failed
coinbase rejected other                   -> coinbase sell 0.3 @100.8 hedge
coinbase filled 0.3 @101.0
kraken   quote canceled                   -> flat 0.12
""",
    "a hedge in doubt pulls the quote, and nothing is sent for the part in doubt": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase unknown                          -> coinbase query; kraken cancel; pulled hedge_failed
kraken   quote canceled
coinbase reported filled 0.3              -> coinbase query
coinbase filled 0.3 @101.0                -> flat 0.12
""",
    "a hedge that fills in part pulls the quote and goes on": """
kraken   filled 0.6 @100.6                -> coinbase sell 0.6 @100.9 hedge
coinbase filled 0.2 @101.0
coinbase expired                          -> kraken cancel; coinbase sell 0.4 @100.8 hedge; pulled hedge_failed
coinbase filled 0.4 @100.9
kraken   quote canceled                   -> flat 0.2
""",
    "what no venue takes is stranded, and the venue's cancel was asked for long before": """
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase rejected other                   -> kraken cancel; coinbase sell 0.3 @100.8 hedge; pulled hedge_failed
kraken   quote canceled
coinbase rejected other                   -> kraken sell 0.3 @99.9 unwind
kraken   rejected other                   -> coinbase sell 0.3 @100.8 hedge
coinbase rejected other                   -> stranded 0.3
operator flatten                          -> coinbase sell 0.3 @100.9 flatten
coinbase filled 0.3 @101.0                -> flat 0.12
""",
    "the hedge book falls below the hedge price: pulled": """
coinbase book bid 100.6x3 ask 101.2x3     -> kraken cancel; pulled hedge_short
""",
    "the hedge book gets too thin for all that rests: pulled": """
coinbase book bid 101.0x0.5 100.5x3 ask 101.2x3 -> kraken cancel; pulled hedge_short
""",
    "a small move leaves it where it is, a larger one moves it once it has rested a while": """
wait 400ms
coinbase book bid 101.6x3 ask 101.8x3
wait 200ms
coinbase book bid 101.0x3 ask 101.2x3
coinbase book bid 101.3x3 ask 101.8x3     -> kraken cancel; pulled quote_moved
coinbase book bid 101.3x3 ask 101.8x3
kraken   canceled                         -> missed
coinbase book bid 101.3x3 ask 101.8x3     -> kraken buy 0.9 @100.9 rest
""",
    "drain pulls, hedges what filled, then stops": """
operator drain                            -> kraken cancel; pulled draining
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase filled 0.3 @101.0
kraken   quote canceled                   -> kraken cancel all; coinbase cancel all; stop: drained; flat 0.12
""",
    "halt and kill pull too, and leave a residual to a person": """
kraken   filled 0.05 @100.6
operator halt                             -> kraken cancel all; coinbase cancel all; kraken cancel; pulled paused
kraken   quote filled 0.5 @100.6          -> stranded 0.55
kraken   quote canceled
operator flatten                          -> coinbase sell 0.5 @100.9 flatten
""",
    "a venue put into quarantine by hand pulls at once, no book need move": """
operator quarantine coinbase              -> kraken cancel; coinbase quarantined; pulled venue_quarantined
""",
    "so does one that is quarantined for its conduct, where it rests or where it would be hedged": """
kraken   status cancel_only               -> kraken cancel; kraken quarantined; pulled venue_quarantined
""",
    "what the hedge would bring can no longer leave its venue: pulled at once": """
coinbase networks USD closed, BTC open    -> kraken cancel; pulled withdrawals_closed
""",
    "what the quote would bring can no longer leave its venue: pulled at once": """
kraken   networks BTC closed, USD open    -> kraken cancel; pulled withdrawals_closed
""",
    "what it takes away could not leave anyway: it goes on resting": """
coinbase networks BTC closed, USD open
kraken   filled 0.9 @100.6                -> coinbase sell 0.9 @100.9 hedge
""",
    "silence is caught by a timer, not only by messages": """
coinbase silent
wait 3s                                   -> kraken cancel; pulled book_age_recv
""",
    "the maker's own book gone stale pulls as well": """
kraken   silent
wait 3s                                   -> kraken cancel; pulled book_age_recv
""",
}


def a_world(**changes: object) -> World:
    """Return a world whose maker fee is nothing and whose taker fee is 10 bps."""
    params = {**PARAMS, **changes.pop("params", {})}  # type: ignore[dict-item]
    venues = changes.pop("venues", ROUTE)
    return World(venues, strategy=MakerTaker(params), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TABLES)
def test_life_of_a_quote(name: str) -> None:
    """Do what the table says, line by line."""
    play(a_world(), OPEN + TABLES[name])


def test_a_refused_order_lets_its_place_rest() -> None:
    """Count a post-only order that the venue refused as a missed quote, and place the next after the cool-down only."""
    play(
        a_world(),
        """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.9 @100.6 rest
kraken   rejected post_only_would_take    -> missed
coinbase book bid 101.0x3 ask 101.2x3     -> declined cool_down
wait 1s
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.9 @100.6 rest
""",
    )


def test_it_rests_post_only_and_pays_the_maker_fee() -> None:
    """Send one order that rests, at the maker's rate; of the hedge nothing leaves before a fill."""
    world = a_world()
    play(world, OPEN)

    assert [(TimeInForce.POST_ONLY, Decimal(0))] == [(one.tif, one.fee_rate) for one in world.intents]


def test_a_rebate_lets_it_bid_higher() -> None:
    """Pay up to the rebate more: a negative maker fee is money that comes in."""
    world = a_world()
    world.give(
        FeesLoaded(
            venue=VenueId("kraken"),
            fees=(FeeRate(instrument=InstrumentId("BTC/USD@kraken"), maker=Decimal("-0.002"), taker=Decimal("0.001")),),
        )
    )

    play(
        world,
        """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.9 @100.8 rest
""",
    )


def test_the_other_side_mirrors_it() -> None:
    """Rest an offer above, and buy back on the hedge venue."""
    play(
        a_world(params={"sides": "sell"}),
        """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3     -> kraken sell 0.9 @101.6 rest
kraken   accepted
kraken   filled 0.3 @101.6                -> coinbase buy 0.3 @101.3 hedge
coinbase filled 0.3 @101.2
kraken   quote filled 0.6 @101.6          -> coinbase buy 0.6 @101.3 hedge
coinbase filled 0.6 @101.2                -> flat 0.36
""",
    )


THIRD = """
kraken   book bid 100.0x5 ask 101.5x5
bitstamp book bid 100.9x3 ask 101.9x3
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.9 @100.6 rest
kraken   accepted
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.9 hedge
coinbase rejected other                   -> kraken cancel; coinbase sell 0.3 @100.8 hedge; pulled hedge_failed
coinbase rejected other                   -> bitstamp sell 0.3 @100.8 hedge
bitstamp filled 0.3 @100.9
kraken   quote canceled                   -> flat 0.09
"""


def test_a_third_venue_takes_what_the_hedge_venue_does_not() -> None:
    """Hedge on the third venue before anything is unwound at a loss."""
    play(a_world(venues=("kraken", "coinbase", "bitstamp")), THIRD)


@pytest.mark.parametrize("name", ["part of what rests is filled", "nothing is"])
def test_it_never_rests_more_than_its_hedge_venue_can_take(name: str) -> None:
    """Cut the quote to the hedge venue's balance, and count what rests as taken there."""
    world = a_world(balances={"BTC": "0.5", "USD": "10000"})
    play(
        world,
        """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3     -> kraken buy 0.5 @100.6 rest
kraken   accepted
""",
    )
    coinbase = VenueId("coinbase")
    assert world.engine.state.available(coinbase, Asset("BTC")) == 0
    if name == "nothing is":
        told = Balance(asset=Asset("BTC"), total=Decimal("0.4"))
        usd = Balance(asset=Asset("USD"), total=Decimal(1))
        pulled = world.give(AccountSnapshotReceived(venue=coinbase, balances=(told, usd)))
        assert pulled == ["kraken cancel", "pulled balance_short"]
    else:
        play(world, "kraken   filled 0.2 @100.6  -> coinbase sell 0.2 @100.9 hedge")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (BookInvalidated(instrument=InstrumentId("BTC/USD@coinbase"), fault=BookFault.CHECKSUM), Reason.BOOK_NOT_TRADABLE),
        (RateBudgetChanged(instrument=InstrumentId("BTC/USD@kraken"), has_room=False), Reason.RATE_BUDGET),
        (FeesLoaded(
            venue=VenueId("coinbase"),
            fees=(FeeRate(instrument=InstrumentId("BTC/USD@coinbase"), maker=Decimal(0), taker=Decimal("0.01")),),
        ), Reason.NO_EDGE),
    ],
)  # fmt: skip
def test_what_speaks_against_it_pulls_it_with_its_numbers(event: object, reason: Reason) -> None:
    """Cancel first and name the reason, without waiting for a message of any book."""
    world = a_world()
    play(world, OPEN)
    if isinstance(event, BookInvalidated):
        world.market.valid[event.instrument] = False
    world.give(event)  # type: ignore[arg-type]
    _, outcome = world.log[-1]

    assert isinstance(outcome.commands[0], CancelOrder)
    assert [reason] == [one.reason for one in outcome.decisions if isinstance(one, QuotePulled)]


class Fixed:
    """A strategy that wants one quote, whatever the books say."""

    name = "fixed"
    look_ms = 1
    edge_net_bps_min = Decimal(10)

    def __init__(self, *quotes: Quote) -> None:
        self.quotes = quotes

    def on_books(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Quote]:
        """Yield it."""
        yield from self.quotes


def a_bid(price: str, hedge_price: str = "100.9", maker: str = "kraken", hedge: str = "coinbase") -> Quote:
    """Return a bid on one venue that is hedged on another."""
    return Quote(
        maker=InstrumentId(f"BTC/USD@{maker}"), hedge=InstrumentId(f"BTC/USD@{hedge}"), side=Side.BUY, qty=Decimal("0.9"),
        price=Decimal(price), hedge_price=Decimal(hedge_price), edge_net_bps=Decimal(20),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "quote", "limits"),
    [
        (Reason.WOULD_TAKE, a_bid("101.5", "103"), {}),
        (Reason.HEDGE_SHORT, a_bid("100.6", "101.1"), {}),
        (Reason.NO_EDGE, a_bid("100.8"), {}),
        (Reason.NET_DELTA, a_bid("100.6"), {"net_delta_notional_max": Decimal(5)}),
        (Reason.NOTIONAL_PER_ARB, a_bid("100.6"), {"notional_per_arb_max": Decimal(5)}),
        (Reason.ARBS_OPEN, a_bid("100.6"), {"arbs_open_max": 0}),
    ],
)
def test_what_may_not_rest_is_declined(reason: Reason, quote: Quote, limits: dict[str, object]) -> None:
    """Believe the books and the limits, not the strategy's own numbers."""
    world = World(ROUTE, strategy=Fixed(quote), limits=RiskLimits(**limits))  # type: ignore[arg-type]
    world.line("kraken book bid 100.0x5 ask 101.5x5")

    assert [f"declined {reason}"] == world.line("coinbase book bid 101.0x3 ask 101.2x3")


def test_two_orders_of_ours_can_never_meet() -> None:
    """Refuse a bid where the hedge of another quote sells, and the other way round."""
    world = World(ROUTE, strategy=Fixed(a_bid("100.6"), a_bid("100.6", maker="coinbase", hedge="kraken")))
    world.line("kraken book bid 101.0x5 ask 101.5x5")

    assert ["kraken buy 0.9 @100.6 rest", "declined own_order"] == world.line("coinbase book bid 101.0x3 ask 101.2x3")


def test_a_look_that_comes_to_nothing_leaves_no_trace() -> None:
    """Keep state and digest as they were when books move and what rests may go on resting."""
    world = a_world()
    play(world, OPEN)
    before = world.engine.digest()
    for price in ("101.0", "101.1", "101.0"):
        world.line(f"coinbase book bid {price}x3 ask 101.2x3")

    assert before == world.engine.digest()


def test_an_order_of_an_earlier_run_is_cancelled_and_its_fills_are_hedged() -> None:
    """Ask after it, cancel it where it is found, and work off what filled meanwhile."""
    before = a_world()
    play(before, OPEN)
    world = a_world(epoch=2)
    world.line("kraken book bid 100.0x5 ask 101.5x5")
    intent = before.intents[0]
    named = VenueOrderId(f"V-{intent.client_order_id}")
    said = world.give(OrderRestored(intent=intent, state=OrderState.OPEN, venue_order_id=named, fills=()))
    world.intents.append(intent)
    assert said == ["kraken query"]

    play(
        world,
        """
coinbase book bid 101.0x3 ask 101.2x3
kraken   reported open 0                  -> kraken cancel
kraken   filled 0.3 @100.6                -> coinbase sell 0.3 @100.6 hedge
coinbase filled 0.3 @101.0
kraken   quote canceled                   -> flat 0.12
""",
    )
