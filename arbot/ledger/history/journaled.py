"""From the journal of arbot's own runs to history lines: fills, transfers, cash, adjustments and what venues held at first.

Rules of this file:
- What the ledger booked is what happened: a record that booked nothing (a second telling) makes no line.
- Every line has a stable id, the venue's own order id where there is one, and the prices decided when it happened.
- A fill that the venue took back disappears with it; what the venue kept of its fees is a spend.
- What a venue held when the ledger first saw it, and what came from outside, has a basis nobody told us: none is made up.
  Pretend money (demo, paper) has no past, so it is worth there what it was worth when first seen, and the note says so.
- Nothing here is matched by amount and time, and nothing is dropped: what cannot be a line is an open item with a remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from arbot.domain.accounting import Transaction, TransactionKind
from arbot.domain.decisions import Decision
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    Envelope,
    LotOrderRecorded,
    LotsPicked,
    OrderFilled,
    TransferReported,
    TransferRestored,
)
from arbot.domain.history import (
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    Placed,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
)
from arbot.domain.order import Fill
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.history.evidence import Evidence, Pricing
from arbot.ledger.history.movements import ELSEWHERE, Movement, Movements
from arbot.ledger.history.snapshots import Held, Opening, Snapshots
from arbot.ledger.lots.words import OpenItem

NO_PRICES: Final = Pricing({}, {}, {}, (), ())


class Entry(NamedTuple):
    """One record of the journal with its number."""

    seq: int
    envelope: Envelope
    decisions: Sequence[Decision] = ()
    transactions: Sequence[Transaction] = ()


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """Coins that went or came, and nobody told where to or where from. `tx_id` is how an imported transfer names it."""

    id: str
    venue: str
    asset: str
    qty: Decimal  # what the account lost, fee included, or got
    ts_ns: int
    tx_id: str
    is_deposit: bool
    seq: int
    pricing: Pricing


class Ordered(NamedTuple):
    """A standing order as it was recorded."""

    event: LotOrderRecorded
    ts_ns: int


class Picked(NamedTuple):
    """A pick as it was recorded, and the ids of the lines it is for, once they are known."""

    event: LotsPicked
    ts_ns: int
    lines: tuple[str, ...]


class Journaled(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal says of history. `lines` are in order; `unpriced` are ids of lines with what is missing or stale."""

    lines: tuple[Placed, ...]
    openings: tuple[Opening, ...]
    held: tuple[Held, ...]
    unmatched: tuple[Unmatched, ...]
    unpriced: dict[str, Pricing]
    items: tuple[OpenItem, ...]
    orders: tuple[Ordered, ...]
    picks: tuple[Picked, ...]
    notes: tuple[str, ...]
    orders_of: dict[str, str] = {}  # client order id by the id of its fill's line


def read_journal(entries: Iterable[Entry], *, is_pretend: bool) -> Journaled:
    """Return the history that these records tell. Entries ascend by number; kinds that say nothing of money may be left out."""
    reading = _Reading(is_pretend)
    for entry in entries:
        reading.take(entry)
    return reading.result()


