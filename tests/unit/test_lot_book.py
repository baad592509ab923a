"""The lot book by hand: orders, splitting, coins on their way, units without a lot."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import InvariantBroken
from arbot.domain.history import LotMethod, parse_ts
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.book import LotBook
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import Acquire, Dispose, Remaining, Remove, Send, Why
from tests.support.arb_year import placed


def acquire(lot, basis, qty="1", account="v", acquired_ns=None):
    """Return a lot of BTC; its name ends in its time."""
    return Acquire(
        lot, account, "BTC", Decimal(qty), Decimal(basis), int(lot[1:]) if acquired_ns is None else acquired_ns
    )


def dispose(qty, proceeds, account="v", name="s"):
    """Return a sale of BTC."""
    return Dispose(name, account, "BTC", Decimal(qty), Decimal(proceeds), Why.SELL)


def send(qty, arrives_ns, name="t", account="v", to="w"):
    """Return a move of BTC."""
    return Send(name, account, to, "BTC", Decimal(qty), arrives_ns)


def left(book):
    """Return (account, lot, quantity, basis) of what is left."""
    return [(one.account, one.lot, one.qty, one.basis) for one in book.remaining()]


@pytest.mark.parametrize(
    ("method", "lots"),
    [
        (LotMethod.FIFO, ["L1", "L2", "L3", "L4"]),
        (LotMethod.LIFO, ["L4", "L3", "L2", "L1"]),
        (LotMethod.HIFO, ["L2", "L1", "L4", "L3"]),
        (LotMethod.LOFO, ["L3", "L1", "L4", "L2"]),
    ],
)
def test_units_go_in_the_order_of_the_method(method, lots):
    """Time, time backwards, highest and lowest cost per unit; equal costs by time."""
    book = LotBook(LotPolicy(method=method))
    book.apply([acquire("L1", "20", "2"), acquire("L2", "30"), acquire("L3", "5"), acquire("L4", "10")], 5, 1)

    assert lots == [part.lot for part in book.apply([dispose(5, 100)], 6, 2)]
    assert left(book) == []


def test_equal_times_go_by_sequence_also_after_a_transfer():
    """Lots of one instant keep the order in which they were acquired, at a new account as well."""
    for method, lots in ((LotMethod.FIFO, ["L1", "L2"]), (LotMethod.LIFO, ["L2", "L1"])):
        book = LotBook(LotPolicy(method=method))
        book.apply([acquire("L1", "5", acquired_ns=1), acquire("L2", "5", acquired_ns=1)], 1, 1)
        book.apply([send(1, 3)], 2, 2)
        book.apply([send(1, 4)], 4, 3)

        assert lots == [part.lot for part in book.apply([dispose(2, 9, "w")], 5, 4)]


@pytest.mark.parametrize(("method", "first"), [(LotMethod.HIFO, "L1"), (LotMethod.LOFO, "L1")])
def test_splitting_does_not_change_an_order_by_cost(method, first):
    """A third of a dollar that had to be rounded does not make a lot cheaper or dearer than its equal."""
    book = LotBook(LotPolicy(method=method))
    book.apply([acquire("L1", "10", "3"), acquire("L2", "20", "6")], 5, 1)
    book.apply([send(1, 6), send(2, 6)], 6, 2)
    book.apply([send(6, 7, "u")], 7, 3)

    assert [first, "L2"] == [part.lot for part in book.apply([dispose(9, 9, "w")], 8, 4)]


def test_parts_add_up_exactly():
    """Basis and proceeds that do not divide evenly lose nothing: the last part takes what is left."""
    book = LotBook(LotPolicy())
    book.apply([acquire("L1", "10", "3"), acquire("L2", "10", "3"), acquire("L3", "1", "1")], 5, 1)
    slices = book.apply([dispose(1, 1)], 6, 2) + book.apply([dispose(6, 10)], 7, 3)

    assert Decimal("3.333333333333333333") == slices[0].basis
    assert sum(part.basis for part in slices) == 21
    assert sum(part.proceeds for part in slices[1:]) == 10
    assert left(book) == []


def test_a_change_of_method_takes_what_is_there():
    """A method that is used for the first time, or again, sees all lots that came and went meanwhile."""
    policy = LotPolicy(method_by_year={2024: LotMethod.LIFO, 2025: LotMethod.HIFO, 2026: LotMethod.LIFO})
    book = LotBook(policy)
    at = [parse_ts(f"{year}-06-01T00:00:00Z") for year in range(2023, 2028)]
    book.apply([acquire("L1", "10"), acquire("L2", "30"), acquire("L3", "20"), acquire("L4", "5")], 9, 1)
    lots = [book.apply([dispose(1, 1)], ts_ns, 2)[0].lot for ts_ns in at[:3]]
    book.apply([acquire("L5", "1")], at[2], 3)

    assert [*lots, *(book.apply([dispose(1, 1)], at[3], 4)[0].lot for _ in range(2))] == ["L1", "L4", "L2", "L5", "L3"]


def test_coins_on_their_way_are_held_and_cannot_be_sold():
    """They belong to the owner in transit, arrive first at their instant, with id, basis and time unchanged."""
    book = LotBook(LotPolicy())
    book.apply([acquire("L1", "10", "2"), send("0.5", 8)], 5, 1)

    assert [("in-transit", "L1", Decimal("0.5"), Decimal("2.5")), ("v", "L1", Decimal("1.5"), Decimal("7.5"))] == left(
        book
    )
    assert book.apply([dispose("0.5", 9, "w")], 7, 2) == []
    (item,) = book.open_items()
    assert (item.code, item.where) == ("no_basis", "s at w")
    (part,) = book.apply([dispose("0.5", 9, "w", "s2")], 8, 3)
    assert (part.lot, part.basis, part.acquired_ns, part.sold_ns) == ("L1", Decimal("2.5"), 1, 8)


def test_coins_that_never_arrive_stay_in_transit():
    """A transfer without an arrival keeps its lots apart for ever, together by lot."""
    book = LotBook(LotPolicy())
    book.apply([acquire("L1", "10", "2"), send("0.5", None), send("0.5", 9, "t2"), send("0.25", None, "t3")], 5, 1)
    book.advance(6)
    assert book.remaining()[0] == Remaining("in-transit", "BTC", "L1", Decimal("1.25"), Decimal("6.25"), 1)

    book.finish()

    assert [
        ("in-transit", "L1", Decimal("0.75"), Decimal("3.75")),
        ("v", "L1", Decimal("0.75"), Decimal("3.75")),
        ("w", "L1", Decimal("0.5"), Decimal("2.5")),
    ] == left(book)


def test_a_lot_that_comes_back_is_one_lot_again():
    """Parts of one lot that meet at an account are one, also when it had left that account entirely."""
    book = LotBook(LotPolicy())
    book.apply([acquire("L1", "10", "2"), send(2, 6)], 5, 1)
    book.apply([send(1, 7, account="w", to="v")], 6, 2)
    book.apply([send(1, 8, account="w", to="v")], 7, 3)
    book.finish()

    assert [("v", "L1", Decimal(2), Decimal(10))] == left(book)
    assert ["L1"] == [part.lot for part in book.apply([dispose(2, 20)], 9, 4)]


def test_every_shortfall_is_told_and_no_basis_is_made_up():
    """The run goes on: what is there is taken at its share of the proceeds, what is missing gets no slice."""
    book = LotBook(LotPolicy())
    ts_ns = parse_ts("2025-02-01T00:00:00Z")
    slices = book.apply([acquire("L1", "10"), acquire("L2", "10", account="w"), dispose(4, 40)], ts_ns, 1)
    slices += book.apply([send(1, ts_ns + 9, "t"), Remove("g", "v", "BTC", Decimal(2))], ts_ns + 1, 2)
    slices += book.apply([dispose(1, 12, "w", "s2")], ts_ns + 2, 3)

    assert [("s", Decimal(1), Decimal(10)), ("s2", Decimal(1), Decimal(12))] == [
        (p.disposal, p.qty, p.proceeds) for p in slices
    ]
    assert [("no_basis", "s at v"), ("no_basis", "t at v"), ("no_basis", "g at v")] == [
        (item.code, item.where) for item in book.open_items()
    ]
    assert "4 BTC leave v at 2025-02-01T00:00:00Z, which has lots for 1: 3 are missing" == book.open_items()[0].what
    assert "arbot ledger import FILE" in book.open_items()[0].remedy
    assert left(book) == []


def test_a_gift_takes_lots_without_a_slice():
    """Units given away leave in the order in force and gain nothing."""
    book = LotBook(LotPolicy(method=LotMethod.LIFO))

    assert book.apply([acquire("L1", "10"), acquire("L2", "20"), Remove("g", "v", "BTC", Decimal(1))], 5, 1) == []
    assert [("v", "L1", Decimal(1), Decimal(10))] == left(book)


def test_a_pool_over_all_accounts_knows_no_transfer():
    """In one pool the earliest lot goes wherever it sits, and a move costs its fee alone."""
    book = LotBook(LotPolicy(pool=Pool.UNIVERSAL))
    book.apply([acquire("L1", "10"), acquire("L2", "20", account="w"), send(1, None)], 5, 1)
    (part,) = book.apply([dispose(1, 50, "w")], 6, 2)

    assert ("L1", "w") == (part.lot, part.account)
    assert [("*", "L2", Decimal(1), Decimal(20))] == left(book)


def test_average_cost_keeps_no_lots_here():
    """The book refuses a method that is not an order of lots."""
    with pytest.raises(InvariantBroken):
        LotBook(LotPolicy(method=LotMethod.AVERAGE))


def opening(lot, venue, amount, basis, ts="2025-01-01T00:00:00Z", **more):
    """Return an opening line of DE acquired in 2019 or 2020."""
    acquired = "2019-07-01T00:00:00Z" if basis == amount else "2020-09-01T00:00:00Z"
    row = {
        "kind": "opening",
        "id": lot,
        "ts": ts,
        "venue": venue,
        "asset": "DE",
        "amount": str(amount),
        "basis": str(basis),
    }
    return row | {"acquired": acquired} | more


def spend(name, ts, venue, amount, **more):
    """Return a payment of DE at 10 each."""
    row = {
        "kind": "spend",
        "id": name,
        "ts": ts,
        "venue": venue,
        "asset": "DE",
        "amount": str(amount),
        "why": "payment",
    }
    return row | {"px": {"DE": "10"}} | more


BEFORE = [
    opening("L1", "XYZ", 10, 10, "2019-07-01T00:00:00Z"),
    opening("L2", "GHI", 20, 100, "2020-09-01T00:00:00Z"),
    spend("s1", "2024-12-01T12:00:00Z", "XYZ", 6),
]
ALLOCATED = [
    opening("X1", "XYZ", 2, 2, allocation="specific"),
    opening("X5", "XYZ", 2, 10, allocation="specific"),
    opening("G1", "GHI", 2, 2, allocation="specific"),
    opening("G5", "GHI", 18, 90, allocation="specific"),
]
AFTER = spend("s2", "2025-03-01T12:00:00Z", "GHI", 3)


def run_until_2025(*rows, timezone="UTC"):
    """Return a finished run that ends its pool with 2024, and its slices as (disposal, lot, quantity)."""
    run = UsRun(LotPolicy(pool=Pool.UNTIL_2025), timezone)
    slices = [part for line in placed(list(rows)) for part in run.feed(line)]
    run.finish()
    return run, [(part.disposal, part.lot, part.qty) for part in slices]


def test_the_pool_ends_with_2024_as_allocated():
    """Allocated lots take the place of the pool's, to the last unit and cent of basis (Rev. Proc. 2024-28)."""
    run, slices = run_until_2025(*BEFORE, *ALLOCATED, AFTER)

    assert [("s1", "L1", Decimal(6)), ("s2", "G1", Decimal(2)), ("s2", "G5", Decimal(1))] == slices
    assert [
        ("GHI", "G5", Decimal(17), Decimal(85)),
        ("XYZ", "X1", Decimal(2), Decimal(2)),
        ("XYZ", "X5", Decimal(2), Decimal(10)),
    ] == left(run)
    assert run.open_items() == []


