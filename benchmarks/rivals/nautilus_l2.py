"""NautilusTrader over the same stream: order-book deltas a message, both books' best prices looked at on each.

    python nautilus_l2.py FOLDER [--what engine|books] [--rows N]

`--what engine` is its BacktestEngine with L2 books, a strategy that the data engine keeps books for, and both legs of an
arb sent as IOC limit orders with latency: the like of what arbot does. `--what books` is less than arbot does: the deltas
are applied to two OrderBooks in a plain loop, and arbs are only counted. Its objects are made beforehand and not timed.
"""

from __future__ import annotations

import gc
from decimal import Decimal
from typing import Any

import nautilus_trader
import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import BTC, USD
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import (
    AccountType,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
    TimeInForce,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import FIXED_PRECISION, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from shared import BOOK_SHIFT, DELTA, IS_LAST, KIND_MASK, SNAPSHOT, Stream, asked, load, report, timed

LAST = RecordFlag.F_LAST
FUNDS = 100_000_000


def instruments_of(stream: Stream) -> list[CurrencyPair]:
    """Return BTC/USD at each venue."""
    return [
        CurrencyPair(
            instrument_id=InstrumentId(Symbol("BTC/USD"), Venue(told["venue"].upper())),
            raw_symbol=Symbol("BTC/USD"),
            base_currency=BTC,
            quote_currency=USD,
            price_precision=told["price_decimals"],
            size_precision=told["qty_decimals"],
            price_increment=Price(10.0 ** -told["price_decimals"], told["price_decimals"]),
            size_increment=Quantity(10.0 ** -told["qty_decimals"], told["qty_decimals"]),
            maker_fee=Decimal(told["taker"]),
            taker_fee=Decimal(told["taker"]),
            ts_event=0,
            ts_init=0,
        )
        for told in stream.books
    ]


def messages_of(stream: Stream, instruments: list[CurrencyPair]) -> list[OrderBookDeltas]:
    """Return every message that changes a book, as NautilusTrader's own objects."""
    made: list[OrderBookDeltas] = []
    begun: list[OrderBookDelta] = []
    columns = (np.asarray(column).tolist() for column in (stream.recv_ts_ns, stream.key, stream.qty, stream.tag))
    for ts_ns, key, qty, tag in zip(*columns, strict=True):
        kind = tag & KIND_MASK
        if kind not in (SNAPSHOT, DELTA):
            continue
        instrument = instruments[tag >> BOOK_SHIFT]
        if kind == SNAPSHOT and not begun:
            begun.append(OrderBookDelta.clear(instrument.id, 0, ts_ns, ts_ns))
        price = Price.from_raw(
            abs(key) * 10 ** (FIXED_PRECISION - instrument.price_precision), instrument.price_precision
        )
        size = Quantity.from_raw(qty * 10 ** (FIXED_PRECISION - instrument.size_precision), instrument.size_precision)
        order = BookOrder(OrderSide.BUY if key > 0 else OrderSide.SELL, price, size, 0)
        action = BookAction.UPDATE if qty else BookAction.DELETE
        flags = LAST if tag & IS_LAST else 0
        begun.append(OrderBookDelta(instrument.id, action, order, flags, 0, ts_ns, ts_ns))
        if tag & IS_LAST:
            made.append(OrderBookDeltas(instrument.id, begun))
            begun = []
    return made


class Rule:
    """Both ways between two books: which one clears fees and the least edge."""

    def __init__(self, stream: Stream) -> None:
        first, second = (float(told["taker"]) for told in stream.books)
        self.factors = ((1.0 + first + stream.edge_min, 1.0 - second), (1.0 + second + stream.edge_min, 1.0 - first))
        self.qty_max = float(stream.about["qty_max"])
        self.cool_down_ns = int(stream.about["cool_down_ns"])
        self.ready_ns = self.looks = self.arbs = 0

    def buys_at(self, books: tuple[OrderBook, OrderBook], now_ns: int) -> int:
        """Return the book to buy at, -1 for none."""
        first, second = books
        self.looks += 1
        bid_0, ask_0, bid_1, ask_1 = (
            first.best_bid_price(),
            first.best_ask_price(),
            second.best_bid_price(),
            second.best_ask_price(),
        )
        if bid_0 is None or ask_0 is None or bid_1 is None or ask_1 is None:
            return -1
        buy_0, sell_1 = self.factors[0]
        buy_1, sell_0 = self.factors[1]
        if float(bid_1) * sell_1 >= float(ask_0) * buy_0:
            buy = 0
        elif float(bid_0) * sell_0 >= float(ask_1) * buy_1:
            buy = 1
        else:
            return -1
        if now_ns < self.ready_ns:
            return -1
        self.ready_ns = now_ns + self.cool_down_ns
        self.arbs += 1
        return buy


class Arbitrage(Strategy):
    """Sends both legs at once."""

    def __init__(self, stream: Stream, instruments: list[CurrencyPair]) -> None:
        super().__init__()
        self.rule = Rule(stream)
        self.instruments = instruments
        self.books: tuple[OrderBook, ...] = ()
        self.fills = 0

    def on_start(self) -> None:
        """Ask for both books."""
        for instrument in self.instruments:
            self.subscribe_order_book_deltas(instrument.id, BookType.L2_MBP)

    def on_order_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Look at both books, and send both legs when they clear."""
        if len(self.books) < len(self.instruments):
            found = (self.cache.order_book(instrument.id) for instrument in self.instruments)
            self.books = tuple(book for book in found if book is not None and book.best_bid_price() is not None)
            return
        buy = self.rule.buys_at(self.books, deltas.ts_init)
        if buy >= 0:
            asks, bids = self.books[buy], self.books[1 - buy]
            qty = min(float(asks.best_ask_size()), float(bids.best_bid_size()), self.rule.qty_max)
            for side, book, number in ((OrderSide.BUY, asks, buy), (OrderSide.SELL, bids, 1 - buy)):
                instrument = self.instruments[number]
                price = book.best_ask_price() if side == OrderSide.BUY else book.best_bid_price()
                order = self.order_factory.limit(
                    instrument.id, side, instrument.make_qty(qty), price, time_in_force=TimeInForce.IOC
                )
                self.submit_order(order)

    def on_order_filled(self, _event: Any) -> None:
        """Count."""
        self.fills += 1


def best_of(books: tuple[OrderBook, ...]) -> list[float]:
    """Return bid and ask of each book."""
    return [float(price) for book in books for price in (book.best_bid_price(), book.best_ask_price())]


def run_engine(stream: Stream, instruments: list[CurrencyPair], messages: list[OrderBookDeltas]) -> dict[str, Any]:
    """Run its engine over the messages and return what it took."""
    quiet = LoggingConfig(bypass_logging=True)
    engine = BacktestEngine(BacktestEngineConfig(logging=quiet, risk_engine=RiskEngineConfig(bypass=True)))
    for told, instrument in zip(stream.books, instruments, strict=True):
        engine.add_venue(
            venue=instrument.id.venue,
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            starting_balances=[Money(FUNDS, USD), Money(1_000, BTC)],
            book_type=BookType.L2_MBP,
            latency_model=LatencyModel(base_latency_nanos=told["latency_ns"]),
        )
        engine.add_instrument(instrument)
    engine.add_data(messages, validate=False, sort=False)
    strategy = Arbitrage(stream, instruments)
    engine.add_strategy(strategy)
    _, wall_s, cpu_s = timed(engine.run)
    rule, best = strategy.rule, best_of(strategy.books)
    fills = strategy.fills
    engine.dispose()
    return {"wall_s": wall_s, "cpu_s": cpu_s, "looks": rule.looks, "arbs": rule.arbs, "fills": fills, "best": best}


def run_books(stream: Stream, instruments: list[CurrencyPair], messages: list[OrderBookDeltas]) -> dict[str, Any]:
    """Apply the messages to two books in a loop and return what it took."""
    first, second = (OrderBook(instrument.id, BookType.L2_MBP) for instrument in instruments)
    rule = Rule(stream)
    is_first = [message.instrument_id == instruments[0].id for message in messages]

    def loop() -> None:
        books = (first, second)
        buys_at = rule.buys_at
        for message, mine in zip(messages, is_first, strict=True):
            (first if mine else second).apply_deltas(message)
            buys_at(books, message.ts_init)

    _, wall_s, cpu_s = timed(loop)
    best = best_of((first, second))
    return {"wall_s": wall_s, "cpu_s": cpu_s, "looks": rule.looks, "arbs": rule.arbs, "fills": 0, "best": best}


WAYS = {"engine": run_engine, "books": run_books}


def main() -> None:
    options = asked(what={"choices": tuple(WAYS), "default": "engine"})
    stream = load(options.folder, options.rows)
    instruments = instruments_of(stream)
    gc.disable()
    messages = messages_of(stream, instruments)
    gc.freeze()
    found = WAYS[options.what](stream, instruments, messages)
    report(f"NautilusTrader {nautilus_trader.__version__}, {options.what}", stream, **found)


if __name__ == "__main__":
    main()
