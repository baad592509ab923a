"""What the journal's records mean for orders, fills, arbs, transfers, postings, balances and imported history.

Rules of this file:
- One place for both uses: the commit path feeds records as they come, rebuild and verify feed the whole journal anew.
- Nothing here touches a database: rows to write are collected and taken with `take`; what is not in memory is asked of
  a Past. An order is forgotten only after its row has been taken.
- An order's state follows the venue's words only as far as the fills add up: "canceled after 0.6" ends the order once
  fills of 0.6 are booked. Absence is no word at all. A fill is counted once by its identity, whatever its body.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import repeat
from typing import Any, NamedTuple, Protocol

import msgspec
from sqlalchemy import Table

from arbot.domain.accounting import Transaction
from arbot.domain.commands import SubmitOrder, SubmitTransfer
from arbot.domain.decisions import ArbClosed, ArbMoved, ArbOpened, ArbState, ArbStranded, Decision, TransferMoved
from arbot.domain.errors import InvariantBroken, ensure
from arbot.domain.events import (
    Envelope,
    Event,
    HistoryImported,
    LegEvidence,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSent,
    OrderStatusReported,
    RequestOutcomeUnknown,
    StandingRestored,
    TransferReported,
)
from arbot.domain.ids import ArbId, Asset, ClientOrderId, VenueOrderId
from arbot.domain.order import Fill, OrderIntent, OrderState
from arbot.domain.transfer import DelayEvidence, TransferIntent, TypicalFee
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.journal import schema
from arbot.journal.codec import encode
from arbot.ledger.history.reading import head_of
from arbot.ports import Record

ORDERS_KEPT = 4_096
"""Orders kept in memory; older ones are read again when a late fill names them."""

_BEFORE_OPEN = frozenset({OrderState.INTENDED, OrderState.SENT, OrderState.UNKNOWN})

Row = dict[str, Any]


HistoryRow = tuple[int, int, int, str, str, str]
"""A row of the table `history`, in the order of its columns: there are too many for one dict each."""

Rows = list[Row] | list[HistoryRow]


class LineHeads(NamedTuple):
    """What the imported lines of one event begin with, in columns: kinds, ids and instants (ns)."""

    kinds: Sequence[str]
    names: Sequence[str]
    times_ns: Sequence[int]


class FillKey(NamedTuple):
    """The identity of a fill. A reversal under the trade id it takes back is a fill of its own."""

    venue: str
    venue_order_id: str
    trade_id: str
    is_reversal: bool


def fill_key(fill: Fill) -> FillKey:
    """Return the identity of a fill."""
    return FillKey(fill.venue, fill.venue_order_id, fill.trade_id, fill.is_reversal)


class OrderRow(msgspec.Struct, kw_only=True):
    """An order as projected, with the identities of its fills."""

    intent: OrderIntent
    seq: int
    line: int
    state: OrderState = OrderState.INTENDED
    venue_order_id: VenueOrderId | None = None
    filled_qty: Decimal = ZERO
    end_state: OrderState | None = None
    end_qty: Decimal = ZERO
    fills: set[FillKey] = msgspec.field(default_factory=set)

    def settle(self) -> None:
        """Move the state as far as fills and the venue's last word allow. A terminal state stays."""
        if self.state.is_terminal:
            return
        if self.end_state is not None and self.filled_qty >= self.end_qty:
            self.state = self.end_state
        elif self.filled_qty >= self.intent.qty:
            self.state = OrderState.FILLED
        elif self.filled_qty > 0:
            self.state = OrderState.PART_FILLED


class Past(Protocol):
    """What the database knows that memory does not."""

    def order_row(self, client_order_id: ClientOrderId) -> OrderRow | None:
        """Return a projected order, or None."""
        ...

    def has_fill(self, key: FillKey) -> bool:
        """Return whether a fill of that identity is stored."""
        ...


