"""The ledger knows which deposit came from which withdrawal, closes transit to zero, and ties when coins never arrive."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.accounting import Transaction
from arbot.domain.decisions import TransferMoved
from arbot.domain.events import AccountSnapshotReceived, Envelope, Event, MovementState, TransferReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Balance
from arbot.domain.transfer import TransferCredit, TransferId, TransferState
from arbot.domain.units import fmt
from arbot.ledger.posting import Ledger

BTC = Asset("BTC")
T0_NS = 1_790_000_000_000_000_000
PENDING, DONE, FAILED = MovementState.PENDING, MovementState.DONE, MovementState.FAILED
TRANSIT, LOST = "transit:unmatched", "expenses:transfer-losses:coinbase"


class Books:
    """A ledger of two venues with ten coins each, and its own past to recall from."""

    def __init__(self) -> None:
        self.past: dict[str, Transaction] = {}
        self.seq = 0
        self.reopen()
        for venue in ("kraken", "coinbase"):
            self.book(AccountSnapshotReceived(venue=VenueId(venue), balances=(Balance(asset=BTC, total=Decimal(10)),)))

    def reopen(self) -> None:
        """Begin anew with what a store would keep."""
        balances = self.ledger.balances() if self.seq else ()
        self.ledger = Ledger(balances, self.past.get)

    def book(self, event: Event, *decisions: TransferMoved) -> tuple[Transaction, ...]:
        """Book an event."""
        self.seq += 1
        booked = self.ledger.apply(Envelope(self.seq, T0_NS + self.seq, event), decisions)
        self.past |= {transaction.reference: transaction for transaction in booked}
        return booked

    def withdrawal(self, state: MovementState, *decisions: TransferMoved, tx: str = "X") -> tuple[Transaction, ...]:
        """Book what kraken says of one coin that leaves."""
        return self.book(moved("kraken", "W1", "-1", state, tx, fee="0.01"), *decisions)

    def deposit(
        self, qty: str, state: MovementState, *decisions: TransferMoved, name: str = "D1", tx: str = "X"
    ) -> tuple[Transaction, ...]:
        """Book what coinbase says of coins that arrive."""
        return self.book(moved("coinbase", name, qty, state, tx), *decisions)

    def all(self) -> dict[str, str]:
        """Return every balance but the other side of the opening."""
        return {account: fmt(number) for account, _, number in self.ledger.balances() if account != "equity:opening"}


def moved(venue: str, name: str, qty: str, state: MovementState, tx: str, fee: str = "0") -> TransferReported:
    """Return a line of a venue's history."""
    return TransferReported(
        venue=VenueId(venue),
        transfer_id=name,
        asset="BTC",
        qty=Decimal(qty),
        fee=Decimal(fee),
        state=state,
        venue_ts_ns=T0_NS * 2,
        tx_id=tx,
    )


def credited(*deposits: tuple[str, str]) -> TransferMoved:
    """Return the engine's word that these deposits are its transfer."""
    return TransferMoved(
        transfer=TransferId("1-t1"),
        before=TransferState.CONFIRMED,
        after=TransferState.CREDITED,
        venue_transfer_id="W1",
        credits=tuple(TransferCredit(name, Decimal(qty)) for name, qty in deposits),
        source="kraken",
        target="coinbase",
        asset="BTC",
    )


def test_the_same_transaction_id_matches() -> None:
    """Close transit to zero, book the hidden fee by name, and let the deposit say where it came from."""
    books = Books()
    left = books.withdrawal(PENDING)[0]
    arrived = books.deposit("0.995", DONE)

    assert {
        "assets:coinbase": "10.995",
        "assets:kraken": "8.99",
        "expenses:transfers:kraken": "0.01",
        LOST: "0.005",
    } == books.all()
    assert left.reference == arrived[0].origin == arrived[-1].origin


def test_a_match_is_found_across_a_restart() -> None:
    """Find the withdrawal that another process booked by the network's transaction id."""
    books = Books()
    books.withdrawal(DONE)
    books.reopen()
    books.deposit("1", DONE)

    assert TRANSIT not in books.all()
    assert LOST not in books.all()


def test_the_deposit_may_come_first() -> None:
    """Match when the withdrawal is told later than the deposit."""
    books = Books()
    books.deposit("0.999", DONE)
    before = books.all()[TRANSIT]
    closing = books.withdrawal(DONE)[-1]

    assert "-0.999" == before
    assert "0.001" == books.all()[LOST]
    assert TRANSIT not in books.all()
    assert "transfer|kraken|W1|done" == closing.origin


def test_the_engine_matches_by_intent() -> None:
    """Close transit on the engine's word when the transaction was replaced by another; it may be in two parts."""
    books = Books()
    books.withdrawal(DONE)
    books.deposit("0.5", DONE, name="D1", tx="Y")
    parts = books.all()[TRANSIT]
    told = books.deposit("0.45", DONE, credited(("D1", "0.5"), ("D2", "0.45")), name="D2", tx="Z")

    assert "0.5" == parts
    assert "0.05" == books.all()[LOST]
    assert TRANSIT not in books.all()
    assert "transfer|kraken|W1|done" == told[0].origin


def test_what_never_arrives_stays_in_transit() -> None:
    """Tie with both venues while a coin is nowhere, and show it."""
    books = Books()
    books.withdrawal(DONE)
    kraken = books.ledger.compare(VenueId("kraken"), (Balance(asset=BTC, total=Decimal("8.99")),))
    coinbase = books.ledger.compare(VenueId("coinbase"), (Balance(asset=BTC, total=Decimal(10)),))

    assert () == kraken + coinbase
    assert "1" == books.all()[TRANSIT]


def test_half_of_it_is_no_hidden_fee() -> None:
    """Leave in transit what is missing beyond the fee that the source charged."""
    books = Books()
    books.withdrawal(DONE)
    books.deposit("0.5", DONE)

    assert "0.5" == books.all()[TRANSIT]
    assert LOST not in books.all()


def test_returns_and_reversals_come_to_zero() -> None:
    """Close what came back to its source, and what was credited twice and taken back."""
    returned, twice = Books(), Books()
    returned.withdrawal(PENDING)
    returned.withdrawal(FAILED)
    twice.withdrawal(DONE)
    twice.deposit("1", DONE, credited(("D1", "1")))
    twice.deposit("1", DONE, credited(("D1", "1"), ("D2", "1")), name="D2")
    seen = twice.all()[TRANSIT]
    twice.deposit("1", FAILED, name="D2")

    assert {"assets:coinbase": "10", "assets:kraken": "10"} == returned.all()
    assert "-1" == seen
    assert {"assets:coinbase": "11", "assets:kraken": "8.99", "expenses:transfers:kraken": "0.01"} == twice.all()
