"""A table-driven world for the engine: books, venues' answers and the clock are lines of text.

One line per event, `->` and what must come out of it; blank means that nothing of interest came out. Grammar:

    <venue> book bid 100.0x2 99.9x1 ask 100.1x2      <venue> silent | loud        <venue> invalid
    <venue> sent|accepted|unknown|canceled|expired   <venue> rejected <code>      <venue> filled 1 @100.1 [fee 0.1 BTC]
    <venue> again (the last fill once more)          <venue> absent               <venue> reported canceled 0.5
    <venue> busted (the last fill is taken back)
    <venue> down | up                                operator pause               wait 250ms | 3s
    <venue> market down | up                         <venue> quote filled 1 @100.1
    <venue> book USDT/USD bid 0.9x5 ask 1.1x5        <venue> status maintenance   <venue> networks BTC open, USD closed
    <venue> balances (told as at the start)          <venue> paid out 1 BTC (a withdrawal of the account is done)

Orders are answered in the order in which they were sent to that venue; `filled` etc. speak of the last one, after
`quote` of the last one that was to rest.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from arbot.domain.book import BookState, Level
from arbot.domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelTimer,
    QueryOrder,
    ResyncBook,
    SetTimer,
    StopRun,
    SubmitOrder,
)
from arbot.domain.decisions import (
    ArbClosed,
    ArbStranded,
    LimitLatched,
    OpportunityDeclined,
    OrderRefused,
    OrphanFillFound,
    Outcome,
    PegChanged,
    QuotePulled,
    VenueHealthChanged,
)
from arbot.domain.events import (
    AccountSnapshotReceived,
    BooksMoved,
    ClockSkewMeasured,
    Envelope,
    Event,
    FeedConnected,
    FeedDisconnected,
    FeesLoaded,
    InstrumentsLoaded,
    MovementState,
    NetworksReported,
    OperatorRequested,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSent,
    OrderStatusReported,
    ReconciliationEnded,
    RejectCode,
    RequestOutcomeUnknown,
    RunStarted,
    StandingRestored,
    Stream,
    TimerFired,
    TransferReported,
    VenueStatusReported,
    Verb,
)
from arbot.domain.ids import Asset, InstrumentId, RunId, TradeId, VenueId, VenueOrderId, instrument_id
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Fill, Liquidity, OrderIntent, OrderState, Side
from arbot.domain.transfer import Network, NetworkTerms, VenueStatus
from arbot.domain.units import WIDE, Amount, fmt
from arbot.engine.config import EngineConfig, ExecutionPolicy, RiskLimits
from arbot.engine.engine import Engine
from arbot.engine.strategy import Strategy
from strategies.cross_venue import CrossVenue

START_NS = 1_790_000_000_000_000_000
BEFORE_START_NS = START_NS - 1_000_000
MS = 1_000_000


def an_instrument(venue: str, symbol: str = "BTC/USD", **changes: object) -> Instrument:
    """Return an instrument with round steps: tick 0.1, step 0.1, minimum 0.1."""
    base, quote = symbol.split("/")
    values: dict[str, object] = {
        "id": instrument_id(symbol, venue),
        "venue": VenueId(venue),
        "symbol": symbol,
        "venue_symbol": symbol.replace("/", "-"),
        "base": Asset(base),
        "quote": Asset(quote),
        "tick_size": Decimal("0.1"),
        "qty_step": Decimal("0.1"),
        "price_decimals": 1,
        "qty_decimals": 8,
        "qty_min": Decimal("0.1"),
    }
    return Instrument(**(values | changes))  # type: ignore[arg-type]


class FakeMarket:
    """Books as plain lists: a MarketView whose contents a test writes down."""

    def __init__(self) -> None:
        self.books: dict[InstrumentId, dict[Side, tuple[Level, ...]]] = {}
        self.valid: dict[InstrumentId, bool] = {}
        self.recv: dict[InstrumentId, int] = {}
        self.venue: dict[InstrumentId, int] = {}

    def state(self, instrument: InstrumentId) -> BookState:
        """Return what the test set."""
        return BookState(self.valid.get(instrument, False), self.recv.get(instrument, 0), self.venue.get(instrument, 0))

    def best(self, instrument: InstrumentId, side: Side) -> Level | None:
        """Return the first level."""
        return next(iter(self.levels(instrument, side, 1)), None)

    def levels(self, instrument: InstrumentId, side: Side, depth: int) -> tuple[Level, ...]:
        """Return the first levels."""
        return self.books.get(instrument, {}).get(side, ())[:depth]

    def set(self, instrument: InstrumentId, now_ns: int, bids: str, asks: str) -> None:
        """Write a book from texts such as "100.0x2 99.9x1"."""
        self.books[instrument] = {Side.SELL: _levels(bids), Side.BUY: _levels(asks)}
        self.valid[instrument] = True
        self.recv[instrument] = self.venue[instrument] = now_ns


def _levels(text: str) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(qty)) for price, qty in (part.split("x") for part in text.split()))


class World:
    """An engine with venues whose every answer the test writes."""

    def __init__(
        self,
        venues: tuple[str, ...] = ("kraken", "coinbase"),
        *,
        limits: RiskLimits = RiskLimits(),  # noqa: B008 - frozen
        execution: ExecutionPolicy = ExecutionPolicy(),  # noqa: B008 - frozen
        edge_net_bps_min: str = "2",
        fee: str = "0.001",
        balances: dict[str, str] | None = None,
        instruments: tuple[Instrument, ...] = (),
        reconciled: bool = True,
        epoch: int = 1,
        strategy: Strategy | None = None,
        standing: StandingRestored | None = None,  # what the last run left in the store
        now_ns: int = START_NS,
        is_loaded: bool = True,  # whether the venues have told anything
        **parts: object,  # of the EngineConfig: health, pegs, news, registry ...
    ) -> None:
        self.market = FakeMarket()
        self._balances = balances or {"BTC": "10", "USD": "10000"}
        instruments = instruments or tuple(an_instrument(venue) for venue in venues)
        self.instruments: dict[VenueId, Instrument] = {}
        for one in instruments:
            self.instruments.setdefault(one.venue, one)  # of several at a venue, the first
        self.listed = instruments
        config = EngineConfig(
            **{"ccy": Asset("USD")} | parts,  # type: ignore[arg-type]
            venues=tuple(VenueId(v) for v in venues),
            instruments=tuple(i.id for i in instruments),
            limits=limits,
            execution=execution,
        )
        self.engine = Engine(config, strategy or CrossVenue({"edge_net_bps_min": edge_net_bps_min}), self.market)
        self.now_ns = now_ns
        self.seq = 0
        self.trades = 0
        self.timers: dict[str, int] = {}
        self.silent: set[str] = set()
        self.intents: list[OrderIntent] = []
        self.last_fill: Fill | None = None
        self.log: list[tuple[Envelope, Outcome]] = []
        self.stopped = ""
        if standing is not None:
            self.give(standing)
        self.give(RunStarted(run_id=RunId("r"), epoch=epoch, code_version="t", config_digest="d", mode="test"))
        for venue in config.venues if is_loaded else ():
            mine = tuple(i for i in instruments if i.venue == venue)
            self.give(InstrumentsLoaded(venue=venue, instruments=mine))
            self.give(
                FeesLoaded(
                    venue=venue,
                    fees=tuple(FeeRate(instrument=i.id, maker=Decimal(0), taker=Decimal(fee)) for i in mine),
                )
            )
            self.give(self.balances(venue))
            self.give(ClockSkewMeasured(venue=venue, skew_ms=0, rtt_ms=1))
            self.give(FeedConnected(venue=venue, stream=Stream.MARKET))
            self.give(FeedConnected(venue=venue, stream=Stream.ACCOUNT))
            if reconciled:
                self.give(ReconciliationEnded(venue=venue, differences=0))

    def balances(self, venue: VenueId) -> AccountSnapshotReceived:
        """Return a venue's balances as they were at the start."""
        told = tuple(Balance(asset=Asset(asset), total=Decimal(total)) for asset, total in self._balances.items())
        return AccountSnapshotReceived(venue=venue, balances=told)

    def give(self, event: Event) -> list[str]:
        """Step the engine with one event and return what came out, as words."""
        self.seq += 1
        envelope = Envelope(self.seq, self.now_ns, event)
        outcome = self.engine.step(envelope)
        self.log.append((envelope, outcome))
        words = [word for command in outcome.commands for word in self._do(command)]
        return words + [word for decision in outcome.decisions for word in _say(decision)]

    def _do(self, command: object) -> list[str]:
        match command:
            case SetTimer():
                self.timers[command.key] = command.at_ns
            case CancelTimer():
                self.timers.pop(command.key, None)
            case SubmitOrder():
                intent = command.approved.intent
                self.intents.append(intent)
                word = "" if intent.purpose == "leg" else f" {intent.purpose}"
                word += " rest" if intent.tif.rests else ""
                side, qty, price = intent.side, fmt(intent.qty), fmt(intent.limit_price)
                return [f"{intent.venue} {side} {qty} @{price}{word}"]
            case CancelOrder():
                return [f"{command.venue} cancel"]
            case QueryOrder():
                return [f"{command.venue} query"]
            case ResyncBook():
                return [f"resync {command.instrument}"]
            case CancelAllOrders():
                return [f"{command.venue} cancel all"]
            case StopRun():
                self.stopped = command.reason
                return [f"stop: {command.reason}"]
        return []

    def line(self, text: str) -> list[str]:
        """Carry out one line of a table and return what came out, as words."""
        who, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        if who == "wait":
            return self.wait(rest)
        if who == "operator":
            verb, _, argument = rest.partition(" ")
            return self.give(OperatorRequested(verb=Verb(verb), actor="test", argument=argument))
        return self.venue_line(VenueId(who), rest)

    def wait(self, text: str) -> list[str]:
        """Let time pass; timers fire when due; the books of venues that are not silent stay alive."""
        number, unit = re.fullmatch(r"(\d+)(ms|s)", text).groups()  # type: ignore[union-attr]
        until = self.now_ns + int(number) * MS * (1000 if unit == "s" else 1)
        words = []
        while True:
            due = sorted((at, key) for key, at in self.timers.items() if at <= until)
            if not due:
                break
            at, key = due[0]
            del self.timers[key]
            self._pass(max(at, self.now_ns))
            words += self.give(TimerFired(key=key))
        self._pass(until)
        return words

    def _pass(self, now_ns: int) -> None:
        self.now_ns = now_ns
        for instrument in self.listed:
            if instrument.venue not in self.silent and instrument.id in self.market.recv:
                self.market.recv[instrument.id] = self.market.venue[instrument.id] = now_ns

    def venue_line(self, venue: VenueId, text: str) -> list[str]:
        """Carry out what a venue did."""
        word, _, rest = text.partition(" ")
        instrument = self.instruments[venue]
        if word == "book":
            symbol = rest.partition(" ")[0]
            if "/" in symbol:
                instrument, rest = self._instrument(venue, symbol), rest.removeprefix(symbol)
            bids, asks = re.fullmatch(r"bid(.*?)ask(.*)", rest.strip()).groups()  # type: ignore[union-attr]
            self.market.set(instrument.id, self.now_ns, bids, asks)
            return self.give(BooksMoved(instruments=(instrument.id,)))
        if word == "quote":
            answer, _, rest = rest.partition(" ")
            return self.give(self._answer(venue, answer, rest, rests=True))
        if word == "market":
            gone = FeedDisconnected(venue=venue, stream=Stream.MARKET, reason="test") if rest == "down" else None
            return self.give(gone or FeedConnected(venue=venue, stream=Stream.MARKET))
        if word in ("silent", "loud"):
            (self.silent.add if word == "silent" else self.silent.discard)(venue)
            return []
        if word == "invalid":
            self.market.valid[instrument.id] = False
            return []
        if word in ("down", "up"):
            event = FeedDisconnected(venue=venue, stream=Stream.ACCOUNT, reason="test") if word == "down" else None
            return self.give(event or FeedConnected(venue=venue, stream=Stream.ACCOUNT))
        if word == "busted":
            assert self.last_fill is not None
            return self.give(OrderFilled(fill=msgspec.structs.replace(self.last_fill, is_reversal=True)))
        if word == "again":
            assert self.last_fill is not None
            return self.give(OrderFilled(fill=self.last_fill))
        if word in ("status", "networks", "balances", "paid"):
            return self.give(self._told(venue, word, rest))
        return self.give(self._answer(venue, word, rest))

    def _instrument(self, venue: VenueId, symbol: str) -> Instrument:
        return next(one for one in self.listed if one.id == instrument_id(symbol, venue))

    def _told(self, venue: VenueId, word: str, rest: str) -> Event:
        """Return what a venue says of itself, or of its money."""
        if word == "status":
            return VenueStatusReported(venue=venue, status=VenueStatus(rest))
        if word == "networks":
            rows = [row.split() for row in rest.split(",")]
            terms = [(Asset(asset), said == "open") for asset, said in rows]
            return NetworksReported(
                venue=venue,
                networks=tuple(
                    NetworkTerms(asset=asset, network=Network("one"), can_deposit=is_open, can_withdraw=is_open)
                    for asset, is_open in terms
                ),
            )
        if word == "balances":
            return self.balances(venue)
        _, qty, asset = rest.split()
        self.trades += 1
        return TransferReported(
            venue=venue, transfer_id=f"W{self.trades}", asset=asset, qty=-Decimal(qty), fee=Decimal(0),
            state=MovementState.DONE, venue_ts_ns=self.now_ns,
        )  # fmt: skip

    def _answer(self, venue: VenueId, word: str, rest: str, *, rests: bool = False) -> Event:
        mine_there = [intent for intent in self.intents if intent.venue == venue]
        intent = [intent for intent in mine_there if intent.tif.rests or not rests][-1]
        mine = intent.client_order_id
        match word:
            case "sent":
                return OrderSent(client_order_id=mine)
            case "accepted":
                return OrderAccepted(client_order_id=mine, venue_order_id=VenueOrderId(f"V-{mine}"))
            case "rejected":
                return OrderRejected(client_order_id=mine, code=RejectCode(rest), detail=rest)
            case "unknown":
                return RequestOutcomeUnknown(client_order_id=mine, request="submit", detail="timeout")
            case "canceled":
                return OrderCanceled(client_order_id=mine, filled_qty=self.filled(intent))
            case "expired":
                return OrderExpired(client_order_id=mine, filled_qty=self.filled(intent))
            case "absent":
                return OrderStatusReported(
                    client_order_id=mine,
                    state=OrderState.UNKNOWN,
                    venue_order_id=None,
                    sources=2,
                    asked_ts_ns=self.now_ns,
                )
            case "reported":
                state, qty = rest.split()
                return OrderStatusReported(
                    client_order_id=mine,
                    state=OrderState(state),
                    venue_order_id=VenueOrderId(f"V-{mine}"),
                    filled_qty=Decimal(qty),
                    asked_ts_ns=self.now_ns,
                )
            case "filled":
                return OrderFilled(fill=self._fill(intent, rest))
        raise AssertionError(f"no such word: {word}")

    def filled(self, intent: OrderIntent) -> Decimal:
        """Return what the engine has seen filled of an order."""
        return self.engine.state.orders[intent.client_order_id].filled_qty

    def _fill(self, intent: OrderIntent, text: str) -> Fill:
        qty, price, fee, asset = re.fullmatch(r"(\S+) @(\S+)(?: fee (\S+) (\S+))?", text).groups()  # type: ignore[union-attr]
        self.trades += 1
        amount = Amount(Decimal(fee), Asset(asset)) if fee else Amount(Decimal(0), intent.quote)
        self.last_fill = Fill(
            venue=intent.venue,
            instrument=intent.instrument,
            base=intent.base,
            quote=intent.quote,
            client_order_id=intent.client_order_id,
            venue_order_id=VenueOrderId(f"V-{intent.client_order_id}"),
            trade_id=TradeId(f"T{self.trades}"),
            side=intent.side,
            qty=Decimal(qty),
            price=Decimal(price),
            fee=amount,
            liquidity=Liquidity.TAKER,
            venue_ts_ns=self.now_ns,
        )
        return self.last_fill