class Projector:
    """Turns records into rows. Feed with `absorb`, then write what `take` returns in the same database transaction."""

    def __init__(self, past: Past, balances: Iterable[tuple[str, Asset, Decimal]] = ()) -> None:
        self._past = past
        self._balances = {(account, asset): number for account, asset, number in balances}
        self._orders: OrderedDict[ClientOrderId, OrderRow | None] = OrderedDict()  # None: looked up and not ours
        self._dirty_orders: dict[ClientOrderId, OrderRow] = {}
        self._dirty_balances: set[tuple[str, Asset]] = set()
        self._fills: dict[FillKey, Row] = {}
        self._arbs: dict[ArbId, Row] = {}
        self._transfers: dict[tuple[str, str], Row] = {}
        self._own_transfers: list[Row] = []
        self._transfer_news: list[Row] = []
        self._transactions: list[Row] = []
        self._postings: list[Row] = []
        self._standing: list[Row] = []
        self._lessons: dict[tuple[str, str], Row] = {}
        self._history: list[HistoryRow] = []

    def absorb(self, seq: int, record: Record, heads: LineHeads | None = None) -> None:
        """Note what a record changes. Whoever has read its imported lines says what they begin with (`heads`).

        Raises: InvariantBroken when a client order id comes a second time.
        """
        for line, command in enumerate(record.outcome.commands):
            if isinstance(command, SubmitOrder):
                self._intend(seq, line, command.approved.intent)
            elif isinstance(command, SubmitTransfer):
                self._begin_transfer(seq, command.approved.intent)
        self._event(seq, record.envelope, heads)
        for line, decision in enumerate(record.outcome.decisions):
            self._decide(seq, decision)
            if isinstance(decision, TransferMoved):
                self._transfer_news.append(_news_row(seq, line, record.envelope.ts_ns, decision))
        for transaction in record.transactions:
            self._post(seq, transaction)
        if record.standing is not None:
            self._stand(seq, record.standing)

    def take(self) -> tuple[tuple[Table, Rows], ...]:
        """Return the rows to insert or replace, by table in the order to write them, and forget them."""
        rows: tuple[tuple[Table, Rows], ...] = (
            (schema.ARBS, list(self._arbs.values())),
            (schema.ORDERS, [_order_row(order) for order in self._dirty_orders.values()]),
            (schema.FILLS, list(self._fills.values())),
            (schema.TRANSFERS, list(self._transfers.values())),
            (schema.OWN_TRANSFERS, self._own_transfers),
            (schema.OWN_TRANSFER_NEWS, self._transfer_news),
            (schema.TRANSACTIONS, self._transactions),
            (schema.POSTINGS, self._postings),
            (schema.BALANCES, [self._balance_row(key) for key in sorted(self._dirty_balances)]),
            (schema.STANDING, self._standing),
            (schema.LESSONS, list(self._lessons.values())),
            (schema.HISTORY, self._history),
        )
        self._arbs, self._fills, self._transfers, self._dirty_orders = {}, {}, {}, {}
        self._transactions, self._postings, self._standing = [], [], []
        self._own_transfers, self._transfer_news, self._lessons = [], [], {}
        self._history = []
        self._dirty_balances = set()
        while len(self._orders) > ORDERS_KEPT:
            self._orders.popitem(last=False)
        return rows

    # --- orders and fills ---------------------------------------------------------------------------------------------

    def _intend(self, seq: int, line: int, intent: OrderIntent) -> None:
        ensure(
            self._order(intent.client_order_id) is None,
            "client order id used twice",
            order=intent.client_order_id,
            seq=seq,
        )
        self._keep(OrderRow(intent=intent, seq=seq, line=line))

    def _order(self, client_order_id: ClientOrderId) -> OrderRow | None:
        if client_order_id not in self._orders:
            self._orders[client_order_id] = self._past.order_row(client_order_id)
        self._orders.move_to_end(client_order_id)
        return self._orders[client_order_id]

    def _keep(self, order: OrderRow) -> None:
        self._orders[order.intent.client_order_id] = order
        self._dirty_orders[order.intent.client_order_id] = order

    def _event(self, seq: int, envelope: Envelope, heads: LineHeads | None) -> None:
        event = envelope.event
        if isinstance(event, OrderFilled):
            self._fill(seq, envelope.ts_ns, event.fill)
        elif isinstance(event, TransferReported):
            self._transfer(seq, event)
        elif isinstance(event, HistoryImported):
            self._import(seq, event, heads)
        elif isinstance(event, _ABOUT_ORDERS):
            order = self._order(event.client_order_id)
            if order is not None:  # an order that is not ours has no row; its fills are kept all the same
                _move(order, event)
                order.settle()
                self._keep(order)

    def _import(self, seq: int, event: HistoryImported, heads: LineHeads | None) -> None:
        kinds, names, times_ns = _heads_of(seq, event) if heads is None else heads
        lines = event.lines
        self._history.extend(zip(times_ns, repeat(seq), range(len(lines)), names, kinds, lines))

    def _fill(self, seq: int, ts_ns: int, fill: Fill) -> None:
        key = fill_key(fill)
        order = self._order(fill.client_order_id)
        if key in self._fills or (key in order.fills if order is not None else self._past.has_fill(key)):
            return
        self._fills[key] = key._asdict() | {
            "seq": seq,
            "ts_ns": ts_ns,
            "venue_ts_ns": fill.venue_ts_ns,
            "client_order_id": fill.client_order_id,
            "body": encode(fill),
        }
        if order is not None:
            order.fills.add(key)
            add = EXACT.subtract if fill.is_reversal else EXACT.add
            order.filled_qty = add(order.filled_qty, fill.qty)
            order.venue_order_id = fill.venue_order_id
            order.settle()
            self._keep(order)

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _decide(self, seq: int, decision: Decision) -> None:
        if isinstance(decision, ArbOpened):
            self._arbs[decision.arb_id] = _arb_row(decision.arb_id, ArbState.PLANNED, seq)
        elif isinstance(decision, ArbMoved):
            self._arbs[decision.arb_id] = _arb_row(decision.arb_id, decision.after, seq)
        elif isinstance(decision, ArbClosed):
            self._arbs[decision.arb_id] = _arb_row(decision.arb_id, ArbState.FLAT, seq)
        elif isinstance(decision, ArbStranded):
            self._arbs[decision.arb_id] = _arb_row(decision.arb_id, ArbState.STRANDED, seq)

    def _begin_transfer(self, seq: int, intent: TransferIntent) -> None:
        row = {"transfer": intent.transfer, "seq": seq, "requested_ts_ns": intent.requested_ts_ns}
        self._own_transfers.append(row | {"intent": encode(intent)})

    def _transfer(self, seq: int, report: TransferReported) -> None:
        self._transfers[report.venue, report.transfer_id] = {
            "venue": report.venue,
            "transfer_id": report.transfer_id,
            "seq": seq,
            "asset": report.asset,
            "qty": fmt(report.qty),
            "fee": fmt(report.fee),
            "state": report.state.value,
            "venue_ts_ns": report.venue_ts_ns,
        }

    def _post(self, seq: int, transaction: Transaction) -> None:
        self._transactions.append(
            {
                "reference": transaction.reference,
                "seq": seq,
                "step": transaction.seq,
                "ts_ns": transaction.ts_ns,
                "kind": transaction.kind.value,
                "origin": transaction.origin,
            }
        )
        for line, posting in enumerate(transaction.postings):
            self._postings.append(
                {
                    "reference": transaction.reference,
                    "line": line,
                    "account": posting.account,
                    "asset": posting.asset,
                    "number": fmt(posting.number),
                }
            )
            key = (posting.account, posting.asset)
            self._balances[key] = EXACT.add(self._balances.get(key, ZERO), posting.number)
            self._dirty_balances.add(key)

    def _stand(self, seq: int, standing: StandingRestored) -> None:
        """Keep a standing without its lessons, and those each under its own name: a record has only the new ones."""
        bare = msgspec.structs.replace(standing, evidence=(), delays=(), network_fees=())
        self._standing = [{"id": 1, "seq": seq, "body": encode(bare)}]
        for kind, lessons in lessons_of(standing):
            for one in lessons:
                name = lesson_name(one)
                self._lessons[kind, name] = {"kind": kind, "name": name, "seq": seq, "body": encode(one)}

    def _balance_row(self, key: tuple[str, Asset]) -> Row:
        return {"account": key[0], "asset": key[1], "number": fmt(self._balances[key])}


