"""Which record of units counts: custody, books, a word to the broker, and the year, to the nanosecond."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.history import LotMethod, PickedLot, parse_ts
from arbot.ledger.lots.book import LotBook, utc_year_begin_ns
from arbot.ledger.lots.identification import Identification, InForce
from arbot.ledger.lots.policy import AllocationKind, Custody, LotPolicy, Pick, StandingOrder
from arbot.ledger.lots.words import Acquire, Dispose, Send, Why

AT_2026 = parse_ts("2026-05-01T12:00:00Z")
AT_2027 = parse_ts("2027-01-01T00:00:00Z")
PICK_COUNTS = [
    # custody, sold at, booked, told (ns before the disposal; None is never) -> counts as made so many ns before, None is void
    (Custody.SELF, AT_2026, 0, None, 0),
    (Custody.SELF, AT_2026, -1, None, None),
    (Custody.SELF, AT_2026, None, 5, None),
    (Custody.SELF, AT_2027, 3, None, 3),
    (Custody.BROKER, AT_2026, 0, None, 0),
    (Custody.BROKER, AT_2026, None, 0, 0),
    (Custody.BROKER, AT_2026, -1, 2, 2),
    (Custody.BROKER, AT_2026, -1, -1, None),
    (Custody.BROKER, AT_2027 - 1, 9, None, 9),
    (Custody.BROKER, AT_2027, 9, None, None),
    (Custody.BROKER, AT_2027, 9, 0, 0),
    (Custody.BROKER, AT_2027, 9, -1, None),
]


def stamp(ts_ns, before):
    """Return the instant so many ns before another, 0 for never."""
    return 0 if before is None else ts_ns - before


@pytest.mark.parametrize(("custody", "ts_ns", "booked", "told", "counts"), PICK_COUNTS)
def test_pick_counts_when_it_was_there_in_time(custody, ts_ns, booked, told, counts):
    """A pick has to be there no later than the disposal, where the custody of that year asks for it."""
    who = Identification(LotPolicy(custody_default=custody), utc_year_begin_ns)
    pick = Pick(lots=(), recorded_ns=stamp(ts_ns, booked), told_broker_ns=stamp(ts_ns, told))

    assert stamp(ts_ns, counts) == who.picked_ns(pick, "v", ts_ns)


@pytest.mark.parametrize(
    ("custody", "ts_ns", "booked", "told", "counts"),
    [
        (Custody.SELF, AT_2026, 1, None, 1),
        (Custody.SELF, AT_2026, 0, None, None),
        (Custody.SELF, AT_2026, None, 5, None),
        (Custody.SELF, AT_2027, 3, None, 3),
        (Custody.BROKER, AT_2026, 1, None, 1),
        (Custody.BROKER, AT_2026, 0, 0, None),
        (Custody.BROKER, AT_2026, -1, 2, 2),
        (Custody.BROKER, AT_2026, 7, 2, 7),
        (Custody.BROKER, AT_2027 - 1, 9, None, 9),
        (Custody.BROKER, AT_2027, 9, None, None),
        (Custody.BROKER, AT_2027, 9, 1, 1),
        (Custody.BROKER, AT_2027, 9, 0, None),
    ],
)
def test_standing_order_has_to_be_there_before(custody, ts_ns, booked, told, counts):
    """A standing order counts from just after its record, where the custody of that year asks for it."""
    order = StandingOrder(method=LotMethod.HIFO, recorded_ns=stamp(ts_ns, booked), told_broker_ns=stamp(ts_ns, told))
    who = Identification(LotPolicy(custody_default=custody, orders=(order,)), utc_year_begin_ns)

    expected = InForce(LotMethod.FIFO, 0) if counts is None else InForce(LotMethod.HIFO, ts_ns - counts)
    assert expected == who.order("v", "BTC", ts_ns)


def test_custody_is_set_by_account_or_by_its_venue():
    """An account's own custody goes before its venue's, and that before the default."""
    policy = LotPolicy(
        custody={"binance": Custody.SELF, "binance.us": Custody.BROKER},
        orders=(StandingOrder(method=LotMethod.LIFO, recorded_ns=1),),
    )
    who = Identification(policy, utc_year_begin_ns)

    assert [LotMethod.LIFO, LotMethod.LIFO, LotMethod.FIFO, LotMethod.FIFO] == [
        who.order(account, "BTC", AT_2027).method for account in ("binance", "binance.sub1", "binance.us", "kraken")
    ]


def test_the_narrower_scope_goes_first_and_the_later_record_replaces():
    """Account and asset, account, asset, all: in that order; within one scope the last record before holds."""
    day = 86_400 * 10**9
    orders = (
        StandingOrder(method=LotMethod.LIFO, recorded_ns=9 * day),
        StandingOrder(method=LotMethod.HIFO, recorded_ns=2 * day, asset="BTC"),
        StandingOrder(method=LotMethod.LOFO, recorded_ns=3 * day, account="v"),
        StandingOrder(method=LotMethod.FIFO, recorded_ns=4 * day, account="v", asset="BTC"),
        StandingOrder(method=LotMethod.HIFO, recorded_ns=6 * day, account="v", asset="BTC"),
    )
    who = Identification(LotPolicy(orders=orders), utc_year_begin_ns)

    assert who.order("v", "BTC", 2 * day) == InForce(LotMethod.FIFO, 0)
    assert who.order("v", "BTC", 2 * day + 1) == InForce(LotMethod.HIFO, 2 * day)
    assert who.order("v", "BTC", 4 * day) == InForce(LotMethod.LOFO, 3 * day)
    assert who.order("v", "BTC", 5 * day) == InForce(LotMethod.FIFO, 4 * day)
    assert who.order("v", "BTC", 10 * day) == InForce(LotMethod.HIFO, 6 * day)
    assert who.order("v", "ETH", 10 * day) == InForce(LotMethod.LOFO, 3 * day)
    assert who.order("w", "BTC", 10 * day) == InForce(LotMethod.HIFO, 2 * day)
    assert who.order("w", "ETH", 9 * day) == InForce(LotMethod.FIFO, 0)
    assert who.order("w", "ETH", 10 * day) == InForce(LotMethod.LIFO, 9 * day)


def test_method_by_year_changes_where_the_year_begins():
    """A method by year holds from the first instant of that local year, and an order goes before it."""
    policy = LotPolicy(method=LotMethod.LOFO, method_by_year={2025: LotMethod.LIFO, 2026: LotMethod.HIFO})
    who = Identification(policy, lambda year: utc_year_begin_ns(year) + 5)
    begins = utc_year_begin_ns(2026) + 5

    assert [LotMethod.LOFO, LotMethod.LIFO, LotMethod.HIFO] == [
        who.order("v", "BTC", ts_ns).method for ts_ns in (utc_year_begin_ns(2025), begins - 1, begins)
    ]


def held_book(policy):
    """Return a book with three lots at v: L1 cheap, L2 dear, L3 between."""
    book = LotBook(policy)
    for n, basis in ((1, 80), (2, 100), (3, 90)):
        book.apply([Acquire(f"L{n}", "v", "BTC", Decimal(1), Decimal(basis), n)], n, n)
    return book


def sale(qty, name="s"):
    """Return a sale of so many BTC at v for 95 each."""
    return Dispose(name, "v", "BTC", Decimal(qty), 95 * Decimal(qty), Why.SELL)


def picked(*lots, recorded_ns=5):
    """Return a pick of (lot, quantity)."""
    return Pick(lots=tuple(PickedLot(lot, Decimal(qty)) for lot, qty in lots), recorded_ns=recorded_ns)


def test_what_a_pick_leaves_open_goes_by_the_order_in_force():
    """Named units go first, as named and with their time; the rest follows the method."""
    book = held_book(LotPolicy(picks={"s": picked(("L3", "0.5"))}))
    slices = book.apply([sale(2)], 10, 10)

    assert [("L3", Decimal("0.5"), "pick", 5), ("L1", Decimal(1), "fifo", 0), ("L2", Decimal("0.5"), "fifo", 0)] == [
        (part.lot, part.qty, part.method, part.identified_ns) for part in slices
    ]


def test_a_pick_of_more_than_is_sold_takes_the_first_named():
    """An order that filled in part takes the units named first."""
    book = held_book(LotPolicy(picks={"s": picked(("L2", "1"), ("L3", "1"))}))
    slices = book.apply([sale("1.25")], 10, 10)

    assert [("L2", Decimal(1)), ("L3", Decimal("0.25"))] == [(part.lot, part.qty) for part in slices]
    assert book.open_items() == []


def test_a_late_pick_is_told_and_the_standing_order_holds():
    """A void pick blocks nothing, and the note says what chose instead."""
    order = StandingOrder(method=LotMethod.HIFO, recorded_ns=4)
    book = held_book(LotPolicy(picks={"s": picked(("L1", "1"), recorded_ns=11)}, orders=(order,)))
    (part,) = book.apply([sale(1)], 10, 10)

    assert ("L2", "hifo", 4) == (part.lot, part.method, part.identified_ns)
    assert book.open_items() == []
    (note,) = book.notes()
    assert (note.code, note.where) == ("pick_void", "s at v")
    assert "hifo chose" in note.what


@pytest.mark.parametrize("lots", [[("L2", "2")], [("L9", "1")], [("L2", "1"), ("L2", "1")]])
def test_a_pick_of_units_that_are_not_there_is_refused(lots):
    """A pick that names units the account does not hold is an open item, never replaced in silence."""
    book = held_book(LotPolicy(picks={"s": picked(*lots)}))
    book.apply([sale(2)], 10, 10)

    (item,) = book.open_items()
    assert (item.code, item.where) == ("pick_not_held", "s at v")
    assert f"1 BTC of lot {lots[0][0]}" in item.what


def test_units_of_a_transfer_can_be_picked():
    """A pick by the id of a transfer names the units that move."""
    book = held_book(LotPolicy(picks={"t": picked(("L3", "1"))}))
    book.apply([Send("t", "v", "w", "BTC", Decimal(1), 20)], 10, 10)
    book.finish()

    assert [("v", "L1"), ("v", "L2"), ("w", "L3")] == [(left.account, left.lot) for left in book.remaining()]


@pytest.mark.parametrize(
    ("completed", "lot"), [("", "L1"), ("2025-04-01T00:00:00Z", "L1"), ("2025-03-01T12:00:00Z", "L2")]
)
def test_a_pick_waits_for_the_global_allocation(completed, lot):
    """Until a global allocation is carried out a pick is void; from that instant on it counts."""
    sold_ns = parse_ts("2025-03-01T12:00:00Z")
    policy = LotPolicy(
        picks={"s": picked(("L2", "1"))},
        allocation=AllocationKind.GLOBAL,
        allocation_completed_ns=parse_ts(completed) if completed else 0,
    )
    (part,) = held_book(policy).apply([sale(1)], sold_ns, 10)

    assert part.lot == lot


ORDER_NS = AT_2026 + 5
OWN_ORDER_COUNTS = [
    # custody, sold at -> the method of the order itself, or of the standing order
    (Custody.BROKER, AT_2026, LotMethod.LIFO),  # decided after the venue's clock says it was sold: the order came first
    (Custody.BROKER, AT_2027 - 1, LotMethod.LIFO),
    (Custody.BROKER, AT_2027, LotMethod.FIFO),  # nobody told the broker, of neither
    (Custody.SELF, AT_2027, LotMethod.LIFO),
]


@pytest.mark.parametrize(("custody", "ts_ns", "method"), OWN_ORDER_COUNTS)
def test_what_an_order_said_goes_before_the_standing_order(custody, ts_ns, method):
    """The units of a fill and of its fee go as its own order said, those of other lines by the standing order."""
    policy = LotPolicy(
        orders=(StandingOrder(method=LotMethod.HIFO, recorded_ns=1),),
        by_order={"T1": StandingOrder(method=LotMethod.LIFO, recorded_ns=ORDER_NS)},
        custody_default=custody,
    )
    who = Identification(policy, utc_year_begin_ns)
    standing = LotMethod.FIFO if method is LotMethod.FIFO else LotMethod.HIFO

    expected = InForce(method, ORDER_NS if method is LotMethod.LIFO else 0)
    assert expected == who.of("T1", "kraken", "BTC", ts_ns) == who.of("T1:fee", "kraken", "BNB", ts_ns)
    assert standing is who.of("T2", "kraken", "BTC", ts_ns).method


def test_a_pick_goes_before_what_its_order_said():
    """Units that were named go first; what the sale takes beyond them goes as the order said."""
    policy = LotPolicy(
        by_order={"s": StandingOrder(method=LotMethod.LIFO, recorded_ns=7)},
        picks={"s": Pick(lots=(PickedLot("B", Decimal(1)),), recorded_ns=9)},
    )
    book = LotBook(policy)
    for number, name in enumerate("ABC"):
        book.apply([Acquire(name, "kraken", "BTC", Decimal(1), Decimal(100), 10 + number)], 10 + number, number)
    slices = book.apply([Dispose("s", "kraken", "BTC", Decimal(2), Decimal(500), Why.SELL)], 20, 4)

    assert [("B", "pick", 9), ("C", "lifo", 7)] == [(one.lot, one.method, one.identified_ns) for one in slices]
