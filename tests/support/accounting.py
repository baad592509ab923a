"""Builders of fills, intents, events and records for tests of the ledger and the journal."""

from __future__ import annotations

import types
import typing
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from hypothesis import strategies as st

from arbot.domain.accounting import Posting, Transaction
from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import ArbMoved, ArbOpened, ArbState, Decision, Outcome
from arbot.domain.events import Envelope, Event, OrderFilled
from arbot.domain.ids import OrderName, arb_id, client_order_id
from arbot.domain.order import Approved, Fill, Liquidity, OrderIntent, Purpose, Side, TimeInForce
from arbot.domain.units import Amount
from arbot.ledger.posting import Ledger
from arbot.ports import Record

T0_NS = 1_700_000_000_000_000_000


def a_fill(**changes: Any) -> Fill:
    """Return a fill of 0.1 BTC at 60000 with a fee of 24 USD, with changes."""
    fill = Fill(
        venue="kraken",
        instrument="BTC/USD@kraken",
        base="BTC",
        quote="USD",
        client_order_id=order_name(1),
        venue_order_id="O-1",
        trade_id="T-1",
        side=Side.BUY,
        qty=Decimal("0.1"),
        price=Decimal(60_000),
        fee=Amount(Decimal(24), "USD"),
        liquidity=Liquidity.TAKER,
        venue_ts_ns=T0_NS,
    )
    return msgspec.structs.replace(fill, **changes)


def order_name(arb: int, leg: int = 0, attempt: int = 0, epoch: int = 1) -> str:
    """Return one of our client order ids."""
    return client_order_id(OrderName(epoch=epoch, arb=arb, leg=leg, attempt=attempt))


def an_intent(arb: int = 1, leg: int = 0, **changes: Any) -> OrderIntent:
    """Return the intent to buy 0.1 BTC at Kraken as a leg of arb number `arb`, with changes."""
    intent = OrderIntent(
        client_order_id=order_name(arb, leg),
        arb_id=arb_id(1, arb),
        purpose=Purpose.LEG,
        venue="kraken",
        instrument="BTC/USD@kraken",
        symbol="BTC/USD",
        base="BTC",
        quote="USD",
        side=Side.BUY,
        qty=Decimal("0.1"),
        limit_price=Decimal(60_010),
        tif=TimeInForce.IOC,
        fee_rate=Decimal("0.004"),
        decided_ts_ns=T0_NS,
        deadline_ns=T0_NS + 3_000_000_000,
    )
    return msgspec.structs.replace(intent, **changes)


def opened(*intents: OrderIntent) -> Outcome:
    """Return the outcome of a step that opened an arb with these orders."""
    first = intents[0]
    decision = ArbOpened(
        arb_id=first.arb_id,
        buy=first.instrument,
        sell=intents[-1].instrument,
        qty=first.qty,
        buy_price=first.limit_price,
        sell_price=intents[-1].limit_price,
        edge_net_bps=Decimal(12),
        expected_quote=Decimal(7),
        book_recv_ts_ns=T0_NS,
        decided_ts_ns=T0_NS,
    )
    return Outcome(tuple(SubmitOrder(approved=Approved(intent, ("all",))) for intent in intents), (decision,))


def moved(arb: str, after: ArbState) -> Outcome:
    """Return the outcome of a step in which an arb changed state."""
    return Outcome((), (ArbMoved(arb_id=arb, before=ArbState.WORKING, after=after, residual=Decimal(0)),))


class Scribe:
    """Numbers events and books them as the sequencer does, giving records to commit."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger = Ledger() if ledger is None else ledger
        self.step = 0

    def record(self, event: Event, outcome: Outcome | None = None, *decisions: Decision) -> Record:
        """Return the record of the next event."""
        self.step += 1
        envelope = Envelope(self.step, T0_NS + self.step, event)
        outcome = outcome or Outcome((), decisions)
        return Record(envelope=envelope, outcome=outcome, transactions=self.ledger.apply(envelope))

    def filled(self, **changes: Any) -> Record:
        """Return the record of a fill."""
        return self.record(OrderFilled(fill=a_fill(**changes)))


# --- anything that the types allow -----------------------------------------------------------------------------------

NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**12)), max_value=Decimal(10**12), places=None
)


def of_type(wanted: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for any domain type: structs, unions, enums, tuples and what they are made of."""
    if isinstance(wanted, typing.NewType):
        return of_type(wanted.__supertype__)
    if wanted is Transaction:
        return _transactions()
    if wanted in _LEAVES:
        return _LEAVES[wanted]
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(part) for part in typing.get_args(wanted)])
    if origin is tuple:
        parts = typing.get_args(wanted)
        if parts[-1] is not ...:
            return st.tuples(*map(of_type, parts))
        return st.lists(of_type(parts[0]), max_size=2).map(tuple)
    if issubclass(wanted, Enum):
        return st.sampled_from(list(wanted))
    hints = typing.get_type_hints(wanted)
    return st.builds(wanted, **{name: of_type(hints[name]) for name in wanted.__struct_fields__})


_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: NUMBERS,
    str: st.text(st.characters(codec="utf-8"), max_size=8),
    int: st.integers(-(2**62), 2**62),
    bool: st.booleans(),
    type(None): st.none(),
}


@st.composite
def _transactions(draw: st.DrawFn) -> Transaction:
    """Draw a transaction that sums to zero, as no other can be made."""
    fields = typing.get_type_hints(Transaction)
    parts = {name: draw(of_type(fields[name])) for name in ("seq", "ts_ns", "kind", "reference")}
    moves = draw(st.lists(st.tuples(st.sampled_from(["BTC", "USD"]), NUMBERS), max_size=3))
    postings = [
        posting
        for asset, number in moves
        for posting in (
            Posting("assets:kraken", asset, number),
            Posting("equity:exchange", asset, number.copy_negate()),
        )
    ]
    return Transaction(**parts, postings=tuple(postings))
