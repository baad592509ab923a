"""The ledger: what each journaled event means in double entry."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest

from arbot.domain.accounting import TransactionKind
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    Envelope,
    MovementState,
    OrderFilled,
    TimerFired,
    TransferReported,
)
from arbot.domain.instrument import Balance
from arbot.domain.order import Side
from arbot.domain.units import Amount
from arbot.ledger.accounts import EQUITY_ADJUSTMENTS, EQUITY_EXCHANGE, EQUITY_OPENING, TRANSIT_UNMATCHED
from arbot.ledger.posting import Ledger, summary
from tests.support.accounting import T0_NS, Scribe, a_fill

KRAKEN = "assets:kraken"


def snapshot(**totals: str) -> AccountSnapshotReceived:
    balances = tuple(Balance(asset=asset, total=Decimal(total)) for asset, total in totals.items())
    return AccountSnapshotReceived(venue="kraken", balances=balances)


def transfer(state: MovementState, qty: str = "-1", fee: str = "0.001", at_ns: int = T0_NS * 2) -> TransferReported:
    return TransferReported(
        venue="kraken",
        transfer_id="W1",
        asset="BTC",
        qty=Decimal(qty),
        fee=Decimal(fee),
        state=state,
        venue_ts_ns=at_ns,
    )


def test_a_buy_moves_base_quote_and_fee():
    """A buy of 0.1 BTC at 60000 with 24 USD of fee is six postings, two for each."""
    (transaction,) = Scribe().filled().transactions
    assert [("assets:kraken", "BTC", Decimal("0.1")), ("equity:exchange", "BTC", Decimal("-0.1"))] == [
        (posting.account, posting.asset, posting.number) for posting in transaction.postings[:2]
    ]
    assert [("assets:kraken", "USD", Decimal(-6000)), ("equity:exchange", "USD", Decimal(6000))] == [
        (posting.account, posting.asset, posting.number) for posting in transaction.postings[2:4]
    ]
    assert [("expenses:fees:kraken", "USD", Decimal(24)), ("assets:kraken", "USD", Decimal(-24))] == [
        (posting.account, posting.asset, posting.number) for posting in transaction.postings[4:]
    ]


def test_a_fee_in_a_third_asset_touches_that_asset():
    """A fee paid in BNB leaves base and quote alone."""
    scribe = Scribe()
    scribe.filled(fee=Amount(Decimal("0.02"), "BNB"))
    assert Decimal("-0.02") == scribe.ledger.balance(KRAKEN, "BNB")
    assert Decimal(-6000) == scribe.ledger.balance(KRAKEN, "USD")


def test_a_rebate_is_a_negative_expense():
    """A maker's rebate comes in, and the fee account goes below zero."""
    scribe = Scribe()
    scribe.filled(side=Side.SELL, fee=Amount(Decimal("-1.5"), "USD"))
    assert Decimal("6001.5") == scribe.ledger.balance(KRAKEN, "USD")
    assert Decimal("-1.5") == scribe.ledger.balance("expenses:fees:kraken", "USD")


def test_a_fill_without_a_fee_has_no_fee_postings():
    """A fee of zero posts nothing rather than zeros."""
    assert 4 == len(Scribe().filled(fee=Amount(Decimal(0), "USD")).transactions[0].postings)


def test_a_reversal_takes_a_fill_back():
    """A fill and its reversal with the fee refunded leave no balance, and both stay on the books."""
    scribe = Scribe()
    booked = scribe.filled().transactions
    reversed_ = scribe.filled(is_reversal=True, fee=Amount(Decimal(-24), "USD")).transactions
    assert (TransactionKind.FILL, TransactionKind.FILL_REVERSAL) == (booked[0].kind, reversed_[0].kind)
    assert () == scribe.ledger.balances()


@pytest.mark.parametrize(
    "again",
    [{}, {"qty": Decimal("0.2")}, {"venue_ts_ns": 5}],
    ids=["the same", "another quantity", "another time"],
)
def test_the_same_fill_posts_once(again):
    """A second fill with the same identity posts nothing, whatever its body."""
    scribe = Scribe()
    scribe.filled()
    assert () == scribe.filled(**again).transactions
    assert Decimal("0.1") == scribe.ledger.balance(KRAKEN, "BTC")


