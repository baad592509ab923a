"""From journaled events to double entry: one pure function of (ledger, envelope), exact to the last digit.

Rules of this file:
- Every transaction has a reference that says what in the world it books; the same reference is booked once, for ever.
  A second fill with the same identity posts nothing, whatever its body (the engine raises the alarm).
- Sums and products run in the EXACT context, where losing a digit raises decimal.Inexact. Nothing is divided.
- References of long ago are not kept in memory: what has left the window is asked of `recall`, the durable store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import cast

import msgspec

from arbot.domain.accounting import Posting, Transaction, TransactionKind
from arbot.domain.decisions import Decision
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    Envelope,
    HistoryImported,
    MovementState,
    OrderFilled,
    TransferReported,
)
from arbot.domain.history import HistoryLine, TransferLine
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Balance
from arbot.domain.order import Fill
from arbot.domain.units import EXACT, ZERO
from arbot.ledger import accounts, transfers
from arbot.ledger.history import posting as history
from arbot.ledger.history.plain_fills import PlainFill
from arbot.ledger.history.reading import read_stored

WINDOW = 50_000
"""Transactions remembered in memory before `recall` is asked: days of trading, some 50 MB at the most."""

Recall = Callable[[str], Transaction | None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in which ledger and venue disagree. `is_listed` is False when the venue did not mention the asset at all."""

    venue: VenueId
    asset: Asset
    ours: Decimal
    theirs: Decimal
    is_listed: bool


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Totals over some transactions, by asset: fees paid (rebates taken off) and turnover of fills, reversals not netted."""

    fills: int
    fees: dict[Asset, Decimal]
    turnover: dict[Asset, Decimal]


def _nothing_earlier(_reference: str) -> Transaction | None:
    return None


class Ledger:
    """Balances of every account, kept by applying journaled events in order.

    `balances` are the sums a store has kept so far; `recall` finds a stored transaction by reference. Both default to
    an empty past.
    """

    def __init__(
        self,
        balances: Iterable[tuple[str, Asset, Decimal]] = (),
        recall: Recall = _nothing_earlier,
        window: int = WINDOW,
    ) -> None:
        self._balances: dict[tuple[str, Asset], Decimal] = {
            (account, asset): number for account, asset, number in balances if number
        }
        self._recall = recall
        self._recent: OrderedDict[str, Transaction] = OrderedDict()
        self._window = window

    def apply(self, envelope: Envelope, decisions: Sequence[Decision] = ()) -> tuple[Transaction, ...]:
        """Book what an event means and return the transactions, none for events that move no money or came before.

        `decisions` are the engine's on this event: it knows which deposit is one of its own transfers.

        Raises: decimal.Inexact when a number is longer than anything a venue writes; nothing is booked then. ValueError
        when an imported history line cannot be read.
        """
        match envelope.event:
            case OrderFilled(fill=fill):
                transaction = self._fill(envelope, fill)
            case AccountSnapshotReceived(venue=venue, balances=balances):
                transaction = self._opening(envelope, venue, balances)
            case TransferReported() as report:
                return self._movement(envelope, report, decisions)
            case AdjustmentRecorded() as adjustment:
                transaction = self._adjustment(envelope, adjustment)
            case HistoryImported() as imported:
                transaction = self._history(envelope, imported, map(read_stored, imported.lines))
            case _:
                return ()
        if transaction is None:
            return ()
        self._book(transaction)
        return (transaction,)

    def balance(self, account: str, asset: Asset) -> Decimal:
        """Return the sum of an account in one asset; zero when nothing was ever posted."""
        return self._balances.get((account, asset), ZERO)

    def balances(self, account: str | None = None) -> tuple[tuple[str, Asset, Decimal], ...]:
        """Return (account, asset, sum) of every nonzero balance, or of one account's, sorted by name."""
        return tuple(
            (name, asset, number)
            for (name, asset), number in sorted(self._balances.items())
            if account is None or name == account
        )

    def compare(self, venue: VenueId, balances: Sequence[Balance]) -> tuple[Difference, ...]:
        """Return every asset in which the venue's totals are not exactly ours, sorted by asset; empty when they tie.

        An asset of ours that the venue does not list is a difference too: missing is not zero.
        """
        account = accounts.venue_assets(venue)
        listed = {balance.asset: balance.total for balance in balances}
        held = {asset for name, asset in self._balances if name == account}
        return tuple(
            Difference(
                venue=venue,
                asset=asset,
                ours=self.balance(account, asset),
                theirs=listed.get(asset, ZERO),
                is_listed=asset in listed,
            )
            for asset in sorted(held | set(listed))
            if self.balance(account, asset) != listed.get(asset, ZERO)
        )

    def is_booked(self, fill: Fill) -> bool:
        """Return whether this fill was posted before, by this run or an earlier one."""
        return self._find(_fill_reference(fill)) is not None

    # --- one event, one transaction -----------------------------------------------------------------------------------

    def _fill(self, envelope: Envelope, fill: Fill) -> Transaction | None:
        kind = TransactionKind.FILL_REVERSAL if fill.is_reversal else TransactionKind.FILL
        reference = _fill_reference(fill)
        if self._find(reference) is not None:
            return None
        ours = accounts.venue_assets(fill.venue)
        sign = -fill.side.sign if fill.is_reversal else fill.side.sign
        base = EXACT.multiply(fill.qty, Decimal(sign))
        quote = EXACT.multiply(EXACT.multiply(fill.qty, fill.price), Decimal(-sign))
        return _transaction(
            envelope,
            kind,
            reference,
            (
                *_move(accounts.EQUITY_EXCHANGE, ours, fill.base, base),
                *_move(accounts.EQUITY_EXCHANGE, ours, fill.quote, quote),
                *_move(ours, accounts.trading_fees(fill.venue), fill.fee.asset, fill.fee.number),
            ),
        )

    def _opening(self, envelope: Envelope, venue: VenueId, balances: Sequence[Balance]) -> Transaction | None:
        """Open a venue with its first snapshot, less what was booked before: fills seen earlier are in the snapshot too."""
        reference = _opening_reference(venue)
        if self._find(reference) is not None:
            return None
        ours = accounts.venue_assets(venue)
        totals = {balance.asset: balance.total for balance in balances}
        postings = [
            posting
            for asset, total in totals.items()
            for posting in _move(accounts.EQUITY_OPENING, ours, asset, EXACT.subtract(total, self.balance(ours, asset)))
        ]
        return _transaction(envelope, TransactionKind.OPENING, reference, postings)

    def _movement(
        self, envelope: Envelope, report: TransferReported, decisions: Sequence[Decision]
    ) -> tuple[Transaction, ...]:
        """Book a movement, remember its transaction on the network, and close the transit of what it completes."""
        matches = transfers.found_by_engine(decisions)
        pointer, by_tx = self._by_tx(envelope, report)
        booked = [self._transfer(envelope, report, self._origin(report, (*matches, *by_tx))), pointer]
        for transaction in booked:
            if transaction is not None:
                self._book(transaction)
        for match, is_bounded in (*((one, False) for one in matches), *((one, True) for one in by_tx)):
            closing = self._close(envelope, match, is_bounded=is_bounded)
            if closing is not None:
                self._book(closing)
                booked.append(closing)
        return tuple(transaction for transaction in booked if transaction is not None)

    def _by_tx(
        self, envelope: Envelope, report: TransferReported
    ) -> tuple[Transaction | None, tuple[transfers.Match, ...]]:
        """Return the transaction that remembers a movement's network id, when new, and the match by that id."""
        is_told = bool(report.tx_id) and report.state is not MovementState.FAILED
        if not is_told or (report.qty > 0 and report.state is MovementState.PENDING):
            return None, ()
        is_deposit = report.qty > 0
        name = transfers.tx_reference(report.asset, report.tx_id, is_deposit=is_deposit)
        other = self._find(transfers.tx_reference(report.asset, report.tx_id, is_deposit=not is_deposit))
        origin = transfers.reference(*transfers.named(report), report.state)
        pointer = None
        if self._find(name) is None:
            pointer = _transaction(envelope, TransactionKind.TRANSFER, name, (), origin)
        if other is None:
            return pointer, ()
        ends = (transfers.told_by(other.origin), transfers.named(report))
        withdrawal, deposit = ends if is_deposit else ends[::-1]
        return pointer, (transfers.Match(Asset(report.asset), withdrawal, (deposit,)),)

    def _origin(self, report: TransferReported, matches: Sequence[transfers.Match]) -> str:
        """Return the withdrawal that a deposit came from, as booked first; empty for withdrawals and what is unmatched."""
        for match in matches:
            if report.qty > 0 and transfers.named(report) in match.deposits:
                found = self._states_of(match.withdrawal)
                return found[0].reference if found else ""
        return ""

    def _states_of(self, movement: tuple[VenueId, str]) -> list[Transaction]:
        references = (transfers.reference(*movement, state) for state in transfers.STATES)
        found = (self._find(reference) for reference in references)
        return [transaction for transaction in found if transaction is not None]

    def _close(self, envelope: Envelope, match: transfers.Match, *, is_bounded: bool) -> Transaction | None:
        """Book what went missing between a withdrawal and its deposits; nothing until both are booked.

        A match by transaction id alone may miss no more than the fee that the source charged.
        """
        name = transfers.match_reference(match)
        left = self._states_of(match.withdrawal)
        arrived = [transaction for deposit in match.deposits for transaction in self._states_of(deposit)]
        sent = transfers.in_transit(match.asset, left)
        got = EXACT.minus(transfers.in_transit(match.asset, arrived))
        if not sent or not got or self._find(name) is not None:
            return None
        missing = EXACT.subtract(sent, got)
        if missing < 0 or (is_bounded and missing > transfers.fee_of(match.asset, left)):
            return None  # credited twice, or something else went missing: it stays visible in transit
        return _transaction(
            envelope, TransactionKind.TRANSFER, name, transfers.hidden_fee(match, missing), left[0].reference
        )

    def _transfer(self, envelope: Envelope, report: TransferReported, origin: str) -> Transaction | None:
        """Book the step from what this transfer has posted so far to what its state means now.

        A withdrawal leaves the venue when it is pending, a deposit arrives when it is done, a failed one never was. The
        fee comes on top of `qty`, as in the venues' own ledgers. What is dated before the opening is in the opening.
        """
        references = {state: transfers.reference(*transfers.named(report), state) for state in transfers.STATES}
        rank = transfers.STATES.index(report.state)
        found = {state: self._find(reference) for state, reference in references.items()}
        if any(found[state] is not None for state in transfers.STATES[rank:]):
            return None  # this state or a later one is booked
        if not any(found.values()) and self._is_in_opening(report):
            return None
        missing: dict[tuple[str, Asset], Decimal] = {}
        for posting in _transfer_postings(report):
            _add(missing, posting)
        for earlier in found.values():
            for posting in earlier.postings if earlier is not None else ():
                _add(missing, Posting(posting.account, posting.asset, EXACT.minus(posting.number)))
        postings = [Posting(account, asset, number) for (account, asset), number in missing.items() if number]
        return _transaction(envelope, TransactionKind.TRANSFER, references[report.state], postings, origin)

    def _is_in_opening(self, report: TransferReported) -> bool:
        opening = self._find(_opening_reference(report.venue))
        is_awaited = report.qty > 0 and report.state is MovementState.PENDING
        return opening is not None and not is_awaited and 0 < report.venue_ts_ns <= opening.ts_ns

    def _adjustment(self, envelope: Envelope, adjustment: AdjustmentRecorded) -> Transaction | None:
        # Two people may well record the same number twice: the moment in the journal is what makes it one of a kind.
        reference = (
            f"{TransactionKind.ADJUSTMENT}|{adjustment.venue}|{adjustment.asset}|{envelope.ts_ns}|{envelope.seq}"
        )
        if self._find(reference) is not None:
            return None
        ours = accounts.venue_assets(adjustment.venue)
        postings = _move(accounts.EQUITY_ADJUSTMENTS, ours, Asset(adjustment.asset), adjustment.qty)
        return _transaction(envelope, TransactionKind.ADJUSTMENT, reference, tuple(postings))

    def book_history(
        self, envelope: Envelope, imported: HistoryImported, lines: Iterable[HistoryLine | PlainFill]
    ) -> Transaction | None:
        """Book what was imported, given its lines as read: what `apply` does with their text. None when it was booked."""
        transaction = self._history(envelope, imported, lines)
        if transaction is not None:
            self._book(transaction)
        return transaction

    def _history(
        self, envelope: Envelope, imported: HistoryImported, lines: Iterable[HistoryLine | PlainFill]
    ) -> Transaction | None:
        """Return imported lines in sums. A file is named by its digest: the same lines of it are booked once."""
        reference = f"{TransactionKind.HISTORY}|{imported.digest}|{imported.row}"
        if self._find(reference) is not None:
            return None
        postings = (
            history.retold_sums(cast("Iterable[HistoryLine]", lines), self._opened_ns)
            if imported.is_retold
            else history.sums(lines, self._opened_ns, self._has_arrived)
        )
        return _transaction(envelope, TransactionKind.HISTORY, reference, postings)

    def _has_arrived(self, line: TransferLine) -> bool:
        """Say whether the target venue has told of a deposit with the network's id of this transfer."""
        if self._opened_ns(VenueId(line.dst)) is None:
            return False
        pointer = self._find(transfers.tx_reference(line.asset, line.txid, is_deposit=True))
        return pointer is not None and transfers.told_by(pointer.origin)[0] == line.dst

    def _opened_ns(self, venue: VenueId) -> int | None:
        opening = self._find(_opening_reference(venue))
        return None if opening is None else opening.ts_ns

    # --- memory -------------------------------------------------------------------------------------------------------

    def _find(self, reference: str) -> Transaction | None:
        return self._recent.get(reference) or self._recall(reference)

    def _book(self, transaction: Transaction) -> None:
        for posting in transaction.postings:
            _add(self._balances, posting)
        self._recent[transaction.reference] = transaction
        if len(self._recent) > self._window:
            self._recent.popitem(last=False)