def _say(decision: object) -> list[str]:
    match decision:
        case OpportunityDeclined():
            return [f"declined {decision.reason}"]
        case OrderRefused():
            return [f"refused {decision.reason}"]
        case ArbClosed():
            kind = "flush " if decision.is_flush else ""
            if decision.missed:
                return [f"{kind}missed"]
            left = f" carry {fmt(decision.residual)}" if decision.residual else ""
            left += f" foreign {fmt(decision.residual_foreign)}" if decision.residual_foreign else ""
            return [f"{kind}flat {fmt(WIDE.quantize(decision.pnl_net, Decimal('0.0001')))}{left}"]
        case ArbStranded():
            others = [f" and {fmt(amount.number)} {amount.asset}" for amount in decision.open[1:]]
            return [f"stranded {fmt(decision.residual)}{''.join(others)}"]
        case OrphanFillFound():
            return ["orphan"]
        case QuotePulled():
            return [f"pulled {decision.reason}"]
        case LimitLatched():
            return [f"latched {decision.limit}"]
        case VenueHealthChanged():
            return [f"{decision.venue} {'quarantined' if decision.is_quarantined else 'let out'}"]
        case PegChanged():
            return [f"{decision.asset} {'off' if decision.is_depegged else 'on'} its peg"]
    return []


def play(world: World, table: str) -> None:
    """Carry out a table and compare each line with its right column. Failing lines are shown as they came out."""
    wrong = []
    for number, line in enumerate(table.strip("\n").splitlines(), 1):
        line = line.split("//")[0].rstrip()  # noqa: PLW2901
        if not line.strip():
            continue
        left, _, right = line.partition("->")
        expected = [part.strip() for part in right.split(";") if part.strip()]
        actual = world.line(left)
        if expected != actual:
            wrong.append(f"line {number}: {left.strip()}\n   expected {expected}\n   actual   {actual}")
    assert not wrong, "\n" + "\n".join(wrong)