@pytest.mark.parametrize("other", [{"trade_id": "T-2"}, {"venue_order_id": "O-2"}, {"venue": "coinbase"}])
def test_another_identity_is_another_fill(other):
    """Venue, order and trade id together name a fill; equal bodies under another name are booked."""
    scribe = Scribe()
    scribe.filled()
    assert 1 == len(scribe.filled(**other).transactions)


def test_a_fill_of_long_ago_is_recalled_from_the_store():
    """A duplicate that has left the window in memory is asked of the store and posts nothing."""
    stored = {transaction.reference: transaction for transaction in Scribe().filled().transactions}
    ledger = Ledger([(KRAKEN, "BTC", Decimal("0.1"))], stored.get)
    assert () == ledger.apply(Envelope(9, T0_NS, OrderFilled(fill=a_fill())))
    assert Decimal("0.1") == ledger.balance(KRAKEN, "BTC")


def test_the_window_of_references_is_bounded():
    """What is beyond the window is forgotten in memory and asked for."""
    asked: list[str] = []
    ledger = Ledger(recall=asked.append, window=2)
    scribe = Scribe(ledger)
    for number in range(3):
        scribe.filled(trade_id=f"T-{number}")
    asked.clear()
    scribe.filled(trade_id="T-2")
    assert [] == asked
    scribe.filled(trade_id="T-0")
    assert ["fill|kraken|O-1|T-0"] == asked


def test_the_first_snapshot_opens_a_venue_and_no_other_does():
    """The opening is booked once; later snapshots are for comparing."""
    scribe = Scribe()
    (opening,) = scribe.record(snapshot(BTC="2", USD="0")).transactions
    assert TransactionKind.OPENING == opening.kind
    assert () == scribe.record(snapshot(BTC="3")).transactions
    assert ((KRAKEN, "BTC", Decimal(2)), (EQUITY_OPENING, "BTC", Decimal(-2))) == scribe.ledger.balances()


def test_an_opening_does_not_count_earlier_fills_twice():
    """What was booked before the first snapshot is part of it."""
    scribe = Scribe()
    scribe.filled()
    scribe.record(snapshot(BTC="2", USD="100"))
    assert Decimal(2) == scribe.ledger.balance(KRAKEN, "BTC")
    assert Decimal(100) == scribe.ledger.balance(KRAKEN, "USD")


def test_an_empty_account_is_opened_too():
    """A venue that holds nothing is opened with nothing, so that a later snapshot is not taken for its opening."""
    scribe = Scribe()
    scribe.record(snapshot())
    assert () == scribe.record(snapshot(BTC="1")).transactions


def test_a_withdrawal_is_on_the_way_from_pending_on():
    """Quantity and fee leave the venue when the withdrawal is pending; done changes nothing more."""
    scribe = Scribe()
    scribe.record(transfer(MovementState.PENDING))
    scribe.record(transfer(MovementState.PENDING))
    scribe.record(transfer(MovementState.DONE))
    assert Decimal("-1.001") == scribe.ledger.balance(KRAKEN, "BTC")
    assert Decimal(1) == scribe.ledger.balance(TRANSIT_UNMATCHED, "BTC")
    assert Decimal("0.001") == scribe.ledger.balance("expenses:transfers:kraken", "BTC")


def test_a_fee_that_is_known_late_is_booked_with_the_end():
    """A withdrawal whose fee appears only when done posts the rest then."""
    scribe = Scribe()
    scribe.record(transfer(MovementState.PENDING, fee="0"))
    scribe.record(transfer(MovementState.DONE, fee="0.002"))
    assert Decimal("-1.002") == scribe.ledger.balance(KRAKEN, "BTC")


def test_a_failed_withdrawal_comes_back():
    """What had left returns, and late news of the pending state does not take it away again."""
    scribe = Scribe()
    scribe.record(transfer(MovementState.PENDING))
    scribe.record(transfer(MovementState.FAILED))
    scribe.record(transfer(MovementState.PENDING))
    assert () == scribe.ledger.balances()


