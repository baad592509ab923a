"""A statement beside the ledger: equal at its own precision is a duplicate, everything else a conflict with both values."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.domain.history import DepositLine, FillLine, IncomeLine, TransferLine
from arbot.tax.statements import gaps
from arbot.tax.statements.common import BalanceRow, Movement, Statement
from arbot.tax.statements.matching import Conflict, Difference, is_equal, is_time_equal, match

BOOKED = FillLine(
    id="kraken:T1", ts="2025-01-01T10:00:00.123456789Z", venue="kraken", symbol="BTC/USD", base="BTC", quote="USD",
    side="buy", amount=Decimal("0.00100000"), price=Decimal("94000.5"), cost=Decimal("94.0005"), fee=Decimal("0.24440"),
    fee_ccy="USD", order_id="O1", px={"BTC": Decimal("94000.5")},
)  # fmt: skip
SAID = msgspec.structs.replace(BOOKED, ts="2025-01-01T10:00:00Z", fee=Decimal("0.2444"), order_id="", px={})


def a_statement(*lines, unmatched=(), decimals=None, balances=()):
    return Statement(
        path=Path("ledgers.csv"), account="kraken", lines=list(lines),
        rows={line.id: (number,) for number, line in enumerate(lines, start=2)},
        mistakes=[], open_items=[], unmatched=list(unmatched), passed={},
        decimals=decimals or {"BTC": 10, "USD": 4}, ts_digits=0, balances=list(balances), kinds=(FillLine, TransferLine),
    )  # fmt: skip


def replaced(line, **fields):
    return msgspec.structs.replace(line, **fields)


def test_line_that_nobody_has_is_new():
    """An id that is not booked is new."""
    matched = match(a_statement(SAID), {}.get)
    assert (matched.new, matched.duplicates, matched.conflicts) == ([SAID], [], [])


@pytest.mark.parametrize(
    "booked",
    [
        BOOKED,
        replaced(BOOKED, fee=Decimal("0.24436")),  # rounded
        replaced(BOOKED, fee=Decimal("0.24449")),  # cut
        replaced(BOOKED, ts="2025-01-01T09:59:59.6Z"),
        replaced(BOOKED, price=Decimal(1)),
        replaced(
            BOOKED, symbol="USD/BTC", base="USD", quote="BTC", side="sell",
            amount=Decimal("94.0005"), cost=Decimal("0.001"),
        ),
    ],
    ids=["omitted", "rounded", "cut", "second", "price", "other way round"],
)  # fmt: skip
def test_same_event_told_with_fewer_digits_is_a_duplicate(booked):
    """What the statement rounds or leaves out does not make a conflict."""
    matched = match(a_statement(SAID), {booked.id: booked}.get)
    assert (matched.new, matched.duplicates, matched.conflicts) == ([], ["kraken:T1"], [])


@pytest.mark.parametrize(
    ("booked", "difference"),
    [
        (replaced(BOOKED, fee=Decimal("0.2446")), Difference("fee", "0.2444 USD", "0.2446 USD")),
        (replaced(BOOKED, fee_ccy="BTC"), Difference("fee", "0.2444 USD", "0.2444 BTC")),
        (replaced(BOOKED, amount=Decimal("0.0011")), Difference("gets", "0.001 BTC", "0.0011 BTC")),
        (replaced(BOOKED, cost=Decimal(95)), Difference("gives", "94.0005 USD", "95 USD")),
        (replaced(BOOKED, quote="USDT"), Difference("gives", "94.0005 USD", "94.0005 USDT")),
        (replaced(BOOKED, ts="2025-01-01T10:00:01Z"), Difference("ts", SAID.ts, "2025-01-01T10:00:01Z")),
        (replaced(BOOKED, venue="kraken.sub"), Difference("venue", "kraken", "kraken.sub")),
    ],
)
def test_difference_is_listed_with_both_values(booked, difference):
    """A conflict names the rows, the field and both values, and how to keep what is booked."""
    (conflict,) = match(a_statement(SAID), {booked.id: booked}.get).conflicts
    assert conflict == Conflict("kraken:T1", "ledgers.csv row 2", (difference,))
    assert difference.statement in conflict.mistake.what
    assert difference.ledger in conflict.mistake.what
    assert "--keep-ledger" in conflict.mistake.remedy


def test_other_kind_under_the_id_is_a_conflict():
    """An income cannot be a deposit."""
    common = {"id": "kraken:L1", "ts": "2025-01-01T00:00:00Z", "venue": "kraken", "asset": "USD", "amount": Decimal(1)}
    (conflict,) = match(
        a_statement(IncomeLine(**common, why="other")), {"kraken:L1": DepositLine(**common)}.get
    ).conflicts
    assert conflict.differences == (Difference("kind", "income", "deposit"),)


def test_fill_named_for_its_product_is_found_under_the_bare_trade_id():
    """A numeric trade id is compared with the same id of the same product only."""
    said = replaced(SAID, id="kraken:BTC-USD:7")
    assert match(a_statement(said), {"kraken:7": BOOKED}.get).duplicates == [said.id]
    other = replaced(BOOKED, symbol="ETH/USD", base="ETH")
    assert match(a_statement(said), {"kraken:7": other}.get).new == [said]


MOVE = Movement(
    "kraken:withdrawal:A1",
    ("A1",),
    (5,),
    1_735_725_600_000_000_000,
    "kraken",
    "BTC",
    Decimal("-0.5"),
    Decimal("0.0002"),
)
TRANSFER = TransferLine(
    id="kraken:withdrawal:A1", ts="2025-01-01T10:00:00Z", ts_in=None, src="kraken", dst="coinbase", asset="BTC",
    sent=Decimal("0.5002"), received=Decimal("0.5"), fee=Decimal("0.0002"),
)  # fmt: skip


def test_withdrawal_that_arbot_booked_is_explained():
    """The venue's id of a withdrawal finds the transfer; other amounts are a conflict."""
    matched = match(a_statement(unmatched=[MOVE]), {TRANSFER.id: TRANSFER}.get)
    assert (matched.covered, matched.duplicates, matched.conflicts) == ({MOVE.line_id}, [TRANSFER.id], [])
    less = replaced(TRANSFER, sent=Decimal("0.4"))
    (conflict,) = match(a_statement(unmatched=[MOVE]), {TRANSFER.id: less}.get).conflicts
    assert conflict.differences == (Difference("sent", "0.5002", "0.4"),)