class _Reading:
    """One pass over a journal."""

    def __init__(self, is_pretend: bool) -> None:
        self._is_pretend = is_pretend
        self._evidence = Evidence()
        self._movements = Movements()
        self._snapshots = Snapshots()
        self._fills: dict[tuple[str, str, str], tuple[int, int, Fill]] = {}
        self._reversals: list[tuple[int, int, Fill]] = []
        self._adjustments: list[tuple[int, int, int, AdjustmentRecorded]] = []
        self._orders: list[Ordered] = []
        self._picks: list[tuple[LotsPicked, int]] = []
        self._lines_of: dict[str, list[str]] = {}  # ids of lines by client order id
        self._ids: set[str] = set()  # asked for membership only
        self._lines: list[Placed] = []
        self._unpriced: dict[str, Pricing] = {}
        self._unmatched: list[Unmatched] = []
        self._items: list[OpenItem] = []
        self._notes: list[str] = []

    # --- in -------------------------------------------------------------------------------------------------------------

    def take(self, entry: Entry) -> None:
        """Take in the next record."""
        envelope, event = entry.envelope, entry.envelope.event
        self._evidence.note(entry.decisions)
        self._snapshots.book(envelope.ts_ns, entry.transactions)
        match event:
            case OrderFilled(fill=fill):
                self._fill(entry, fill)
            case TransferReported():
                self._movements.note(entry.seq, event, envelope.ts_ns, entry.transactions)
            case TransferRestored():
                self._movements.restored(event)
            case AdjustmentRecorded() if entry.transactions:
                self._adjustments.append((entry.seq, envelope.seq, envelope.ts_ns, event))
            case AccountSnapshotReceived():
                self._snapshots.take(entry.seq, envelope.ts_ns, event, entry.transactions)
            case LotOrderRecorded():
                self._orders.append(Ordered(event, envelope.ts_ns))
            case LotsPicked():
                self._picks.append((event, envelope.ts_ns))
            case _:
                pass
        report = event if isinstance(event, TransferReported) else None
        self._movements.news(entry.decisions, report)

    def _fill(self, entry: Entry, fill: Fill) -> None:
        kinds = [transaction.kind for transaction in entry.transactions]
        ts_ns = fill.venue_ts_ns or entry.envelope.ts_ns
        if TransactionKind.FILL in kinds:
            self._fills[fill.venue, fill.venue_order_id, fill.trade_id] = (entry.seq, ts_ns, fill)
        elif TransactionKind.FILL_REVERSAL in kinds:
            self._reversals.append((entry.seq, ts_ns, fill))

    # --- out ------------------------------------------------------------------------------------------------------------

    def result(self) -> Journaled:
        """Return all of it, lines in the order of time."""
        self._reverse()
        for seq, ts_ns, fill in self._fills.values():
            self._add_fill(seq, ts_ns, fill)
        self._movements.give_out()
        for movement in self._movements.all():
            self._add_movement(movement)
        for seq, step, ts_ns, adjustment in self._adjustments:
            self._add_adjustment(seq, step, ts_ns, adjustment)
        self._lines.sort(key=lambda placed: (placed.ts_ns, placed.seq))
        return Journaled(
            lines=tuple(self._lines),
            openings=self._snapshots.openings(self._lines, self._evidence, self._movements),
            held=self._snapshots.held(),
            unmatched=tuple(self._unmatched),
            unpriced=self._unpriced,
            items=tuple(self._items),
            orders=tuple(self._orders),
            picks=tuple(
                Picked(event, ts_ns, tuple(self._lines_of.get(event.disposal, (event.disposal,))))
                for event, ts_ns in self._picks
            ),
            notes=tuple(self._notes),
            orders_of={line: order for order, lines in self._lines_of.items() for line in lines},
        )

    def _place(self, line: HistoryLine, ts_ns: int, seq: int, pricing: Pricing = NO_PRICES) -> None:
        self._lines.append(Placed(line, ts_ns, seq))
        self._ids.add(line.id)
        if pricing.missing or pricing.stale:
            self._unpriced[line.id] = pricing

    def _reverse(self) -> None:
        """Take fills out that the venue took back; what it kept of fees stays."""
        for seq, ts_ns, back in self._reversals:
            key = (back.venue, back.venue_order_id, back.trade_id)
            _, _, fill = self._fills.get(key, (0, 0, None))
            if fill is None or (fill.side, fill.qty, fill.price) != (back.side, back.qty, back.price):
                self._reverse_alone(seq, ts_ns, back)
                continue
            del self._fills[key]
            self._notes.append(f"{back.venue} took trade {back.trade_id} of order {back.venue_order_id} back: no line")
            for fee in (fill.fee, back.fee):
                self._kept(seq, ts_ns, fill, fee.asset, fee.number)

    def _kept(self, seq: int, ts_ns: int, fill: Fill, asset: str, number: Decimal) -> None:
        """Book a fee of a trade that is no more: paid, or given back."""
        if not number:
            return
        line_id = f"{fill.venue}:{fill.trade_id}:reversed:{len(self._lines)}"
        pricing = self._evidence.price(_subject(fill), (asset,), ts_ns)
        kind, why = (SpendLine, "fee") if number > 0 else (IncomeLine, "rebate")
        self._place(
            kind(
                **_common(line_id, ts_ns, pricing), venue=fill.venue, asset=asset, amount=abs(number), why=why,
                note="fee of a trade that the venue took back",
            ), ts_ns, seq, pricing,
        )  # fmt: skip

    def _reverse_alone(self, seq: int, ts_ns: int, back: Fill) -> None:
        """Book a reversal of a trade we do not have as the opposite trade, and have a person look at it."""
        opposite = msgspec.structs.replace(back, side=back.side.opposite, is_reversal=False)
        line_id = f"{back.venue}:{back.trade_id}:reversal"
        self._add_fill(seq, ts_ns, opposite, line_id)
        self._items.append(
            OpenItem(
                "reversal_unmatched", f"{line_id} at {format_ts(ts_ns)}",
                f"{back.venue} took back {fmt(back.qty)} {back.base} that no trade here has; booked as the opposite trade",
                f"look at order {back.venue_order_id} at {back.venue}; then --accept reversal_unmatched:{line_id}", seq,
            )
        )  # fmt: skip

    def _add_fill(self, seq: int, ts_ns: int, fill: Fill, line_id: str = "") -> None:
        name = line_id or f"{fill.venue}:{fill.trade_id}"
        if name in self._ids:  # a venue that counts trades by instrument, or by order
            name = f"{fill.venue}:{fill.venue_order_id}:{fill.trade_id}"
        fee_ccy = fill.fee.asset if fill.fee.number else fill.quote
        traded = {str(fill.base): fill.price} if fill.quote == "USD" else None
        pricing = self._evidence.price(_subject(fill), (fill.base, fill.quote, fee_ccy), ts_ns, traded)
        line = FillLine(
            **_common(name, ts_ns, pricing),
            venue=fill.venue,
            symbol=f"{fill.base}/{fill.quote}",
            base=fill.base,
            quote=fill.quote,
            side=fill.side.value,
            amount=fill.qty,
            price=fill.price,
            cost=EXACT.multiply(fill.qty, fill.price),
            fee=fill.fee.number,
            fee_ccy=fee_ccy,
            order_id=fill.venue_order_id,
            note=f"order {fill.client_order_id}, journal {seq}",
        )
        self._place(line, ts_ns, seq, pricing)
        self._lines_of.setdefault(fill.client_order_id, []).append(name)

    # --- movements ------------------------------------------------------------------------------------------------------

    def _add_movement(self, one: Movement) -> None:
        pricing = self._evidence.price(one.subject, (one.asset,), one.ts_ns)
        if one.is_deposit:
            self._charge(one, pricing)
            if one.origin is None:
                self._add_deposit(one, pricing)
        elif one.is_returned:
            self._add_returned(one, pricing)
        elif one.is_cash and not one.target and not one.deposits:
            left = WithdrawalLine(
                **_common(one.id, one.ts_ns, pricing), venue=one.venue, asset=one.asset, amount=one.qty
            )
            self._place(left, one.ts_ns, one.seq, pricing)
            self._charge(one, pricing)
        else:
            self._add_transfer(one, pricing)

    def _add_transfer(self, one: Movement, pricing: Pricing) -> None:
        """Write one line a deposit, the first with the fee; what has not arrived is on its way, or lost once that is certain."""
        deposits = self._movements.of(one)
        rest, fee = one.qty, one.fee
        for number, deposit in enumerate(deposits, start=1):
            qty = rest if one.is_closed and number == len(deposits) else deposit.qty
            name = _part(one, number)
            arrives_ns = max(deposit.ts_ns, one.ts_ns)
            self._place(
                self._transfer(one, name, deposit.venue, arrives_ns, qty, fee, pricing), one.ts_ns, one.seq, pricing
            )
            rest, fee = EXACT.subtract(rest, qty), ZERO
            if qty != deposit.qty:
                self._spend(
                    deposit, f"{one.id}:lost", EXACT.subtract(qty, deposit.qty), arrives_ns, pricing,
                    "credited for less than was sent",
                )  # fmt: skip
        if rest:
            name = _part(one, len(deposits) + 1)
            line = self._transfer(one, name, one.target or ELSEWHERE, None, rest, fee, pricing)
            self._place(line, one.ts_ns, one.seq, pricing)
            if not one.target:
                self._add_unmatched(one, name, line.sent, pricing)

    def _transfer(  # noqa: PLR0917 - one per field of the line
        self, one: Movement, name: str, dst: str, arrives_ns: int | None, qty: Decimal, fee: Decimal, pricing: Pricing
    ) -> TransferLine:
        return TransferLine(
            **_common(name, one.ts_ns, pricing),
            ts_in=None if arrives_ns is None else format_ts(arrives_ns),
            src=one.venue,
            dst=dst,
            asset=one.asset,
            sent=EXACT.add(qty, fee),
            received=qty,
            fee=fee,
            txid=one.tx_id,
            note=f"journal {one.seq}",
        )

    def _add_returned(self, one: Movement, pricing: Pricing) -> None:
        """Book what the way cost of a withdrawal that came back to its own account: that is all there was."""
        back = sum((deposit.qty for deposit in self._movements.of(one)), ZERO)
        cost = EXACT.subtract(EXACT.add(one.qty, one.fee), back)
        self._notes.append(f"{one.id} came back to {one.venue}")
        if cost > 0:
            self._spend(one, f"{one.id}:returned", cost, one.ts_ns, pricing, "cost of a withdrawal that came back")

    def _add_deposit(self, one: Movement, pricing: Pricing) -> None:
        if not one.qty:
            return
        if one.is_cash:
            line = DepositLine(**_common(one.id, one.ts_ns, pricing), venue=one.venue, asset=one.asset, amount=one.qty)
            self._place(line, one.ts_ns, one.seq, pricing)
        else:
            self._add_unmatched(one, one.id, one.qty, pricing)

    def _add_unmatched(self, one: Movement, name: str, qty: Decimal, pricing: Pricing) -> None:
        self._unmatched.append(
            Unmatched(
                id=name, venue=one.venue, asset=one.asset, qty=qty, ts_ns=one.ts_ns, tx_id=one.tx_id,
                is_deposit=one.is_deposit, seq=one.seq, pricing=pricing,
            )
        )  # fmt: skip

    def _charge(self, one: Movement, pricing: Pricing) -> None:
        if one.fee > 0:
            self._spend(one, f"{one.id}:charge", one.fee, one.ts_ns, pricing, "what the venue charged for it")

    def _spend(  # noqa: PLR0917 - one per field of the line
        self, one: Movement, name: str, amount: Decimal, ts_ns: int, pricing: Pricing, note: str
    ) -> None:
        line = SpendLine(
            **_common(name, ts_ns, pricing), venue=one.venue, asset=one.asset, amount=amount, why="fee",
            note=f"{note}; journal {one.seq}",
        )  # fmt: skip
        self._place(line, ts_ns, one.seq, pricing)

    # --- people ---------------------------------------------------------------------------------------------------------

    def _add_adjustment(self, seq: int, step: int, ts_ns: int, one: AdjustmentRecorded) -> None:
        pricing = self._evidence.price(f"adjustment|{one.venue}|{one.asset}", (one.asset,), ts_ns)
        kind = IncomeLine if one.qty > 0 else SpendLine
        line = kind(
            **_common(f"{one.venue}:adjustment:{ts_ns}-{step}", ts_ns, pricing),
            venue=one.venue,
            asset=one.asset,
            amount=abs(one.qty),
            why="other",
            note=f"booked by {one.actor}: {one.reason}; journal {seq}",
        )
        self._place(line, ts_ns, seq, pricing)


def _part(one: Movement, number: int) -> str:
    """Return the id of the line of a part of a transfer, counted from 1."""
    return one.id if number == 1 else f"{one.id}:{number}"


def _subject(fill: Fill) -> str:
    return f"fill|{fill.venue}|{fill.venue_order_id}|{fill.trade_id}"


def _common(line_id: str, ts_ns: int, pricing: Pricing) -> dict[str, Any]:
    return {"id": line_id, "ts": format_ts(ts_ns), "px": pricing.px, "fx": pricing.fx, "px_src": pricing.px_src}
