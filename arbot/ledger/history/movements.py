"""Deposits and withdrawals of the journal as history lines: own transfers joined, the rest told for what it is.

Rules of this file:
- A withdrawal and its deposits are one transfer when the ledger matched them: by our own transfer, or by the network's
  transaction id. Never by amount and time.
- `sent` = `received` + `fee` exactly, the fee being what the source charged. What was credited for less is a spend of its
  own at the target, and so is what a target charges for a deposit.
- Several deposits of one withdrawal are as many lines, so that every part arrives in its own time; the first has the fee.
  What has not arrived of it is one more. A deposit beyond what was sent is no part of it.
- Cash that came from or went outside is a deposit or withdrawal. Coins that did so are open: where to, and at what basis,
  only a person knows. Until then coins that left are on their way to `ELSEWHERE`, and coins that came have no line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from arbot.domain.accounting import Transaction
from arbot.domain.decisions import Decision, TransferMoved
from arbot.domain.events import TransferReported, TransferRestored
from arbot.domain.history import CASH
from arbot.domain.transfer import TransferState
from arbot.domain.units import EXACT, ZERO
from arbot.ledger import accounts, transfers

ELSEWHERE: Final = "elsewhere"
"""The account that nobody has named yet, where coins went that left a venue."""

Key = tuple[str, str]
"""(venue, the venue's id of a movement)."""


@dataclass(slots=True)
class Movement:
    """One deposit or withdrawal as booked so far; `gross` is what the account lost or got before the venue's charge."""

    venue: str
    transfer_id: str
    asset: str
    is_deposit: bool
    ts_ns: int
    seq: int
    qty: Decimal = ZERO  # through transit, without sign
    fee: Decimal = ZERO
    tx_id: str = ""
    is_in_opening: bool = False  # dated before the venue's first snapshot, which has it
    origin: Key | None = None
    deposits: dict[Key, None] = field(default_factory=dict)  # of a withdrawal: what it became
    hidden: Decimal = ZERO
    is_closed: bool = False  # the ledger found both ends and booked what was missing
    target: str = ""  # of a transfer of ours, as long as it is on its way
    is_returned: bool = False

    @property
    def id(self) -> str:
        """The id of its line."""
        return f"{self.venue}:{'deposit' if self.is_deposit else 'withdrawal'}:{self.transfer_id}"

    @property
    def subject(self) -> str:
        """The name its prices are kept under."""
        return f"transfer|{self.venue}|{self.transfer_id}"

    @property
    def is_cash(self) -> bool:
        """Whether it is money, which has no lots."""
        return self.asset in CASH


class Movements:
    """All movements of a journal, fed record by record."""

    def __init__(self) -> None:
        self.known: dict[Key, Movement] = {}
        self._by_tx: dict[tuple[str, str, bool], Key] = {}

    def note(self, seq: int, report: TransferReported, ts_ns: int, transactions: Sequence[Transaction]) -> None:
        """Take in what was booked for one report."""
        key = (str(report.venue), report.transfer_id)
        known = self.known.get(key)
        is_told = any(one.reference.startswith(f"transfer|{key[0]}|{key[1]}|") for one in transactions)
        pointed = [one for one in transactions if one.reference.startswith("tx|")]
        if known is None and (is_told or pointed):
            known = self.known[key] = Movement(
                venue=key[0], transfer_id=key[1], asset=report.asset, is_deposit=report.qty > 0,
                ts_ns=report.venue_ts_ns or ts_ns, seq=seq,
            )  # fmt: skip
            if not is_told:
                known.qty, known.fee, known.is_in_opening = abs(report.qty), report.fee, True
        if known is not None and report.tx_id:
            known.tx_id = report.tx_id
            self._by_tx.setdefault((known.asset, known.tx_id, known.is_deposit), key)
            self._link_by_tx(known)
        for transaction in transactions:
            self._book(transaction)

    def news(self, decisions: Sequence[Decision], report: TransferReported | None) -> None:
        """Take in what the engine concluded of its own transfers."""
        for match in transfers.found_by_engine(decisions):
            for deposit in match.deposits:
                self._link((str(match.withdrawal[0]), match.withdrawal[1]), (str(deposit[0]), deposit[1]))
        for news in decisions:
            if not isinstance(news, TransferMoved) or not news.venue_transfer_id:
                continue
            key = (news.source, news.venue_transfer_id)
            sent = self.known.get(key)
            if sent is None:
                continue
            sent.target = news.target
            is_back = news.after is TransferState.FAILED and report is not None and report.qty > 0
            if is_back and report is not None and report.venue == news.source:
                sent.is_returned = True
                self._link(key, (str(report.venue), report.transfer_id))

    def restored(self, event: TransferRestored) -> None:
        """Take in what an earlier run knew of a transfer of ours."""
        sent = self.known.get((str(event.intent.source), event.venue_transfer_id))
        if sent is not None:
            sent.target = str(event.intent.target)

    def all(self) -> Iterator[Movement]:
        """Yield every movement that moved money the ledger books, in the order of the journal."""
        return (one for one in self.known.values() if (one.qty or one.fee) and not one.is_in_opening)

    def give_out(self) -> None:
        """Leave every withdrawal the deposits that it can have become: in time, up to what was sent; others are on their own."""
        for sent in self.known.values():
            left = sent.qty
            for got in self.of(sent) if not sent.is_deposit else ():
                if got.qty <= left:
                    left = EXACT.subtract(left, got.qty)
                else:
                    del sent.deposits[got.venue, got.transfer_id]
                    got.origin = None

    def of(self, movement: Movement) -> list[Movement]:
        """Return the deposits that a withdrawal became, in time; those that moved nothing left out."""
        found = [self.known[key] for key in movement.deposits if key in self.known]
        return sorted((one for one in found if one.qty), key=lambda one: (one.ts_ns, one.seq))

    def _book(self, transaction: Transaction) -> None:
        kind, _, rest = transaction.reference.partition("|")
        if kind != "transfer":
            return
        venue, _, rest = rest.partition("|")
        transfer_id, _, state = rest.rpartition("|")
        known = self.known.get((venue, transfer_id))
        if known is None:
            return
        if state == "matched":
            known.is_closed = True
            for posting in transaction.postings:
                if posting.account.startswith("expenses:"):
                    known.hidden = EXACT.add(known.hidden, posting.number)
            return
        for posting in transaction.postings:
            if posting.account == accounts.TRANSIT_UNMATCHED:
                moved = EXACT.minus(posting.number) if known.is_deposit else posting.number
                known.qty = EXACT.add(known.qty, moved)
            elif posting.account.startswith(accounts.TRANSFER_FEES):
                known.fee = EXACT.add(known.fee, posting.number)
        if transaction.origin:
            origin = transfers.told_by(transaction.origin)
            self._link((str(origin[0]), origin[1]), (venue, transfer_id))

    def _link(self, withdrawal: Key, deposit: Key) -> None:
        sent, got = self.known.get(withdrawal), self.known.get(deposit)
        is_ours = sent is not None and not sent.is_in_opening
        if is_ours and sent is not None and got is not None and not sent.is_deposit and got.is_deposit:
            sent.deposits[deposit] = None
            got.origin = withdrawal

    def _link_by_tx(self, known: Movement) -> None:
        sent = self._by_tx.get((known.asset, known.tx_id, False))
        got = self._by_tx.get((known.asset, known.tx_id, True))
        if sent is not None and got is not None:
            self._link(sent, got)