def _fill_reference(fill: Fill) -> str:
    kind = TransactionKind.FILL_REVERSAL if fill.is_reversal else TransactionKind.FILL
    return f"{kind}|{fill.venue}|{fill.venue_order_id}|{fill.trade_id}"


def _opening_reference(venue: VenueId) -> str:
    return f"{TransactionKind.OPENING}|{venue}"


def _transfer_postings(report: TransferReported) -> Iterator[Posting]:
    has_left = report.qty < 0 and report.state is not MovementState.FAILED
    has_arrived = report.qty > 0 and report.state is MovementState.DONE
    if has_left or has_arrived:
        ours, asset = accounts.venue_assets(report.venue), Asset(report.asset)
        yield from _move(accounts.TRANSIT_UNMATCHED, ours, asset, report.qty)
        yield from _move(ours, accounts.transfer_fees(report.venue), asset, report.fee)


def _move(source: str, target: str, asset: Asset, number: Decimal) -> Iterator[Posting]:
    """Yield the two postings that bring `number` from one account to another; nothing for zero."""
    if number:
        yield Posting(target, asset, number)
        yield Posting(source, asset, EXACT.minus(number))


def _add(balances: dict[tuple[str, Asset], Decimal], posting: Posting) -> None:
    key = (posting.account, posting.asset)
    number = EXACT.add(balances.get(key, ZERO), posting.number)
    if number:
        balances[key] = number
    else:
        balances.pop(key, None)


def _transaction(
    envelope: Envelope, kind: TransactionKind, reference: str, postings: Sequence[Posting], origin: str = ""
) -> Transaction:
    return Transaction(
        seq=envelope.seq,
        ts_ns=envelope.ts_ns,
        kind=kind,
        reference=reference,
        postings=tuple(postings),
        origin=origin,
    )


def summary(transactions: Iterable[Transaction]) -> Summary:
    """Return the totals of some transactions: fills, trading fees by asset, and turnover by asset.

    Turnover of the quote asset is what venues call volume.
    """
    fills = 0
    fees: dict[Asset, Decimal] = {}
    turnover: dict[Asset, Decimal] = {}
    for transaction in transactions:
        if transaction.kind is not TransactionKind.FILL:
            continue
        fills += 1
        for posting in transaction.postings:
            if posting.account == accounts.EQUITY_EXCHANGE:
                turnover[posting.asset] = EXACT.add(turnover.get(posting.asset, ZERO), EXACT.abs(posting.number))
            elif posting.account.startswith(accounts.TRADING_FEES):
                fees[posting.asset] = EXACT.add(fees.get(posting.asset, ZERO), posting.number)
    return Summary(fills=fills, fees=fees, turnover=turnover)
