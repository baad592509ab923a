"""The pretend venues of a replay: late, exact, and never kinder than the book."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import InvariantBroken
from arbot.domain.events import (
    AccountSnapshotReceived,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    TransferReported,
)
from arbot.domain.instrument import Balance
from arbot.domain.order import Liquidity, OrderState, Side, TimeInForce
from arbot.sim.fees import tiers
from arbot.sim.venue_model import FeeSchedule, RateLimit, fixed_fees
from tests.support.replay_world import (
    BTC,
    ID,
    START_NS,
    USD,
    Market,
    ReplayWorld,
    cancel,
    name_of,
    order,
    query,
)

D = Decimal
GTC, FOK, POST_ONLY = TimeInForce.GTC, TimeInForce.FOK, TimeInForce.POST_ONLY


def kinds(events):
    return [type(event) for event in events]


# --- taking ---------------------------------------------------------------------------------------------------------


def test_an_order_meets_the_book_of_its_arrival_and_is_answered_later():
    """A request takes 40 ms, the answer 20: the book in between decides, and nothing is known before 60 ms."""
    world = ReplayWorld()
    world.venue.submit(order(qty="2.5"))
    world.pass_ms(39)
    world.market.write(asks=(("100.2", "3"),))
    world.pass_ms(1)
    world.market.write(asks=(("105.0", "3"),))
    world.pass_ms(60)
    assert [60] == world.ms_told()
    assert [(D("100.2"), D("2.5"))] == world.fills()


def test_a_buy_walks_the_asks_at_their_own_prices_and_takes_them():
    """Each level pays its own price, nothing is bought above the limit, and what was taken is taken off the book."""
    world = ReplayWorld()
    events = world.submit(qty="4", price="100.5")
    assert [OrderAccepted, OrderFilled, OrderFilled, OrderExpired] == kinds(events)
    assert [(D("100.0"), D(1)), (D("100.5"), D(2))] == world.fills()
    assert D(3) == events[-1].filled_qty
    assert [("buy", "100.0", "1"), ("buy", "100.5", "2")] == world.taken
    assert [] == [e for e in world.submit(2, qty="1", price="100.5") if isinstance(e, OrderFilled)]


def test_fees_and_balances_are_exact():
    """A fill moves quantity, quantity x price, and the fee as an unrounded product."""
    world = ReplayWorld(market=Market(asks=(("65010.1", "0.12345678"),)))
    (fill,) = [e.fill for e in world.submit(qty="0.123", price="65010.1") if isinstance(e, OrderFilled)]
    cost = D("0.123") * D("65010.1")
    assert (cost * D("0.004"), Liquidity.TAKER) == (fill.fee.number, fill.liquidity)
    assert {USD: D(100000) - cost - cost * D("0.004"), BTC: D("100.123")} == world.venue.totals()


def test_sums_lose_no_digit():
    """A balance of forty digits is moved exactly."""
    usd = D("12345678901234567890.123456789012345678")
    world = ReplayWorld(usd=str(usd))
    world.submit(qty="0.7", price="100.0")
    assert "12345678901234567819.843456789012345678" == str(world.venue.totals()[USD])


def test_a_resting_order_must_be_able_to_pay_the_dearer_rate():
    """Where makers pay more than takers, an order that may rest needs money for that; one that cannot rest does not."""
    fees, usd = fixed_fees(D("0.003"), D("0.001")), str(D(100) * D("1.001"))
    (event,) = ReplayWorld(fees=fees, usd=usd).submit(price="100.0", tif=GTC)
    assert RejectCode.INSUFFICIENT_FUNDS == event.code
    world = ReplayWorld(fees=fees, usd=usd)
    world.submit(price="100.0")
    assert D(0) == world.venue.totals()[USD]


def test_without_consumption_the_depth_comes_back_at_once():
    """A naive venue fills and leaves the book as it is."""
    world = ReplayWorld(consumes=False)
    for number in (1, 2):
        assert D(1) == world.submit(number, qty="1", price="100.0")[1].fill.qty
    assert [] == world.taken


def test_fill_or_kill_takes_all_or_nothing():
    """What cannot be filled whole is not filled, and the book is left alone."""
    world = ReplayWorld()
    assert [OrderAccepted, OrderExpired] == kinds(world.submit(1, qty="3.5", tif=FOK))
    assert [] == world.taken
    assert [OrderAccepted, OrderFilled, OrderFilled] == kinds(world.submit(2, qty="3", tif=FOK))


def test_a_book_that_cannot_be_trusted_fills_nothing():
    """On an invalid book any order expires."""
    for number, tif in enumerate(TimeInForce):
        world = ReplayWorld(market=Market(is_valid=False))
        assert [OrderAccepted, OrderExpired] == kinds(world.submit(number, tif=tif))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": "1.0005"}, RejectCode.INVALID_STEP),
        ({"price": "100.05"}, RejectCode.INVALID_PRICE),
        ({"qty": "0.001", "price": "100.0"}, RejectCode.BELOW_MINIMUM),
        ({"qty": "51"}, RejectCode.OTHER),
        ({"qty": "50", "price": "3000"}, RejectCode.INSUFFICIENT_FUNDS),
        ({"deadline_ns": START_NS + 39_999_999}, RejectCode.DEADLINE),
        ({"tif": POST_ONLY, "price": "100.0"}, RejectCode.POST_ONLY_WOULD_TAKE),
    ],
)
def test_orders_a_venue_would_not_take_are_rejected(changes, code):
    """Steps, ticks, sizes, funds, deadline on arrival, and post-only are checked; the money stays where it was."""
    world = ReplayWorld()
    (event,) = world.submit(**changes)
    assert (OrderRejected, code) == (type(event), event.code)
    assert {USD: D(100000), BTC: D(100)} == world.venue.totals()


def test_the_same_order_again_trades_nothing():
    """A client order id is traded once: on its way the repetition is dropped, later the first answer is told again."""
    world = ReplayWorld()
    world.venue.submit(order())
    first = world.submit()
    assert first == world.submit()
    assert D(101) == world.venue.totals()[BTC]


# --- rivals, refusals, limits, lost answers ---------------------------------------------------------------------------


def test_rivals_take_their_share_of_every_level():
    """With half of the depth left, an order gets half of each level, and what the rivals took is gone as well."""
    world = ReplayWorld(depth_share=D("0.5"))
    world.submit(qty="1.2", price="100.5")
    assert [(D("100.0"), D("0.5")), (D("100.5"), D("0.7"))] == world.fills()
    assert {D("100.5"): D("0.3")} == world.market.sides[Side.BUY]


def test_a_rival_may_have_taken_the_best_level_whole():
    """When somebody was faster, the best level is gone and the next one is what there is."""
    world = ReplayWorld(rival_share=1.0)
    world.submit(qty="1", price="100.5")
    assert [(D("100.5"), D(1))] == world.fills()
    assert {D("100.5"): D(1)} == world.market.sides[Side.BUY]


def test_orders_are_refused_by_chance():
    """A share of one rejects every order after its way there and back."""
    world = ReplayWorld(reject_share=1.0)
    (event,) = world.submit()
    assert ("rejected by chance", RejectCode.OTHER) == (event.detail, event.code)


def test_chance_refuses_about_its_share():
    """A reject share of a fifth refuses about a fifth of 400 orders, the same ones for the same seed."""

    def refused(seed):
        world = ReplayWorld(reject_share=0.2, consumes=False, usd="10000000", seed=seed)
        return [isinstance(world.submit(number)[0], OrderRejected) for number in range(400)]

    assert 55 < sum(refused(3)) < 105
    assert refused(3) == refused(3) != refused(4)


def test_a_lost_answer_is_learned_by_asking():
    """The request times out, the order is carried out all the same, and a query tells fills and end."""
    world = ReplayWorld(timeout_share=1.0, request_timeout_ms=500)
    world.venue.submit(order(qty="1.5", price="100.0"))
    world.pass_ms(1000)
    assert [RequestOutcomeUnknown] == kinds(world.events())
    assert [500] == world.ms_told()
    world.venue.query(query())
    world.pass_ms(100)
    fill, status = world.events(1)
    assert (D(1), OrderState.EXPIRED, D(1)) == (fill.fill.qty, status.state, status.filled_qty)
    assert 1060 == world.ms_told()[-1]


def test_a_query_before_the_arrival_finds_nothing():
    """What has not arrived is unknown to every list of the venue, and the moment of the question is told."""
    world = ReplayWorld()
    world.venue.query(query())
    world.pass_ms(100)
    (status,) = world.events()
    assert (OrderState.UNKNOWN, 2, START_NS) == (status.state, status.sources, status.asked_ts_ns)


def test_a_query_tells_every_state():
    """Refused, filled, and open orders are told as such, with what was filled of them."""
    world = ReplayWorld()
    world.submit(1, qty="1.0005")
    world.submit(2, qty="1")
    world.submit(3, qty="1", price="90.0", tif=GTC)
    world.submit(4, qty="3", price="100.5", tif=GTC)
    states = {}
    for number in (1, 2, 3, 4):
        before = len(world.told)
        world.venue.query(query(number))
        world.pass_ms(100)
        report = world.events(before)[-1]
        assert isinstance(report, OrderStatusReported)
        states[number] = (report.state, report.filled_qty, report.venue_order_id is None)
    assert {
        1: (OrderState.REJECTED, D(0), True),
        2: (OrderState.FILLED, D(1), False),
        3: (OrderState.OPEN, D(0), False),
        4: (OrderState.PART_FILLED, D(2), False),
    } == states


def test_the_rate_limit_is_a_bucket():
    """With four tokens two orders leave too few for an arb, a fifth order is refused, and time fills the bucket."""
    world = ReplayWorld(limit=RateLimit(per_second=D(2), burst=4))
    assert world.venue.has_arb_budget(ID)
    for number in range(5):
        world.venue.submit(order(number, qty="0.1"))
        assert (number < 1) == world.venue.has_arb_budget(ID)
    world.pass_ms(499)
    codes = [event.code for event in world.events() if isinstance(event, OrderRejected)]
    assert [RejectCode.RATE_LIMITED] == codes
    world.venue.submit(order(5, qty="0.1"))
    world.pass_ms(500)
    world.venue.submit(order(6, qty="0.1"))
    world.pass_ms(100)
    rejected = [event.client_order_id for event in world.events() if isinstance(event, OrderRejected)]
    assert [name_of(4), name_of(5)] == rejected
    world.pass_ms(900)
    assert not world.venue.has_arb_budget(ID)
    world.pass_ms(500)
    assert world.venue.has_arb_budget(ID)


# --- resting ----------------------------------------------------------------------------------------------------------


def resting(qty="1", price="99.5", side=Side.BUY, **changes):
    """Return a world in which one order rests and has been told to be accepted."""
    world = ReplayWorld(**changes)
    assert [OrderAccepted] == kinds(world.submit(qty=qty, price=price, side=side, tif=POST_ONLY))
    assert world.venue.watches(ID)
    return world


def test_a_resting_order_waits_for_those_ahead():
    """Prints at its price by takers of the other side serve the displayed quantity first, then the order, at maker fee."""
    world = resting()
    world.venue.on_trade(ID, D("99.5"), D("0.4"), Side.BUY)
    world.venue.on_trade(ID, D("99.6"), D(9), Side.SELL)
    world.venue.on_trade(ID, D("99.5"), D("0.6"), Side.SELL)
    assert [] == world.fills()
    world.venue.on_trade(ID, D("99.5"), D("0.7"), Side.SELL)
    world.pass_ms(100)
    assert [(D("99.5"), D("0.3"))] == world.fills()
    fill = world.events()[-1].fill
    assert (Liquidity.MAKER, D("0.3") * D("99.5") * D("0.0025")) == (fill.liquidity, fill.fee.number)
    world.venue.on_trade(ID, D("99.5"), D(5), Side.SELL)
    world.pass_ms(100)
    assert (D("99.5"), D("0.7")) == world.fills()[-1]
    assert not world.venue.watches(ID)


def test_less_displayed_than_ahead_moves_the_order_up():
    """When the displayed quantity falls below what is ahead, that is what is ahead; when it rises, the order keeps its place."""
    world = resting()
    for displayed in ("0.3", "5"):
        world.market.write(bids=(("99.5", displayed), ("99.0", "1")))
        world.venue.on_book(ID)
    world.venue.on_trade(ID, D("99.5"), D("0.5"), Side.SELL)
    world.pass_ms(100)
    assert [(D("99.5"), D("0.2"))] == world.fills()


def test_a_print_through_its_price_meets_the_order_first():
    """A seller who went below our bid would have sold to us, no more than was printed, at our price."""
    world = resting(qty="2")
    world.venue.on_trade(ID, D("99.4"), D("1.5"), Side.SELL)
    world.pass_ms(100)
    assert [(D("99.5"), D("1.5"))] == world.fills()


def test_the_opposite_side_at_its_price_fills_the_order_once():
    """Asks shown at or below our bid would have met it: up to what is shown, once, at our price."""
    world = resting(qty="2")
    world.market.write(asks=(("99.3", "0.5"), ("99.5", "0.7"), ("99.6", "9")))
    world.venue.on_book(ID)
    world.venue.on_book(ID)
    world.pass_ms(100)
    assert [(D("99.5"), D("1.2"))] == world.fills()
    assert {D("99.6"): D(9)} == world.market.sides[Side.BUY]


def test_a_sell_rests_as_a_buy_does():
    """An ask of ours waits behind the asks, and trades with buyers at and above its price."""
    world = resting(side=Side.SELL, price="100.0", qty="1")
    world.venue.on_trade(ID, D("100.0"), D("1.25"), Side.BUY)
    world.venue.on_trade(ID, D("100.1"), D("0.25"), Side.BUY)
    world.market.write(bids=(("100.2", "9"),))
    world.venue.on_book(ID)
    world.pass_ms(100)
    assert [(D("100.0"), D("0.25")), (D("100.0"), D("0.25")), (D("100.0"), D("0.5"))] == world.fills()


def test_a_gtc_takes_what_crosses_and_rests_with_the_rest():
    """The part that crosses pays taker, the remainder waits alone at the new best price."""
    world = ReplayWorld()
    assert [OrderAccepted, OrderFilled] == kinds(world.submit(qty="1.5", price="100.0", tif=GTC))
    world.venue.on_trade(ID, D("100.0"), D("0.2"), Side.SELL)
    world.pass_ms(100)
    liquidity = [e.fill.liquidity for e in world.events() if isinstance(e, OrderFilled)]
    assert [(D("100.0"), D(1)), (D("100.0"), D("0.2"))] == world.fills()
    assert [Liquidity.TAKER, Liquidity.MAKER] == liquidity


def test_an_order_below_the_recorded_levels_gets_its_place_when_they_reach_it():
    """Nobody knows who is ahead at a price that is not recorded; once it is, everyone shown there is."""
    world = resting(price="98.0")
    world.venue.on_trade(ID, D("98.0"), D(5), Side.SELL)
    world.market.write(bids=(("98.0", "2"),))
    world.venue.on_book(ID)
    world.venue.on_trade(ID, D("98.0"), D("2.5"), Side.SELL)
    world.pass_ms(100)
    assert [(D("98.0"), D("0.5"))] == world.fills()


def test_two_orders_share_a_print_by_price_and_age():
    """The better price is served first, then the older order; together they get no more than was printed."""
    world = ReplayWorld(market=Market(bids=(("98.0", "1"),)))
    for number, price in ((1, "99.0"), (2, "99.0"), (3, "99.1")):
        world.submit(number, qty="1", price=price, tif=POST_ONLY)
    world.venue.on_trade(ID, D("99.0"), D("2.5"), Side.SELL)
    world.pass_ms(100)
    fills = [(e.fill.client_order_id, e.fill.qty) for e in world.events() if isinstance(e, OrderFilled)]
    assert [(name_of(3), D(1)), (name_of(1), D(1)), (name_of(2), D("0.5"))] == fills


def test_resting_orders_reserve_what_they_may_cost():
    """A bid reserves price and fee until it is filled or canceled, and a second one cannot spend the same money."""
    world = resting(usd="100", price="99.5")
    reserved = D("99.5") * D("1.004")
    held = D("99.5") * D("1.0025")
    assert reserved <= D(100)
    assert Balance(asset=USD, total=D(100), reserved=held) in world.venue.snapshot().balances
    assert RejectCode.INSUFFICIENT_FUNDS == world.submit(2, qty="0.1", price="99.5", tif=POST_ONLY)[0].code
    world.venue.cancel(cancel())
    world.pass_ms(100)
    assert (D(100), D(0)) == (world.venue.available(USD), world.events()[-1].filled_qty)
    assert isinstance(world.events()[-1], OrderCanceled)
    assert [OrderAccepted] == kinds(world.submit(3, qty="0.1", price="99.5", tif=POST_ONLY))


def test_what_has_ended_cannot_be_canceled():
    """A cancel of an unknown, refused or filled order is refused; of all, it ends those that rest."""
    world = ReplayWorld()
    world.submit(1)
    for number in (1, 9):
        world.venue.cancel(cancel(number))
        world.pass_ms(100)
        assert isinstance(world.events()[-1], CancelRejected)
    world.submit(2, price="99.5", tif=GTC)
    world.submit(3, price="99.0", tif=GTC)
    world.venue.cancel_all()
    world.pass_ms(100)
    assert [OrderCanceled, OrderCanceled] == kinds(world.events()[-2:])
    assert not world.venue.watches(ID)


# --- the account ------------------------------------------------------------------------------------------------------


def test_fees_follow_the_volume():
    """Once the volume reaches the next tier, the new rates are told once, and orders that arrive from then on pay them."""
    schedule = FeeSchedule(tiers=tiers((0, "25", "40"), (10_000, "20", "35")), volume_opening=D(9_950))
    world = ReplayWorld(fees=schedule)
    assert D("0.004") == world.venue.fees().fees[0].taker
    assert world.venue.fees_changed() is None
    assert D("0.4") == world.submit(1, qty="1", price="100.0")[1].fill.fee.number
    assert D("0.0035") == world.venue.fees_changed().fees[0].taker
    assert world.venue.fees_changed() is None
    assert D("100.5") * D("0.0035") == world.submit(2, qty="1", price="100.5")[1].fill.fee.number


def test_transfers_are_told_and_the_balances_until_they_are_believed():
    """A deposit is reported with the balances; while orders are under way these are told again, until all is quiet."""
    world = ReplayWorld()
    world.venue.submit(order())
    for _ in range(2):
        world.venue.deposit(USD, D(500))
    assert 2 * [TransferReported, AccountSnapshotReceived] == kinds(world.events())
    assert (D(500), START_NS) == (world.events()[0].qty, world.events()[0].venue_ts_ns)
    assert 2 == len({event.transfer_id for event in world.events() if isinstance(event, TransferReported)})
    world.pass_ms(60_000)
    snapshots = [ms for ms, events in world.told if isinstance(events[0], AccountSnapshotReceived)]
    assert [6_000, 12_000] == snapshots
    world.venue.withdraw(BTC, D(1))
    assert D(-1) == next(e for e in reversed(world.events()) if isinstance(e, TransferReported)).qty
    assert D(100) == world.venue.totals()[BTC]


def test_what_is_reserved_cannot_be_withdrawn():
    """A withdrawal of money that a resting order holds breaks a promise of the caller."""
    world = resting()
    with pytest.raises(InvariantBroken, match="not there"):
        world.venue.withdraw(USD, D(100_000))