def test_the_pool_is_one_until_2025_begins_by_the_local_clock():
    """Five hours into the UTC year it is still 2024 in New York; then the pool ends, allocated or at the end of history."""
    still = spend("s2", "2025-01-01T04:59:59Z", "GHI", 1)
    _, slices = run_until_2025(*BEFORE, *ALLOCATED, still, timezone="America/New_York")
    assert slices[-1] == ("s2", "L1", Decimal(1))

    run, _ = run_until_2025(*BEFORE, *ALLOCATED)
    assert [left.lot for left in run.remaining()] == ["G1", "G5", "X1", "X5"]
    run, _ = run_until_2025(*BEFORE)
    assert [left.account for left in run.remaining()] == ["*", "*"]


WRONG = {
    "nothing allocated": ([], "it held 24 with basis 104, allocated are 0 with basis 0"),
    "one line missing": (ALLOCATED[:3], "it held 24 with basis 104"),
    "basis too high": (
        [*ALLOCATED[:3], opening("G5", "GHI", 18, 91, allocation="specific")],
        "allocated are 24 with basis 105",
    ),
    "units at another account": (
        [*ALLOCATED[1:], opening("X1", "GHI", 2, 2, allocation="specific")],
        "GHI holds 20, allocated are 22; XYZ holds 4, allocated are 2",
    ),
}


