"""Fees of a fill in the United States, case by case: who bears them, what is disposed of, what is left."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.policy import LotPolicy
from tests.support.arb_year import placed

FIRST = "2025-01-05T00:00:00Z"
LATER = "2025-03-01T00:00:00Z"


def opening(lot, asset, amount, basis):
    """Return a lot with a history."""
    return {
        "kind": "opening",
        "id": lot,
        "ts": FIRST,
        "venue": "v",
        "asset": asset,
        "amount": amount,
        "basis": basis,
        "acquired": FIRST,
    }


def fill(side, base, amount, quote, cost, fee, fee_ccy, **px):
    """Return a fill named f."""
    row = {
        "kind": "fill",
        "id": "f",
        "ts": LATER,
        "venue": "v",
        "symbol": f"{base}/{quote}",
        "base": base,
        "quote": quote,
    }
    row |= {"side": side, "amount": amount, "price": "1", "cost": cost, "fee": fee, "fee_ccy": fee_ccy, "order_id": "o"}
    return row | {"px": px}


def transfer(asset, sent, received, fee, **px):
    """Return a transfer named f that has arrived."""
    row = {"kind": "transfer", "id": "f", "ts": LATER, "ts_in": LATER, "src": "v", "dst": "w", "asset": asset}
    return row | {"sent": sent, "received": received, "fee": fee, "px": px}


ETH = opening("e", "ETH", "1", "3000")
BNB = opening("b", "BNB", "1", "500")
USDT = {"USDT": "1"}
CASES = {
    "F1 bought for cash, fee in cash": (
        [], fill("buy", "ETH", "2", "USD", "6000", "9", "USD"),
        [], [("v", "f", "2", "6009")],
    ),
    "F2 sold for cash, fee in cash": (
        [opening("e", "ETH", "2", "6009")], fill("sell", "ETH", "2", "USD", "7000", "10", "USD"),
        [("f", "e", "2", "6990", "6009", "sell")], [],
    ),
    "F3 asset for asset, fee in cash": (
        [opening("c", "BTC", "0.1", "5000")], fill("buy", "ETH", "2", "BTC", "0.1", "6", "USD", BTC="64000", ETH="3200"),
        [("f", "c", "0.1", "6394", "5000", "sell")], [("v", "f", "2", "6400")],
    ),
    "F4 withheld from what is received": (
        [opening("u", "USDT", "6400", "6400")], fill("buy", "ETH", "2", "USDT", "6400", "0.002", "ETH", **USDT, ETH="3200"),
        [("f", "u", "6400", "6393.60", "6400", "sell"), ("f:fee", "f", "0.002", "6.40", "6.40", "withheld")],
        [("v", "f", "1.998", "6393.60")],
    ),
    "F5 asset for asset, fee on top in what is given": (
        [opening("e", "ETH", "3", "9000")], fill("sell", "ETH", "2", "USDT", "6400", "0.002", "ETH", **USDT, ETH="3200"),
        [("f", "e", "2.002", "6400", "6006", "sell")], [("v", "e", "0.998", "2994"), ("v", "f", "6400", "6400")],
    ),
    "F6 asset for asset, fee in a third asset": (
        [ETH, BNB], fill("sell", "ETH", "1", "USDT", "3200", "0.004", "BNB", **USDT, BNB="600"),
        [("f", "e", "1", "3197.60", "3000", "sell"), ("f:fee", "b", "0.004", "2.40", "2", "fee")],
        [("v", "b", "0.996", "498"), ("v", "f", "3200", "3200")],
    ),
    "F8 bought for cash, fee in a third asset": (
        [BNB], fill("buy", "ETH", "1", "USD", "3200", "0.004", "BNB", BNB="600"),
        [("f:fee", "b", "0.004", "2.40", "2", "fee")], [("v", "b", "0.996", "498"), ("v", "f", "1", "3202.40")],
    ),
    "F9 sold for cash, fee in a third asset": (
        [ETH, BNB], fill("sell", "ETH", "1", "USD", "3200", "0.004", "BNB", BNB="600"),
        [("f", "e", "1", "3197.60", "3000", "sell"), ("f:fee", "b", "0.004", "2.40", "2", "fee")],
        [("v", "b", "0.996", "498")],
    ),
    "F10 sold for cash, fee on top in the coin": (
        [opening("e", "ETH", "2", "6000")], fill("sell", "ETH", "1", "USD", "3200", "0.001", "ETH"),
        [("f", "e", "1.001", "3200", "3003", "sell")], [("v", "e", "0.999", "2997")],
    ),
    "F11 bought for cash, fee taken in the coin": (
        [], fill("buy", "ETH", "1", "USD", "3200", "0.001", "ETH"),
        [("f:fee", "f", "0.001", "3.20", "3.2032", "fee")], [("v", "f", "0.999", "3199.9968")],
    ),
    "F12 transfer, fee in kind": (
        [ETH], transfer("ETH", "1", "0.999", "0.001", ETH="3200"),
        [("f:fee", "e", "0.001", "3.20", "3", "transfer_fee")], [("w", "e", "0.999", "2997")],
    ),
    "F13 rebate in what is received": (
        [ETH], fill("sell", "ETH", "1", "USDT", "3200", "-0.32", "USDT", **USDT, ETH="3200"),
        [("f", "e", "1", "3200.32", "3000", "sell")], [("v", "f", "3200", "3200"), ("v", "f:rebate", "0.32", "0.32")],
    ),
    "F13 rebate in what is given": (
        [opening("u", "USDT", "3200", "3200")], fill("buy", "ETH", "1", "USDT", "3200", "-0.32", "USDT", **USDT),
        [("f", "u", "3200", "3200.32", "3200", "sell")], [("v", "f", "1", "3200"), ("v", "f:rebate", "0.32", "0.32")],
    ),
    "F13 rebate in a third asset": (
        [ETH], fill("sell", "ETH", "1", "USD", "3200", "-0.001", "BNB", BNB="600"),
        [("f", "e", "1", "3200.60", "3000", "sell")], [("v", "f:rebate", "0.001", "0.60")],
    ),
    "F13 rebate in cash": (
        [], fill("buy", "ETH", "1", "USD", "3200", "-0.32", "USD"),
        [], [("v", "f", "1", "3199.68")],
    ),
    "cash other than dollars is valued by its price": (
        [ETH], fill("sell", "ETH", "1", "EUR", "3000", "3", "EUR", EUR="1.1", ETH="3300"),
        [("f", "e", "1", "3296.7", "3000", "sell")], [],
    ),
    "cash for cash has no lots": ([], fill("sell", "EUR", "100", "USD", "110", "1", "USD", EUR="1.1"), [], []),
    "cash for cash, fee in a coin": (
        [BNB], fill("sell", "EUR", "100", "USD", "110", "0.002", "BNB", EUR="1.1", BNB="600"),
        [("f:fee", "b", "0.002", "1.2", "1", "fee")], [("v", "b", "0.998", "499")],
    ),
    "income is a lot at value": (
        [], {"kind": "income", "id": "i", "ts": LATER, "venue": "v", "asset": "ETH", "amount": "0.5", "why": "interest", "px": {"ETH": "3000"}},
        [], [("v", "i", "0.5", "1500")],
    ),
    "a payment is a disposal at value": (
        [ETH], {"kind": "spend", "id": "s", "ts": LATER, "venue": "v", "asset": "ETH", "amount": "0.5", "why": "payment", "px": {"ETH": "3300"}},
        [("s", "e", "0.5", "1650", "1500", "spend")], [("v", "e", "0.5", "1500")],
    ),
    "a transfer of cash moves no lots": ([], transfer("USD", "100", "100", "0"), [], []),
    "interest in cash has no lot": (
        [], {"kind": "income", "id": "i", "ts": LATER, "venue": "v", "asset": "EUR", "amount": "5", "why": "interest", "px": {"EUR": "1.1"}},
        [], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fee_is_borne_by_whom_the_regulation_says(name):
    """Slices and lots left are those of the case, to the last digit."""
    before, row, slices, remaining = CASES[name]
    run = UsRun(LotPolicy())
    found = [part for line in placed([*before, row]) for part in run.feed(line)]

    expected = [(d, lot, *(Decimal(n) for n in numbers), why) for d, lot, *numbers, why in slices]
    assert expected == [(p.disposal, p.lot, p.qty, p.proceeds, p.basis, p.why.value) for p in found]
    left = [(account, lot, *(Decimal(n) for n in numbers)) for account, lot, *numbers in remaining]
    assert left == [(r.account, r.lot, r.qty, r.basis) for r in run.remaining()]
    assert run.open_items() == []


MISSING = {
    "fill without the price of its quote": fill("sell", "ETH", "1", "USDT", "3200", "0", "USDT"),
    "fill without the price of its fee": fill("sell", "ETH", "1", "USD", "3200", "0.004", "BNB"),
    "transfer with a fee": transfer("ETH", "1", "0.999", "0.001"),
    "payment": {"kind": "spend", "id": "f", "ts": LATER, "venue": "v", "asset": "ETH", "amount": "1", "why": "fee"},
    "income": {"kind": "income", "id": "f", "ts": LATER, "venue": "v", "asset": "ETH", "amount": "1", "why": "reward"},
}


@pytest.mark.parametrize("name", MISSING)
def test_line_without_price_is_open_and_makes_up_no_basis(name):
    """What cannot be valued is one open item: units leave without a slice, and what comes has no lot."""
    run = UsRun(LotPolicy())
    slices = [part for line in placed([ETH, BNB, MISSING[name]]) for part in run.feed(line)]

    assert slices == []
    (item,) = run.open_items()
    assert (item.code, item.where) == ("missing_price", "f at v")
    assert "2025-03-01T00:00:00Z" in item.what
    assert "px" in item.remedy
    assert not [left for left in run.remaining() if left.lot not in {"e", "b"}]


@pytest.mark.parametrize(
    ("side", "fee_ccy", "left"),
    [
        ("sell", "BNB", {"e": "0.5", "b": "0.75"}),
        ("sell", "ETH", {"e": "0.25", "b": "1"}),
        ("sell", "USDT", {"e": "0.5", "b": "1"}),
    ],
)
def test_unpriced_fill_still_takes_its_units(side, fee_ccy, left):
    """What is given, and a fee out of what is held, leaves; what would come, and a fee withheld from it, has no lot."""
    run = UsRun(LotPolicy())
    for line in placed([ETH, BNB, fill(side, "ETH", "0.5", "USDT", "1600", "0.25", fee_ccy)]):
        run.feed(line)

    assert {lot: Decimal(qty) for lot, qty in left.items()} == {one.lot: one.qty for one in run.remaining()}


def test_withheld_units_leave_the_lot_received_under_any_order():
    """An older cheap lot, and a method that would take it, do not matter to units withheld from what was received."""
    before = [opening("old", "ETH", "1", "10"), opening("u", "USDT", "1000", "1000")]
    run = UsRun(LotPolicy())
    row = fill("buy", "ETH", "3", "USDT", "1000", "0.007", "ETH", **USDT, ETH="333")
    slices = [part for line in placed([*before, row]) for part in run.feed(line)]

    assert [("f", "u"), ("f:fee", "f")] == [(part.disposal, part.lot) for part in slices]
    assert slices[1].proceeds == slices[1].basis == Decimal("2.333333333333333333")
