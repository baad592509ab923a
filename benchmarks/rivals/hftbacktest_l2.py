"""hftbacktest over the same stream: two assets, every level kept, both books' best prices looked at on every feed.

    python hftbacktest_l2.py FOLDER [--depth roivector|hashmap] [--orders yes|no] [--rows N]

`--orders yes` is the like of what arbot does: each row goes to the exchange's book and to ours, both legs of an arb are
sent as IOC limit orders with constant latency, and fill against the exchange's book when they arrive: whole, in its
cheaper model of an exchange. `--orders no` is less than arbot does: the rows go to our books alone, and arbs are only
counted. Rows of one message have one time, so hftbacktest wakes the loop once a message. Converting the columns and
compiling the loop are not timed.
"""

from __future__ import annotations

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    EXCH_EVENT,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
    __version__,
)
from hftbacktest.order import IOC
from hftbacktest.types import event_dtype
from numba import njit
from shared import BOOK_SHIFT, CLEAR, DELTA, KIND_MASK, SNAPSHOT, TRADE, Stream, asked, load, report, timed

EVENTS = {SNAPSHOT: DEPTH_SNAPSHOT_EVENT, DELTA: DEPTH_EVENT, TRADE: TRADE_EVENT, CLEAR: DEPTH_CLEAR_EVENT}
DEPTHS = {"roivector": ROIVectorMarketDepthBacktest, "hashmap": HashMapMarketDepthBacktest}
NEVER = 1 << 62
ENDED = 1
RANGE_MARGIN = 0.02  # beyond the lowest and the highest price of the stream


@njit
def trade(hbt, taker_0, taker_1, edge_min, qty_max, cool_down_ns, has_orders):  # noqa: PLR0917
    """Look at both books after each message; return (looks, arbs, best prices)."""
    first, second = hbt.depth(0), hbt.depth(1)
    looks = arbs = 0
    ready_ns = 0
    while hbt.wait_next_feed(False, NEVER) != ENDED:
        looks += 1
        bid_0, ask_0 = first.best_bid, first.best_ask
        bid_1, ask_1 = second.best_bid, second.best_ask
        for buy in range(2):
            if buy == 0:
                ask, bid, taker_buy, taker_sell = ask_0, bid_1, taker_0, taker_1
            else:
                ask, bid, taker_buy, taker_sell = ask_1, bid_0, taker_1, taker_0
            clears = bid * (1.0 - taker_sell) >= ask * (
                1.0 + taker_buy + edge_min
            )  # nan, while a side is empty, does not
            if not clears or hbt.current_timestamp < ready_ns:
                continue
            arbs += 1
            ready_ns = hbt.current_timestamp + cool_down_ns
            if has_orders:
                if buy == 0:
                    qty = min(qty_max, first.best_ask_qty, second.best_bid_qty)
                else:
                    qty = min(qty_max, second.best_ask_qty, first.best_bid_qty)
                hbt.clear_inactive_orders(0)
                hbt.clear_inactive_orders(1)
                hbt.submit_buy_order(buy, 2 * arbs, ask, qty, IOC, LIMIT, False)
                hbt.submit_sell_order(1 - buy, 2 * arbs + 1, bid, qty, IOC, LIMIT, False)
    return looks, arbs, (first.best_bid, first.best_ask, second.best_bid, second.best_ask)


def events_of(stream: Stream, book: int, *, has_orders: bool) -> np.ndarray:
    """Return one book's rows as hftbacktest wants them. The exchange sees them when we do, as in arbot's replay."""
    mine = np.flatnonzero(stream.tag >> BOOK_SHIFT == book)
    kind = stream.tag[mine] & KIND_MASK
    mine, kind = mine[np.isin(kind, list(EVENTS))], kind[np.isin(kind, list(EVENTS))]
    table = np.zeros(16, np.uint64)
    for ours, theirs in EVENTS.items():
        table[ours] = theirs
    to = EXCH_EVENT | LOCAL_EVENT if has_orders else LOCAL_EVENT
    key = stream.key[mine]
    events = np.zeros(len(mine), event_dtype)
    events["ev"] = table[kind] | np.where(key > 0, BUY_EVENT, SELL_EVENT).astype(np.uint64) | np.uint64(to)
    events["exch_ts"] = events["local_ts"] = stream.recv_ts_ns[mine]
    events["px"] = np.abs(key) * 10.0 ** -stream.books[book]["price_decimals"]
    events["qty"] = stream.qty[mine] * 10.0 ** -stream.books[book]["qty_decimals"]
    return events


def asset_of(told: dict, events: np.ndarray) -> BacktestAsset:
    """Return one venue: its data, fees, latency, and the range of prices that is kept as an array."""
    prices = events["px"]
    return (
        BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(told["latency_ns"], told["latency_ns"])
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(float(told["taker"]), float(told["taker"]))
        .tick_size(10.0 ** -told["price_decimals"])
        .lot_size(10.0 ** -told["qty_decimals"])
        .roi_lb(float(prices.min() * (1 - RANGE_MARGIN)))
        .roi_ub(float(prices.max() * (1 + RANGE_MARGIN)))
        .last_trades_capacity(0)
    )


def main() -> None:
    options = asked(
        depth={"choices": tuple(DEPTHS), "default": "roivector"}, orders={"choices": ("yes", "no"), "default": "yes"}
    )
    stream = load(options.folder, options.rows)
    has_orders = options.orders == "yes"
    venues = [(told, events_of(stream, book, has_orders=has_orders)) for book, told in enumerate(stream.books)]
    rule = (
        *(float(told["taker"]) for told in stream.books),
        stream.edge_min,
        float(stream.about["qty_max"]),
        int(stream.about["cool_down_ns"]),
        has_orders,
    )
    spent = []
    for _ in range(2):
        hbt = DEPTHS[options.depth]([asset_of(*venue) for venue in venues])
        found, wall_s, cpu_s = timed(lambda hbt=hbt: trade(hbt, *rule))
        fills = sum(int(hbt.state_values(number).num_trades) for number in range(2))
        hbt.close()
        spent.append(wall_s)
    looks, arbs, best = found
    name = f"hftbacktest {__version__}, {options.depth}, {'orders' if has_orders else 'books and detector only'}"
    report(name, stream, wall_s, cpu_s, first_wall_s=spent[0], looks=looks, arbs=arbs, fills=fills, best=best)


if __name__ == "__main__":
    main()