@pytest.mark.parametrize(
    ("said", "had", "digits", "is_same"),
    [
        ("0.1", "0.1000000001", 1, True),
        ("0.2", "0.15", 1, True),
        ("0.1", "0.15", 1, True),
        ("0.1", "0.2", 1, False),
        ("0", "0.4", 0, False),
        ("0", "0", 0, True),
        ("0", "0.00004", 4, True),
        ("-1.5", "-1.54", 1, True),
    ],
)
def test_numbers_agree_at_the_digits_of_the_statement(said, had, digits, is_same):
    """Cut or rounded is the same number; whole numbers must be equal."""
    assert is_equal(Decimal(said), Decimal(had), digits) is is_same


def test_times_agree_at_the_digits_of_the_statement():
    """A second of the statement may be cut or rounded, not more."""
    assert is_time_equal(10**9, 10**9 + 999_999_999, 0)
    assert not is_time_equal(10**9, 2 * 10**9, 0)
    assert not is_time_equal(10**9, 10**9 + 1_000_000, 3)
    assert is_time_equal(10**9, 10**9, 9)


def test_gap_report_names_what_each_side_lacks():
    """Lines of one side only are named, within the range of the statement and the account."""
    later = replaced(SAID, id="kraken:T3", ts="2025-01-03T00:00:00Z")
    ledger = [
        BOOKED,
        replaced(BOOKED, id="kraken:T2", ts="2025-01-02T00:00:00Z"),
        replaced(BOOKED, id="kraken:T9", ts="2025-01-09T00:00:00Z"),
        replaced(BOOKED, id="other:T2", ts="2025-01-02T00:00:00Z", venue="other"),
    ]
    balances = [BalanceRow(2, 0, "", "ZUSD", Decimal(1), Decimal(0), Decimal(1))]
    found = gaps.report(a_statement(SAID, later, unmatched=[MOVE], balances=balances), ledger)
    assert found.missing_in_ledger == [("ledgers.csv row 3", "kraken:T3"), ("ledgers.csv row 5", MOVE.line_id)]
    assert found.missing_in_statement == ["kraken:T2"]
    assert (found.agreeing, found.conflicts, found.diverging) == (1, [], [])
    assert (found.first_ts, found.last_ts) == (SAID.ts, later.ts)
    assert not found.is_whole
    assert gaps.report(a_statement(SAID), [BOOKED]).is_whole