Lesson = LegEvidence | DelayEvidence | TypicalFee

LESSON_TYPES: dict[str, type[Lesson]] = {"leg": LegEvidence, "delay": DelayEvidence, "fee": TypicalFee}


def lessons_of(standing: StandingRestored) -> tuple[tuple[str, tuple[Lesson, ...]], ...]:
    """Return the lessons in a standing by kind."""
    return ("leg", standing.evidence), ("delay", standing.delays), ("fee", standing.network_fees)


def lesson_name(lesson: Lesson) -> str:
    """Return what a lesson is about: the name that the next one about it has too."""
    match lesson:
        case LegEvidence():
            return lesson.instrument
        case DelayEvidence():
            return f"{lesson.source} {lesson.asset} {lesson.network}"
        case TypicalFee():
            return f"{lesson.venue} {lesson.asset} {lesson.network}"


_ABOUT_ORDERS = (
    OrderSent,
    OrderAccepted,
    OrderRejected,
    RequestOutcomeUnknown,
    OrderCanceled,
    OrderExpired,
    OrderStatusReported,
)


def _move(order: OrderRow, event: Event) -> None:
    """Note what the venue, or our own shell, said about an order."""
    match event:
        case OrderSent() if order.state is OrderState.INTENDED:
            order.state = OrderState.SENT
        case OrderAccepted(venue_order_id=venue_order_id):
            order.venue_order_id = venue_order_id
            if order.state in _BEFORE_OPEN:
                order.state = OrderState.OPEN
        case OrderRejected() if order.filled_qty == 0:
            order.end_state, order.end_qty = OrderState.REJECTED, ZERO
        case RequestOutcomeUnknown(request="submit") if order.state in _BEFORE_OPEN:
            order.state = OrderState.UNKNOWN
        case OrderCanceled(filled_qty=filled_qty):
            order.end_state, order.end_qty = OrderState.CANCELED, filled_qty
        case OrderExpired(filled_qty=filled_qty):
            order.end_state, order.end_qty = OrderState.EXPIRED, filled_qty
        case OrderStatusReported(state=state, venue_order_id=venue_order_id, filled_qty=filled_qty):
            order.venue_order_id = venue_order_id or order.venue_order_id
            if state.is_terminal:
                order.end_state, order.end_qty = state, filled_qty
            elif order.state in _BEFORE_OPEN and state is not OrderState.INTENDED:
                order.state = state
        case _:
            pass