@pytest.mark.parametrize(
    "name", ["nothing allocated", "one line missing", "basis too high", "units at another account"]
)
def test_an_allocation_that_does_not_add_up_is_open(name):
    """What differs is told by asset and account, and the run goes on with the pool's own lots, earliest first."""
    lines, told = WRONG[name]
    run, slices = run_until_2025(*BEFORE, *lines, AFTER)

    (item,) = run.open_items()
    assert (item.code, item.where) == ("allocation_missing", "DE")
    assert told in item.what
    assert "2025-01-01T00:00:00Z" in item.remedy
    assert slices[1:] == [("s2", "L1", Decimal(3))]
    assert sum(one.qty for one in run.remaining()) == 21


def test_units_at_one_account_need_no_allocation():
    """Where only one account holds an asset there is nothing to choose: its lots stay as they are."""
    run, slices = run_until_2025(
        opening("L1", "XYZ", 10, 10, "2019-07-01T00:00:00Z"), spend("s", "2025-02-01T00:00:00Z", "XYZ", 3)
    )

    assert [("s", "L1", Decimal(3))] == slices
    assert [("XYZ", "L1", Decimal(7), Decimal(7))] == left(run)
    assert run.open_items() == []


def test_coins_on_their_way_over_new_year_are_allocated_where_they_go():
    """They count for the account they go to and cannot be sold before they arrive."""
    moving = {
        "kind": "transfer",
        "id": "t",
        "ts": "2024-12-31T23:50:00Z",
        "ts_in": "2025-01-01T00:20:00Z",
        "src": "GHI",
    }
    moving |= {"dst": "XYZ", "asset": "DE", "sent": "5", "received": "5", "fee": "0", "px": {"DE": "10"}}
    lines = [
        opening("X1", "XYZ", 4, 4, allocation="specific"),
        opening("X5", "XYZ", 5, 25, allocation="specific"),
        opening("G5", "GHI", 15, 75, allocation="specific"),
    ]
    run, _ = run_until_2025(*BEFORE, moving, *lines)
    assert run.open_items() == []
    run, _ = run_until_2025(*BEFORE, moving, *lines, spend("early", "2025-01-01T00:10:00Z", "XYZ", 9))
    assert [item.where for item in run.open_items()] == ["early at XYZ"]
    run, _ = run_until_2025(*BEFORE, moving, *lines, spend("late", "2025-01-01T00:20:00Z", "XYZ", 9))
    assert run.open_items() == []


def test_an_allocation_after_the_first_line_of_2025_is_refused():
    """It comes too late to replace the pool; it is told, and not booked beside it."""
    run, _ = run_until_2025(*BEFORE, AFTER, opening("X1", "XYZ", 4, 4, "2025-04-01T00:00:00Z", allocation="specific"))

    assert [("allocation_missing", "DE"), ("allocation_missing", "X1 at XYZ")] == [
        (i.code, i.where) for i in run.open_items()
    ]
    assert "X1" not in [one.lot for one in run.remaining()]


def test_allocated_lots_begin_a_history_of_their_own():
    """A history that starts with 2025 takes allocated lots as they are; beside the history they come from they are refused."""
    run = UsRun(LotPolicy())
    for line in placed(ALLOCATED):
        run.feed(line)
    assert [one.lot for one in run.remaining()] == ["G1", "G5", "X1", "X5"]

    run = UsRun(LotPolicy())
    for line in placed([BEFORE[0], ALLOCATED[0]]):
        run.feed(line)
    assert [("allocation_twice", "X1 at XYZ")] == [(item.code, item.where) for item in run.open_items()]