def test_a_deposit_arrives_when_done():
    """A pending deposit is not ours yet; done, it is credited less its fee."""
    scribe = Scribe()
    scribe.record(transfer(MovementState.PENDING, qty="1"))
    assert () == scribe.ledger.balances()
    scribe.record(transfer(MovementState.DONE, qty="1"))
    scribe.record(transfer(MovementState.DONE, qty="1"))
    assert Decimal("0.999") == scribe.ledger.balance(KRAKEN, "BTC")
    assert Decimal(-1) == scribe.ledger.balance(TRANSIT_UNMATCHED, "BTC")


def test_transfers_from_before_the_opening_are_in_the_opening():
    """A deposit dated before the first snapshot is not added to it."""
    scribe = Scribe()
    scribe.record(snapshot(BTC="1"))
    scribe.record(transfer(MovementState.DONE, qty="1", at_ns=T0_NS - 1))
    assert Decimal(1) == scribe.ledger.balance(KRAKEN, "BTC")


def test_an_adjustment_is_booked_each_time_it_is_recorded():
    """Two people may record the same number; both count, and a replay of either does not."""
    scribe = Scribe()
    event = AdjustmentRecorded(venue="kraken", asset="USD", qty=Decimal("-0.5"), reason="fee", actor="ann")
    first = scribe.record(event)
    scribe.record(event)
    assert () == scribe.ledger.apply(first.envelope)
    assert Decimal(-1) == scribe.ledger.balance(KRAKEN, "USD")
    assert Decimal(1) == scribe.ledger.balance(EQUITY_ADJUSTMENTS, "USD")


def test_events_that_move_no_money_post_nothing():
    """A timer is none of the ledger's business."""
    assert () == Scribe().record(TimerFired(key="x")).transactions


def test_comparing_names_every_difference_and_missing_is_not_zero():
    """Equal assets are silent; another total, an asset we do not know and one the venue leaves out are named."""
    scribe = Scribe()
    scribe.record(snapshot(BTC="1", USD="100", ETH="3", DOGE="0"))
    theirs = snapshot(BTC="1.00000001", USD="100.00", SOL="2").balances
    found = scribe.ledger.compare("kraken", theirs)
    assert [
        ("BTC", Decimal(1), Decimal("1.00000001"), True),
        ("ETH", Decimal(3), Decimal(0), False),
        ("SOL", Decimal(0), Decimal(2), True),
    ] == [(one.asset, one.ours, one.theirs, one.is_listed) for one in found]


def test_no_digit_is_lost_with_long_numbers():
    """Forty digits times forty digits are kept, under any context of the caller."""
    scribe = Scribe()
    qty, price = Decimal("1." + "1" * 39), Decimal("9." + "7" * 39)
    with decimal.localcontext(decimal.Context(prec=5)):
        scribe.filled(qty=qty, price=price, fee=Amount(Decimal(0), "USD"))
    with decimal.localcontext(decimal.Context(prec=200)):
        assert -qty * price == scribe.ledger.balance(KRAKEN, "USD")


def test_a_lost_digit_raises_and_books_nothing():
    """Beyond every sane length the ledger raises instead of rounding."""
    scribe = Scribe()
    with pytest.raises(decimal.Inexact):
        scribe.filled(qty=Decimal("7" * 250), price=Decimal("7" * 250))
    assert () == scribe.ledger.balances()


def test_a_summary_adds_up_fees_and_turnover():
    """Fills, fees by asset and turnover by asset; openings do not count."""
    scribe = Scribe()
    records = [
        scribe.record(snapshot(BTC="1", USD="9000")),
        scribe.filled(),
        scribe.filled(side=Side.SELL, trade_id="T-2", fee=Amount(Decimal("0.1"), "BNB")),
    ]
    found = summary(transaction for record in records for transaction in record.transactions)
    assert 2 == found.fills
    assert {"USD": Decimal(24), "BNB": Decimal("0.1")} == found.fees
    assert {"BTC": Decimal("0.2"), "USD": Decimal(12_000)} == found.turnover
    assert Decimal(0) == scribe.ledger.balance(EQUITY_EXCHANGE, "USD")