def _heads_of(seq: int, event: HistoryImported) -> LineHeads:
    """Read what the lines of an event begin with. Raises: InvariantBroken."""
    heads: list[tuple[str, str, int]] = []
    for body in event.lines:
        try:
            heads.append(head_of(body))
        except ValueError as error:
            raise InvariantBroken(f"journal {seq}, line {len(heads)} of the event: {error}") from error
    return LineHeads(*zip(*heads, strict=True)) if heads else LineHeads((), (), ())


def _news_row(seq: int, line: int, ts_ns: int, news: TransferMoved) -> Row:
    return {"transfer": news.transfer, "seq": seq, "line": line, "ts_ns": ts_ns, "body": encode(news)}


def _arb_row(arb_id: ArbId, state: ArbState, seq: int) -> Row:
    return {"arb_id": arb_id, "state": state.value, "seq": seq}


def _order_row(order: OrderRow) -> Row:
    return {
        "client_order_id": order.intent.client_order_id,
        "seq": order.seq,
        "line": order.line,
        "arb_id": order.intent.arb_id,
        "venue": order.intent.venue,
        "state": order.state.value,
        "venue_order_id": order.venue_order_id,
        "filled_qty": fmt(order.filled_qty),
        "end_state": None if order.end_state is None else order.end_state.value,
        "end_qty": None if order.end_state is None else fmt(order.end_qty),
        "intent": encode(order.intent),
    }
