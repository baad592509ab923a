"""Is every taxable event valued when it happens, once, and from what the books said?"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import PriceSeen, Valued
from arbot.domain.events import AdjustmentRecorded, MovementState, TransferReported
from arbot.domain.ids import VenueId
from tests.support.engine_world import World, an_instrument

OPEN = ("kraken book bid 100.0x2 ask 100.2x2", "coinbase book bid 101.0x2 ask 101.2x2")


def valued(world: World) -> list[Valued]:
    """Return what was valued in the last step."""
    return [one for one in world.log[-1][1].decisions if isinstance(one, Valued)]


def after(world: World, *lines: str) -> World:
    """Play some lines and return the world."""
    for line in lines:
        world.line(line)
    return world


def test_a_fill_is_valued_from_the_books_of_its_moment() -> None:
    """Give the median over two books with no touch, and both books by name."""
    world = after(World(), *OPEN, "kraken filled 2 @100.2")

    one = next(v for v in valued(world) if v.subject.startswith("fill|kraken|"))

    assert one.missing == ()
    assert [(p.asset, p.price, p.source) for p in one.prices] == [
        ("BTC", Decimal("100.6"), "median of mids of kraken BTC/USD, coinbase BTC/USD")
    ]
    assert (one.prices[0].bid, one.prices[0].quoted_ts_ns) == ((Decimal(0), Decimal(0)), world.now_ns)


def test_one_book_is_told_with_its_touch() -> None:
    """Name the levels a price was read from when one book gave it."""
    world = after(World(), *OPEN, "coinbase invalid", "kraken filled 2 @100.2")

    assert valued(world)[-1].prices == (
        PriceSeen(
            asset="BTC", price=Decimal("100.1"), ccy="USD", source="kraken BTC/USD mid", quoted_ts_ns=world.now_ns,
            bid=(Decimal("100.0"), Decimal(2)), ask=(Decimal("100.2"), Decimal(2)),
        ),
    )  # fmt: skip


def test_a_fill_told_again_is_not_valued_again() -> None:
    """Value the same trade once, whatever its second telling."""
    world = after(World(), *OPEN, "kraken filled 2 @100.2", "kraken again")

    assert valued(world) == []


def test_a_fee_in_a_third_asset_is_valued_over_its_own_market() -> None:
    """Price BNB, which has no book in USD, over USDT, which has one: no parity is assumed."""
    listed = (*(an_instrument(v) for v in ("kraken", "coinbase")), an_instrument("kraken", "BNB/USDT"), an_instrument("kraken", "USDT/USD"))  # fmt: skip
    world = World(instruments=listed)
    after(
        world, "kraken book BNB/USDT bid 599.0x1 ask 601.0x1", "kraken book USDT/USD bid 0.9x1 ask 1.1x1", *OPEN,
        "kraken filled 1 @100.2 fee 0.01 BNB",
    )  # fmt: skip

    fee = valued(world)[-1].prices[-1]

    assert (fee.asset, fee.price, fee.source) == ("BNB", Decimal(600), "kraken BNB/USDT mid x kraken USDT/USD mid")


def test_what_nothing_prices_is_missing_and_tried_again() -> None:
    """Say at the first snapshot that BTC has no price yet, and price it with the next one, once books are there."""
    world = World()
    first = [v for _, outcome in world.log for v in outcome.decisions if isinstance(v, Valued)]
    after(world, *OPEN, "kraken balances")

    assert {(v.subject, v.missing) for v in first} == {("opening|kraken", ("BTC",)), ("opening|coinbase", ("BTC",))}
    assert {(v.subject, v.prices[0].price, v.missing) for v in valued(world)} == {
        ("opening|kraken", Decimal("100.6"), ()),
        ("opening|coinbase", Decimal("100.6"), ()),
    }
    after(world, "kraken balances")
    assert valued(world) == []


def test_a_dead_book_leaves_the_last_known_price_with_its_time() -> None:
    """Keep the evidence of the last look when every book is gone, and say when that was."""
    world = after(World(), *OPEN, "kraken balances")
    seen_ns = world.now_ns
    after(world, "wait 5s", "kraken invalid", "coinbase invalid")
    world.give(AdjustmentRecorded(venue=VenueId("kraken"), asset="BTC", qty=Decimal(1), reason="r", actor="a"))

    price = valued(world)[0].prices[0]

    assert (price.price, price.quoted_ts_ns) == (Decimal("100.6"), seen_ns)
    assert price.source.endswith("the last known")


def test_a_fill_prices_its_base_when_no_book_does() -> None:
    """Take the trade's own price for the base, before any older book."""
    world = after(World(), *OPEN, "kraken invalid", "coinbase invalid", "kraken filled 1 @100.2")

    price = valued(world)[-1].prices[0]

    assert (price.price, price.source) == (Decimal("100.2"), "kraken BTC/USD trade T1")


def test_a_movement_is_valued_when_it_first_moves_money() -> None:
    """Value a withdrawal when it is pending and not again when it is done; a deposit when it is done."""
    world = after(World(), *OPEN)

    def told(qty: str, state: MovementState, name: str) -> int:
        world.give(
            TransferReported(
                venue=VenueId("kraken"), transfer_id=name, asset="BTC", qty=Decimal(qty), fee=Decimal(0),
                state=state, venue_ts_ns=world.now_ns,
            )
        )  # fmt: skip
        return len(valued(world))

    assert [told("-1", MovementState.PENDING, "W"), told("-1", MovementState.DONE, "W")] == [1, 0]
    assert [told("1", MovementState.PENDING, "D"), told("1", MovementState.DONE, "D")] == [0, 1]
