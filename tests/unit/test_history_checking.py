"""What a history shows to be wrong by itself: which lines are named, which are not, and what says so already."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arbot.domain.history import Placed, parse_ts
from arbot.ledger.history.balances import BalanceWatch, changes
from arbot.ledger.history.checking import TIMES_KEPT, check_history
from arbot.ledger.history.known_assets import nearest
from arbot.ledger.history.reading import read_stored
from arbot.ledger.lots.words import OpenItem
from tests.support.arb_year import placed_year
from tests.support.bad_input import deposit, fill, opening, spend, transfer

BOOKED_NS = parse_ts("2026-01-01T00:00:00Z")
JANUARY, MARCH, JUNE = "2025-01-01T00:00:00Z", "2025-03-01T00:00:00Z", "2025-06-01T00:00:00Z"
CASH = deposit("D1", "2024-01-01T00:00:00Z")


def placed(*rows: dict[str, Any]) -> list[Placed]:
    """Return rows as a history, in the order given."""
    lines = [read_stored(msgspec.json.encode(row).decode()) for row in rows]
    return [Placed(line, parse_ts(line.ts), seq) for seq, line in enumerate(lines, 1)]


def told(*rows: dict[str, Any], found: tuple[OpenItem, ...] = ()) -> list[str]:
    """Return code and place of every item."""
    items = check_history(placed(*rows), BOOKED_NS).open_items(found)
    return [f"{item.code} {item.where}" for item in items]


BEFORE = fill("T1", MARCH, "buy", "0.1", "5000")


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (opening("L1", JUNE), ["before_epoch T1 at kraken"]),
        (opening("L1", JUNE, venue="coinbase"), []),
        (opening("L1", JUNE, asset="ETH"), []),
        (opening("L1", MARCH), []),
        (opening("L1", JUNE, allocation="specific"), []),
        (opening("kraken:deposit:Q1", JUNE), []),
        (opening("opening:kraken:BTC", JUNE), []),
    ],
    ids=["begins later", "another account", "another asset", "at once", "allocation", "a deposit", "what a venue held"],
)
def test_an_opening_says_where_history_begins_unless_it_belongs_to_something_else(late, expected):
    """A line of its account and asset before it is named; openings that say nothing of a beginning name nobody."""
    assert expected == told(CASH, BEFORE, late)


def test_only_the_first_opening_counts_and_an_arrival_is_a_line():
    """More openings of the same coins are no new beginning; coins that arrived before one are named by their transfer."""
    assert [] == told(CASH, opening("L0", JANUARY), BEFORE, opening("L1", JUNE))
    moved = transfer("X1", "2025-02-01T00:00:00Z", "2025-02-02T00:00:00Z")
    assert ["before_epoch X1 at wallet"] == told(opening("L0", JANUARY), moved, opening("L1", JUNE, venue="wallet"))


def test_where_lots_say_it_balances_do_not():
    """A shortage of coins that lots name is told once; one of cash always; what a venue held at first says it as well."""
    rows = deposit("D1", JANUARY, "10"), fill("T1", MARCH, "sell", "1", "5", fee="100", fee_ccy="USD")
    lots = OpenItem("no_basis", "T1 at kraken", "", "")
    first = OpenItem("no_basis", "opening:kraken:BTC", "", "")
    assert ["negative_balance T1 at kraken"] * 2 == told(*rows)
    assert ["negative_balance T1 at kraken"] == told(*rows, found=(lots,))
    assert ["negative_balance T1 at kraken"] == told(*rows, found=(first,))
    fee = OpenItem("no_basis", "S1:fee at kraken", "", "")
    assert [] == told(CASH, spend("S1", MARCH, "1"), found=(fee,))


def test_an_allocation_moves_nothing_where_the_units_are_known():
    """Units bought before 2025 are not there twice because their basis was allocated."""
    bought = fill("T0", "2024-02-01T00:00:00Z", "buy", "1", "5000")
    allocated = opening("A1", JANUARY, "1", allocation="specific", acquired="2024-02-01T00:00:00Z")
    too_much = fill("T1", MARCH, "sell", "1.5", "9000")
    assert ["negative_balance T1 at kraken"] == told(CASH, bought, allocated, too_much)
    assert [] == told(allocated, spend("S1", MARCH, "1"))
    assert [] == told(allocated | {"asset": "QQQ"}, spend("S1", MARCH, "1", asset="QQQ"))


def test_an_asset_that_came_from_somewhere_is_known():
    """A coin nobody heard of is one when it was bought, and is a misspelling when it only left."""
    bought = fill("T1", MARCH, "buy", "1", "10", base="ZZTOP", symbol="ZZTOP/USD", px={"ZZTOP": "10"})
    assert [] == told(CASH, bought, spend("S1", JUNE, "1", asset="ZZTOP"))
    assert ["negative_balance S1 at kraken"] == told(CASH, bought, spend("S1", JUNE, "2", asset="ZZTOP"))
    assert ["unknown_asset S1 at kraken"] == told(CASH, spend("S1", JUNE, "1", asset="ZZTOP"))
    assert ["negative_balance S1 at kraken"] == told(CASH, spend("S1", JUNE, "1", asset="SOL"))


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ("XBTT", "BTC"),
        ("XBT", "BTC"),
        ("ETHH", "ETH"),
        ("USDTT", "USDT"),
        ("SLO", "SOL"),
        ("MYCOIM", "MYCOIN"),
        ("QQ", ""),
    ],
)
def test_the_nearest_name_is_a_known_one_or_one_of_the_history(asset, expected):
    """Kraken's own words lead to the field's; what is near nothing leads nowhere."""
    assert expected == nearest(asset, ["MYCOIN"])


def test_a_transfer_is_lost_when_history_goes_on_for_a_month_without_it():
    """Thirty days of silence are a transfer on its way, a second more is one that is lost; said once."""
    sent = transfer("X1", MARCH, None)
    day_30, later = deposit("D2", "2025-03-31T00:00:00Z"), deposit("D2", "2025-03-31T00:00:01Z")
    assert [] == told(opening("L0", JANUARY), sent, day_30)
    assert ["unmatched_transfer X1"] == told(opening("L0", JANUARY), sent, later)
    said = OpenItem("unmatched_transfer", "X1", "", "")
    assert [] == told(opening("L0", JANUARY), sent, later, found=(said,))


def test_impossible_times_are_named_up_to_a_number_and_counted_from_there():
    """A file of a wrong clock gives twenty items, the last of which counts the others."""
    rows = [deposit(f"D{number}", "2199-01-01T00:00:00Z") for number in range(TIMES_KEPT + 7)]
    check = check_history(placed(*rows), BOOKED_NS)
    items = check.notes()
    assert [] == check.open_items()
    assert (TIMES_KEPT, {"in_future"}) == (len(items), {item.code for item in items})
    assert items[-1].what.endswith("and 7 more lines like it after this one")
    assert ["before_epoch D1 at kraken"] == told(deposit("D1", "1999-01-01T00:00:00Z"))


def test_balances_are_those_of_every_change_added_up():
    """A year of arbitrage in any order of its markets comes to what its lines do one by one."""
    rows = list(placed_year(300, seed=5))
    random.Random(5).shuffle(rows)
    watch, sums = BalanceWatch(), defaultdict(Decimal)
    for row in rows:
        watch.feed(row)
        for change in changes(row.line):
            sums[change.account, change.asset] += change.number
        if getattr(row.line, "ts_in", None):
            sums[row.line.dst, row.line.asset] += row.line.received
    watch.finish()
    assert {key: number for key, number in sorted(sums.items()) if number} == watch.balances()
