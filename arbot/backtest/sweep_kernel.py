"""Many settings judged in one compiled pass over the books: an approximation that selects; the engine's re-run is the truth.

The books are kept as live keeps them (market/sides.py) and cost what one pass costs. A setting costs only where it could
act: at messages whose edge at the touch passes its own need, and when something of its own falls due. What it does
there mirrors the engine's taker-taker arb (engine/detector, sizing, arbs, residual) with integer prices and quantities,
and money in binary floats. What it leaves out, so that the engine's figures differ:

    consumed depth   is not tracked: only the cool-down keeps a setting from taking the same level twice
    chance           no rejects, no venue rate limits but the orders per minute; latencies are those that the engine's
                     first orders draw, so that luck is the same until the two first differ
    rules            counterparty share, clock skew and transfers; flushing of carried residuals; hedging on third venues

Time as in market/scan.py: a message comes before what falls due at its very time, whatever its latency. A book that
crosses itself is kept and not valid.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market import sides
from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, END, KEYS, RECV_TS, START, SYNCED, VALID, VENUE_TS, Words
from arbot.market.stream import BOOK_SHIFT, IS_LAST, KIND_MASK, Column, Kind

Records = NDArray[np.void]
Floats = NDArray[np.float64]

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000
ORDERS_KEPT_FOR_HEDGES = 2  # as in engine/risk/gates.py
FOREVER = 2**62

_SNAPSHOT, _DELTA, _CLEAR, _ALIVE = int(Kind.SNAPSHOT), int(Kind.DELTA), int(Kind.CLEAR), int(Kind.ALIVE)

# words of a head that the pass looks at for every message, unsigned so that no index counts from the end
_VALID = np.uint64(VALID)
_ASK_KEYS, _ASK_END = np.uint64(ASKS + KEYS), np.uint64(ASKS + END)
_BID_KEYS, _BID_END = np.uint64(BIDS + KEYS), np.uint64(BIDS + END)

# how a call of `run` ended
AT_END, AT_STOP, NO_ROOM = 0, 1, 2

# what falls due
_BUY_ARRIVES, _SELL_ARRIVES, _WORK_ARRIVES, _ANSWERED, _LOOK_AGAIN = 0, 1, 2, 3, 4

# how an arb ends
_FLAT, _STRANDED, _CUT = 0, 1, 2


def _record(ints: str, floats: str = "") -> np.dtype[np.void]:
    return np.dtype([*((name, np.int64) for name in ints.split()), *((name, np.float64) for name in floats.split())])


BOOK = _record("head venue tick step qty_min qty_max base quote", "price_unit qty_unit notional_min")
"""A book: tick and step in its own integer units; `base` and `quote` number the accounts."""

ROUTE = _record("buy sell buy_factor sell_factor step rate_book", "qty_unit")
"""An ordered pair of books: quantities in its own unit (the finer of the two); rate_book -1 = the quote is the ccy."""

SETTING = _record(
    "depth_max cool_ns age_ns venue_age_ns skew_ns arbs_max tries_max hedge_ns retry_ns orders_max",
    "edge_min notional_max inventory_max gross_max slip loss_max loss_day_max drawdown_max",
)
"""What may differ between settings, beside fees, latencies and balances. Edges, slip: fractions; money: the ccy."""

SCORE_COUNTS = ("looks", "arbs", "full", "one_sided", "missed", "stranded", "cut", "orders")
SCORE = _record(
    f"stopped open day {' '.join(SCORE_COUNTS)}",
    "edge fees unwinds net volume day_net peak drawdown equity_min",
)
"""What a setting has come to. Money in the ccy; `net` is after fees and values residuals at the arb's own mean price."""

SLOT = _record(
    "used route qty buy_price sell_price bought sold leg_bought leg_sold waiting known_ns one_sided_ns buy_tries sell_tries "
    "work_book work_is_buy work_qty work_price",
    "cash fees buy_mean sell_mean unwinds volume reserved_quote reserved_base",
)
"""One arb under way. Quantities in the route's unit, prices in their book's, money in the quote."""

DUE = _record("ts_ns number what setting slot")


class World(NamedTuple):
    """All that a pass reads and writes. K settings, B books, R routes, V venues, A accounts."""

    books: Records
    routes: Records
    route_first: Column  # B + 1: where each book's routes begin in route_list
    route_list: Column
    settings: Records
    taker: Floats  # K x B
    request_ns: NDArray[np.int64]  # K x V x D: what the orders to a venue take, one after the other and round again
    answer_ns: NDArray[np.int64]  # K x V x D
    need: Floats  # R x K, ascending: the ratio bid / ask that a setting needs
    need_of: NDArray[np.int64]  # R x K: whose need that is
    floors: Floats  # R: a hair below the least need
    units: Floats  # B: the price unit of each book
    scores: Records  # K
    slots: Records  # K x S
    total: Floats  # K x A
    reserved: Floats  # K x A
    cool_ns: NDArray[np.int64]  # K x R: until when
    busy: NDArray[np.int64]  # K x B: orders under way
    sent_ns: NDArray[np.int64]  # K x V x the most orders a minute: a ring
    sent: NDArray[np.int64]  # K x V: how many in all
    due: Records  # a heap by (ts_ns, number)
    queue: Column  # [entries in the heap, next number, 1 = nothing new is begun: the part has ended]


_i8, _f8 = types.int64, types.float64
_mem = _i8[::1]
_column = types.Array(_i8, 1, "C", readonly=True)  # type: ignore[no-untyped-call]


def _records(kind: np.dtype[np.void], dimensions: int = 1) -> types.Type:
    return types.Array(numba.from_dtype(kind), dimensions, "C")  # type: ignore[no-any-return, no-untyped-call]


_world = types.NamedTuple(  # type: ignore[no-untyped-call]
    (
        _records(BOOK), _records(ROUTE), _mem, _mem, _records(SETTING), _f8[:, ::1], _i8[:, :, ::1], _i8[:, :, ::1],
        _f8[:, ::1], _i8[:, ::1], _f8[::1], _f8[::1], _records(SCORE), _records(SLOT, 2), _f8[:, ::1], _f8[:, ::1], _i8[:, ::1],
        _i8[:, ::1], _i8[:, :, ::1], _i8[:, ::1], _records(DUE), _mem,
    ),
    World,
)  # fmt: skip


# --- what falls due ---------------------------------------------------------------------------------------------------


@compiled(types.void(_world, _i8, _i8, _i8, _i8))
def push(world: World, ts_ns: int, what: int, k: int, s: int) -> None:
    """Note that something of a setting's arb falls due."""
    due, at, number = world.due, world.queue[0], world.queue[1]
    world.queue[0] += 1
    world.queue[1] += 1
    while at > 0:
        parent = (at - 1) >> 1
        if due[parent].ts_ns <= ts_ns:  # numbers ascend, so an equal time stays behind
            break
        due[at] = due[parent]
        at = parent
    entry = due[at]
    entry.ts_ns, entry.number, entry.what, entry.setting, entry.slot = ts_ns, number, what, k, s


@compiled(types.void(_world))
def pop(world: World) -> None:
    """Forget what falls due first."""
    due = world.due
    world.queue[0] -= 1
    count = world.queue[0]
    ts_ns, number = due[count].ts_ns, due[count].number
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        right = child + 1
        if right < count and (
            due[right].ts_ns < due[child].ts_ns
            or (due[right].ts_ns == due[child].ts_ns and due[right].number < due[child].number)
        ):
            child = right
        if due[child].ts_ns > ts_ns or (due[child].ts_ns == ts_ns and due[child].number > number):
            break
        due[at] = due[child]
        at = child
    due[at] = due[count]


# --- looking at books -------------------------------------------------------------------------------------------------


@compiled(_i8(_mem, _i8))
def best(mem: Words, side: int) -> int:
    """Return the best price of a side that has levels, in the book's unit."""
    return abs(mem[mem[side + KEYS] + mem[side + END] - 1])


@compiled(_f8(_mem, _world, _i8))
def mid(mem: Words, world: World, b: int) -> float:
    """Return the middle of a book, 0 while it is not valid."""
    book = world.books[b]
    if mem[book.head + VALID] == 0:
        return 0.0
    return (best(mem, book.head + BIDS) + best(mem, book.head + ASKS)) * 0.5 * book.price_unit


@compiled(types.boolean(_mem, _world, _i8, _i8, _i8))
def is_fresh(mem: Words, world: World, k: int, b: int, now_ns: int) -> bool:
    """Return whether a book is valid and both its ages are within the setting's limits; ages count whole ms."""
    head = world.books[b].head
    if mem[head + VALID] == 0:
        return False
    if (now_ns - mem[head + RECV_TS]) // 1_000_000 * 1_000_000 > world.settings[k].age_ns:
        return False
    venue_ts_ns = mem[head + VENUE_TS]
    return bool(venue_ts_ns == 0 or (now_ns - venue_ts_ns) // 1_000_000 * 1_000_000 <= world.settings[k].venue_age_ns)


_walked = types.Tuple((_i8, _i8, _i8, _f8, _f8))


@compiled(_walked(_mem, _world, _i8, _f8, _f8, _i8))
def walk(  # noqa: PLR0917
    mem: Words, world: World, r: int, ask_factor: float, bid_factor: float, depth: int
) -> tuple[int, int, int, float, float]:
    """Match asks against bids while the marginal unit clears; detector.walk in integers.

    Returns (quantity, worst ask, worst bid, cost, proceeds); the quantity is 0 when nothing clears.
    """
    route = world.routes[r]
    one, other = world.books[route.buy], world.books[route.sell]
    asks, bids = one.head + ASKS, other.head + BIDS
    ask_at, bid_at = mem[asks + KEYS] + mem[asks + END] - 1, mem[bids + KEYS] + mem[bids + END] - 1
    ask_stop = mem[asks + KEYS] + max(mem[asks + START], mem[asks + END] - depth)
    bid_stop = mem[bids + KEYS] + max(mem[bids + START], mem[bids + END] - depth)
    qty = ask_price = bid_price = ask_used = bid_used = 0
    cost = proceeds = 0.0
    while ask_at >= ask_stop and bid_at >= bid_stop:
        ask, bid = -mem[ask_at] * one.price_unit, mem[bid_at] * other.price_unit
        if bid * bid_factor < ask * ask_factor:
            break
        ask_left = mem[ask_at + mem[asks + CAPACITY]] * route.buy_factor - ask_used
        bid_left = mem[bid_at + mem[bids + CAPACITY]] * route.sell_factor - bid_used
        step = min(ask_left, bid_left)
        qty += step
        cost += step * route.qty_unit * ask
        proceeds += step * route.qty_unit * bid
        ask_price, bid_price = -mem[ask_at], mem[bid_at]
        ask_used += step
        bid_used += step
        if step == ask_left:
            ask_at -= 1
            ask_used = 0
        if step == bid_left:
            bid_at -= 1
            bid_used = 0
    return qty, ask_price, bid_price, cost, proceeds


@compiled(types.Tuple((_i8, _f8))(_mem, _world, _i8, _i8, _i8, _i8, _i8))
def take(mem: Words, world: World, r: int, is_buy: int, price: int, qty: int, depth: int) -> tuple[int, float]:  # noqa: PLR0917
    """Return (quantity, quote value) that an order on one book of a route meets no worse than `price`.

    `is_buy`: 1 buys on the buying book, 0 sells on the selling book, 3 buys on the selling book, 2 sells on the buying one.
    """
    route = world.routes[r]
    at_buying = is_buy in {1, 2}
    book = world.books[route.buy if at_buying else route.sell]
    factor = route.buy_factor if at_buying else route.sell_factor
    side = book.head + (ASKS if is_buy & 1 else BIDS)
    worst = -price if is_buy & 1 else price
    at = mem[side + KEYS] + mem[side + END] - 1
    stop = mem[side + KEYS] + max(mem[side + START], mem[side + END] - depth)
    got, value = 0, 0.0
    while at >= stop and got < qty and mem[at] >= worst:
        step = min(mem[at + mem[side + CAPACITY]] * factor, qty - got)
        got += step
        value += step * route.qty_unit * (abs(mem[at]) * book.price_unit)
        at -= 1
    return got, value


@compiled(_i8(_world, _i8, _i8))
def least_qty(world: World, b: int, price: int) -> int:
    """Return the smallest quantity the venue takes at this price, in the book's unit."""
    book = world.books[b]
    least = max(book.qty_min, book.step)
    if book.notional_min > 0.0 and price > 0:
        least = max(least, int(np.ceil(book.notional_min / (price * book.price_unit) / book.qty_unit)))
    return int((least + book.step - 1) // book.step * book.step)


@compiled(_f8(_mem, _world, _i8))
def rate(mem: Words, world: World, r: int) -> float:
    """Return the price of a route's quote in the reporting currency, 0 while nobody knows."""
    rate_book = world.routes[r].rate_book
    return 1.0 if rate_book < 0 else mid(mem, world, rate_book)


# --- an arb's life ----------------------------------------------------------------------------------------------------


@compiled(types.boolean(_world, _i8, _i8, _i8, _i8))
def has_order_rate(world: World, k: int, v: int, now_ns: int, limit: int) -> bool:
    """Return whether fewer than `limit` orders were sent to a venue in the last minute."""
    at = world.sent[k, v] - limit
    if limit <= 0:
        return False
    return bool(at < 0 or world.sent_ns[k, v, at % world.sent_ns.shape[2]] <= now_ns - MINUTE_NS)


@compiled(types.void(_world, _i8, _i8, _i8, _i8, _i8))
def send(world: World, k: int, s: int, b: int, what: int, now_ns: int) -> None:  # noqa: PLR0917
    """Send an order to the venue of a book: it arrives a request's latency later."""
    v = world.books[b].venue
    world.sent_ns[k, v, world.sent[k, v] % world.sent_ns.shape[2]] = now_ns
    world.sent[k, v] += 1
    world.busy[k, b] += 1
    world.scores[k].orders += 1
    world.slots[k, s].waiting += 1
    push(world, now_ns + world.request_ns[k, v, (world.sent[k, v] - 1) % world.request_ns.shape[2]], what, k, s)


@compiled(types.boolean(_mem, _world, _i8, _i8, _i8))
def may_open(mem: Words, world: World, k: int, r: int, now_ns: int) -> bool:
    """Return whether every gate lets a setting look at a route; the engine's gates that the kernel knows."""
    route, setting, score = world.routes[r], world.settings[k], world.scores[k]
    if score.stopped or score.open >= setting.arbs_max or now_ns < world.cool_ns[k, r]:
        return False
    if world.busy[k, route.buy] or world.busy[k, route.sell]:
        return False
    if not (is_fresh(mem, world, k, route.buy, now_ns) and is_fresh(mem, world, k, route.sell, now_ns)):
        return False
    apart = mem[world.books[route.buy].head + RECV_TS] - mem[world.books[route.sell].head + RECV_TS]
    if abs(apart) // 1_000_000 * 1_000_000 > setting.skew_ns:
        return False
    limit = setting.orders_max - ORDERS_KEPT_FOR_HEDGES
    return bool(
        has_order_rate(world, k, world.books[route.buy].venue, now_ns, limit)
        and has_order_rate(world, k, world.books[route.sell].venue, now_ns, limit)
    )


@compiled(_i8(_world, _i8, _i8, _i8, _i8, _i8, _f8))
def sized(world: World, k: int, r: int, qty: int, buy_price: int, sell_price: int, quote_rate: float) -> int:  # noqa: PLR0917
    """Return how much of `qty` the caps leave, in joint steps; 0 when less than both minimums."""
    route, setting = world.routes[r], world.settings[k]
    one, other = world.books[route.buy], world.books[route.sell]
    buy, sell = buy_price * one.price_unit, sell_price * other.price_unit
    price = max(buy, sell) * quote_rate
    held = world.total[k, one.base] * price
    most = min(setting.notional_max / price, (setting.inventory_max - held) / price)
    paid = buy * (1.0 + max(world.taker[k, route.buy], 0.0))
    most = min(most, (world.total[k, one.quote] - world.reserved[k, one.quote]) / paid)
    most = min(most, world.total[k, other.base] - world.reserved[k, other.base])
    if most <= 0.0:
        return 0
    steps = most / route.qty_unit
    if steps < qty:
        qty = int(steps)
    if one.qty_max > 0:
        qty = min(qty, one.qty_max * route.buy_factor)
    if other.qty_max > 0:
        qty = min(qty, other.qty_max * route.sell_factor)
    qty = qty // route.step * route.step
    least = max(
        least_qty(world, route.buy, buy_price) * route.buy_factor,
        least_qty(world, route.sell, sell_price) * route.sell_factor,
    )
    return qty if qty >= least else 0


@compiled(types.void(_mem, _world, _i8, _i8, _i8))
def try_open(mem: Words, world: World, k: int, r: int, now_ns: int) -> None:
    """Open an arb on a route for a setting whose need the touch passes, if gates, caps and minimums let it."""
    if not may_open(mem, world, k, r, now_ns):
        return
    route, setting = world.routes[r], world.settings[k]
    one, other = world.books[route.buy], world.books[route.sell]
    quote_rate = rate(mem, world, r)
    if quote_rate <= 0.0:
        return
    ask_factor = 1.0 + world.taker[k, route.buy] + setting.edge_min
    found, ask, bid, cost, proceeds = walk(
        mem, world, r, ask_factor, 1.0 - world.taker[k, route.sell], setting.depth_max
    )
    if found == 0 or (proceeds - cost) / cost > setting.gross_max:
        return
    buy_price = ask // one.tick * one.tick
    sell_price = (bid + other.tick - 1) // other.tick * other.tick
    qty = sized(world, k, r, found, buy_price, sell_price, quote_rate)
    if qty == 0:
        return
    s = 0
    while world.slots[k, s].used:
        s += 1
    slot = world.slots[k, s]
    slot.used, slot.route, slot.qty, slot.buy_price, slot.sell_price = 1, r, qty, buy_price, sell_price
    slot.bought = slot.sold = slot.leg_bought = slot.leg_sold = slot.waiting = slot.known_ns = slot.one_sided_ns = 0
    slot.buy_tries = slot.sell_tries = 0
    slot.work_book = -1
    slot.cash = slot.fees = slot.unwinds = slot.volume = 0.0
    _, paid = take(mem, world, r, 1, ask, qty, setting.depth_max)
    _, earned = take(mem, world, r, 0, bid, qty, setting.depth_max)
    base = qty * route.qty_unit
    slot.buy_mean, slot.sell_mean = paid / base, earned / base
    slot.reserved_quote = base * (buy_price * one.price_unit) * (1.0 + max(world.taker[k, route.buy], 0.0))
    slot.reserved_base = base
    world.reserved[k, one.quote] += slot.reserved_quote
    world.reserved[k, other.base] += slot.reserved_base
    world.scores[k].arbs += 1
    world.scores[k].open += 1
    send(world, k, s, route.buy, _BUY_ARRIVES, now_ns)
    send(world, k, s, route.sell, _SELL_ARRIVES, now_ns)


@compiled(types.void(_mem, _world, _i8, _i8, _i8, _i8))
def arrive(mem: Words, world: World, k: int, s: int, what: int, now_ns: int) -> None:  # noqa: PLR0917
    """Fill an order against the book as it stands now, and note when its answer is known."""
    slot = world.slots[k, s]
    route = world.routes[slot.route]
    if what == _WORK_ARRIVES:
        b, is_buy, price, qty = slot.work_book, slot.work_is_buy, slot.work_price, slot.work_qty
    elif what == _BUY_ARRIVES:
        b, is_buy, price, qty = route.buy, 1, slot.buy_price, slot.qty
    else:
        b, is_buy, price, qty = route.sell, 0, slot.sell_price, slot.qty
    book = world.books[b]
    which = is_buy if (b == route.buy) == (is_buy == 1) else is_buy + 2
    got, value = take(mem, world, slot.route, which, price, qty, FOREVER)
    fee, base = value * world.taker[k, b], got * route.qty_unit
    sign = 1.0 if is_buy else -1.0
    slot.cash -= sign * value + fee
    slot.fees += fee
    slot.volume += value
    world.total[k, book.base] += sign * base
    world.total[k, book.quote] -= sign * value + fee
    if is_buy:
        slot.bought += got
    else:
        slot.sold += got
    if what == _BUY_ARRIVES:
        slot.leg_bought = got
    elif what == _SELL_ARRIVES:
        slot.leg_sold = got
    else:
        slot.unwinds -= sign * (value - base * (slot.sell_mean if is_buy else slot.buy_mean))
    slot.waiting -= 1
    draw = (world.sent[k, book.venue] - 1) % world.answer_ns.shape[2]
    slot.known_ns = max(slot.known_ns, now_ns + world.answer_ns[k, book.venue, draw])
    if slot.waiting == 0:
        push(world, slot.known_ns, _ANSWERED, k, s)


@compiled(types.void(_mem, _world, _i8, _i8, _i8, _i8))
def close(mem: Words, world: World, k: int, s: int, now_ns: int, how: int) -> None:  # noqa: PLR0917
    """End an arb: count its money, rest its route, and stop the setting where a limit of loss or a stranded arb would."""
    slot, setting, score = world.slots[k, s], world.settings[k], world.scores[k]
    r = slot.route
    route = world.routes[r]
    own = (
        slot.buy_price * world.books[route.buy].price_unit + slot.sell_price * world.books[route.sell].price_unit
    ) * 0.5
    # what is left of a flat arb is dust and is valued as the engine does; what is stranded or cut, at the market
    market = 0.0 if how == _FLAT else mid(mem, world, route.buy)
    mark = market if market > 0.0 else own
    quote_rate = rate(mem, world, r)
    if quote_rate <= 0.0:
        quote_rate = 1.0
    net = (slot.cash + (slot.bought - slot.sold) * route.qty_unit * mark) * quote_rate
    score.net += net
    score.fees += slot.fees * quote_rate
    score.unwinds += slot.unwinds * quote_rate
    score.volume += slot.volume * quote_rate
    score.edge += min(slot.leg_bought, slot.leg_sold) * route.qty_unit * (slot.sell_mean - slot.buy_mean) * quote_rate
    score.full += 1 if slot.leg_bought == slot.qty and slot.leg_sold == slot.qty else 0
    score.missed += 1 if slot.leg_bought == 0 and slot.leg_sold == 0 else 0
    score.stranded += 1 if how == _STRANDED else 0
    score.cut += 1 if how == _CUT else 0
    if now_ns // DAY_NS != score.day:
        score.day, score.day_net = now_ns // DAY_NS, 0.0
    score.day_net += net
    score.peak = max(score.peak, score.net)
    score.drawdown = max(score.drawdown, score.peak - score.net)
    score.equity_min = min(score.equity_min, score.net)
    if how == _STRANDED or -score.day_net >= setting.loss_day_max or score.peak - score.net >= setting.drawdown_max:
        score.stopped = 1
    world.cool_ns[k, r] = now_ns + setting.cool_ns
    slot.used = 0
    score.open -= 1


@compiled(types.boolean(_mem, _world, _i8, _i8, _i8, _i8, _i8, _i8))
def propose(mem: Words, world: World, k: int, s: int, b: int, is_buy: int, left: int, now_ns: int) -> bool:  # noqa: PLR0917
    """Send an order for up to `left` on this book within the slippage, unless its book, balance, minimum or loss forbids."""
    slot, setting, book = world.slots[k, s], world.settings[k], world.books[b]
    route = world.routes[slot.route]
    if not is_fresh(mem, world, k, b, now_ns) or not has_order_rate(world, k, book.venue, now_ns, setting.orders_max):
        return False
    is_first = b == (route.sell if is_buy else route.buy)
    sign = 1.0 if is_buy else -1.0
    reference = slot.buy_price if is_buy else slot.sell_price
    if is_first:
        reference = best(mem, book.head + (ASKS if is_buy else BIDS))
    cap = reference * (1.0 + sign * setting.slip) / book.tick
    price = int(np.floor(cap + 1e-9) if is_buy else np.ceil(cap - 1e-9)) * book.tick
    if price <= 0:
        return False
    which = is_buy if (b == route.buy) == (is_buy == 1) else is_buy + 2
    got, _ = take(mem, world, slot.route, which, price, left, setting.depth_max)
    fee, limit = world.taker[k, b], price * book.price_unit
    account = book.quote if is_buy else book.base
    afford = world.total[k, account] - world.reserved[k, account]
    if is_buy:
        afford /= limit * (1.0 + max(fee, 0.0))
    factor = route.buy_factor if b == route.buy else route.sell_factor
    qty = int(min(float(got), max(afford, 0.0) / route.qty_unit)) // factor
    if book.qty_max > 0:
        qty = min(qty, book.qty_max)
    qty = qty // book.step * book.step
    if qty <= 0 or qty < least_qty(world, b, price):
        return False
    base = qty * factor * route.qty_unit
    entry = slot.sell_price * world.books[route.sell].price_unit
    if not is_buy:
        entry = slot.buy_price * world.books[route.buy].price_unit
    if base * ((limit - entry) * sign + limit * fee) > setting.loss_max:
        return False
    slot.work_book, slot.work_is_buy, slot.work_qty, slot.work_price = b, is_buy, qty * factor, price
    slot.reserved_quote = base * limit * (1.0 + max(fee, 0.0)) if is_buy else 0.0
    slot.reserved_base = 0.0 if is_buy else base
    world.reserved[k, book.quote] += slot.reserved_quote
    world.reserved[k, book.base] += slot.reserved_base
    if b == route.buy:
        slot.buy_tries += 1
    else:
        slot.sell_tries += 1
    send(world, k, s, b, _WORK_ARRIVES, now_ns)
    return True


@compiled(types.boolean(_mem, _world, _i8, _i8, _i8, _i8))
def work(mem: Words, world: World, k: int, s: int, now_ns: int, left: int) -> bool:  # noqa: PLR0917
    """Send the order that brings a residual down, on the less tried book, of equals on the second; False: none can be sent."""
    slot = world.slots[k, s]
    route = world.routes[slot.route]
    is_buy = 1 if left < 0 else 0
    first, first_tries = (route.sell, slot.sell_tries) if is_buy else (route.buy, slot.buy_tries)
    second, second_tries = (route.buy, slot.buy_tries) if is_buy else (route.sell, slot.sell_tries)
    if first_tries < second_tries:
        return propose(mem, world, k, s, first, is_buy, abs(left), now_ns) or propose(
            mem, world, k, s, second, is_buy, abs(left), now_ns
        )
    return propose(mem, world, k, s, second, is_buy, abs(left), now_ns) or propose(
        mem, world, k, s, first, is_buy, abs(left), now_ns
    )


@compiled(types.void(_mem, _world, _i8, _i8, _i8))
def answered(mem: Words, world: World, k: int, s: int, now_ns: int) -> None:
    """Act on what is known once no order of an arb is under way: close it, or work what is left open."""
    slot = world.slots[k, s]
    route = world.routes[slot.route]
    one, other = world.books[route.buy], world.books[route.sell]
    if slot.work_book >= 0:
        world.busy[k, slot.work_book] -= 1
        release = world.books[slot.work_book]
        world.reserved[k, release.quote] -= slot.reserved_quote
        world.reserved[k, release.base] -= slot.reserved_base
        slot.work_book = -1
    elif slot.one_sided_ns == 0:
        world.busy[k, route.buy] -= 1
        world.busy[k, route.sell] -= 1
        world.reserved[k, one.quote] -= slot.reserved_quote
        world.reserved[k, other.base] -= slot.reserved_base
    slot.reserved_quote = slot.reserved_base = 0.0
    left = slot.bought - slot.sold
    price = min(slot.buy_price * one.price_unit, slot.sell_price * other.price_unit)
    least = min(
        least_qty(world, route.buy, int(price / one.price_unit)) * route.buy_factor,
        least_qty(world, route.sell, int(price / other.price_unit)) * route.sell_factor,
    )
    if abs(left) < least:
        close(mem, world, k, s, now_ns, _FLAT)
        return
    if slot.one_sided_ns == 0:
        slot.one_sided_ns = now_ns
        world.scores[k].one_sided += 1
    setting = world.settings[k]
    if world.queue[2]:
        close(mem, world, k, s, now_ns, _CUT)
    elif slot.buy_tries + slot.sell_tries >= setting.tries_max or now_ns - slot.one_sided_ns > setting.hedge_ns:
        close(mem, world, k, s, now_ns, _STRANDED)
    elif not work(mem, world, k, s, now_ns, left):
        push(world, now_ns + setting.retry_ns, _LOOK_AGAIN, k, s)


# --- the pass ---------------------------------------------------------------------------------------------------------


@compiled(types.void(_mem, _world, _i8))
def settle_due(mem: Words, world: World, until_ns: int) -> None:
    """Do everything that falls due up to a moment, in the order of time."""
    while world.queue[0] > 0 and world.due[0].ts_ns <= until_ns:
        entry = world.due[0]
        now_ns, what, k, s = entry.ts_ns, entry.what, entry.setting, entry.slot
        pop(world)
        if what <= _WORK_ARRIVES:
            arrive(mem, world, k, s, what, now_ns)
        else:
            answered(mem, world, k, s, now_ns)


@compiled(types.void(_mem, _world, _i8, _i8))
def look(mem: Words, world: World, b: int, now_ns: int) -> None:
    """Let every setting whose need the touch of one of this book's routes passes look at it, the widest route first."""
    first, stop = world.route_first[b], world.route_first[b + 1]
    last_ratio, last_rank = np.inf, -1
    for _ in range(first, stop):
        # the next route in the order of (ratio falling, rank rising); there are few, and mostly none clears
        ratio, rank = 0.0, -1
        for at in range(first, stop):
            route = world.routes[world.route_list[at]]
            one, other = world.books[route.buy], world.books[route.sell]
            if mem[one.head + VALID] == 0 or mem[other.head + VALID] == 0:
                continue
            bid, ask = best(mem, other.head + BIDS) * other.price_unit, best(mem, one.head + ASKS) * one.price_unit
            found = bid / ask
            if found < world.need[world.route_list[at], 0]:
                continue
            is_after = found < last_ratio or (found == last_ratio and at > last_rank)
            if is_after and found > ratio:
                ratio, rank = found, at
        if rank < 0:
            return
        last_ratio, last_rank = ratio, rank
        r = world.route_list[rank]
        for place in range(world.need.shape[1]):
            if world.need[r, place] > ratio:
                break
            k = world.need_of[r, place]
            world.scores[k].looks += 1
            try_open(mem, world, k, r, now_ns)


_run = types.UniTuple(_i8, 3)(_mem, _column, _column, _column, _column, _column, _i8, _i8, _i8, _world)  # type: ignore[no-untyped-call]


@compiled(_run)
def run(  # noqa: PLR0917 - columns, then where to begin and end
    mem: Words,
    recv_ts_ns: Column,
    venue_ts_ns: Column,
    key: Column,
    qty: Column,
    tag: Column,
    first: int,
    trade_from_ns: int,
    stop_ts_ns: int,
    world: World,
) -> tuple[int, int, int]:
    """Apply messages from row `first` on; trade from `trade_from_ns`; end before the first message at or after `stop_ts_ns`.

    Returns (first row not done, AT_END, AT_STOP or NO_ROOM, book that lacks room). A last message that is not whole is left.
    """
    count = recv_ts_ns.size
    books, routes, route_first, route_list = world.books, world.routes, world.route_first, world.route_list
    units, floors = world.units, world.floors
    row = first
    while row < count:
        ts_ns = recv_ts_ns[row]
        if ts_ns >= stop_ts_ns:
            return row, AT_STOP, 0
        stop = row
        while stop < count and tag[np.uint64(stop)] & IS_LAST == 0:
            stop += 1
        if stop == count:
            break
        stop += 1
        if world.queue[0] > 0 and world.due[0].ts_ns < ts_ns:
            settle_due(mem, world, ts_ns - 1)
        b = tag[row] >> BOOK_SHIFT
        kind = tag[row] & KIND_MASK
        head = world.books[b].head
        if kind in {_DELTA, _SNAPSHOT}:
            if kind == _SNAPSHOT:
                if mem[head + BIDS + CAPACITY] < stop - row:
                    return row, NO_ROOM, b
                sides.clear(mem, head)
                mem[head + SYNCED] = 1
            elif mem[head + SYNCED] == 1 and not sides.has_room(mem, head, stop - row):
                return row, NO_ROOM, b
            if mem[head + SYNCED] == 1:
                for at in range(row, stop):
                    level = key[np.uint64(at)]
                    sides.put(mem, head + BIDS if level > 0 else head + ASKS, level, qty[np.uint64(at)])
                sides.truncate(mem, head)
                told = venue_ts_ns[row]
                mem[head + VENUE_TS] = told if told != 0 else ts_ns
                mem[head + RECV_TS] = ts_ns
                if sides.check(mem, head) == sides.NOT_CROSSED and ts_ns >= trade_from_ns:
                    for at in range(route_first[b], route_first[b + 1]):
                        r = np.uint64(route_list[at])
                        buy, sell = np.uint64(books[routes[r].buy].head), np.uint64(books[routes[r].sell].head)
                        if mem[buy + _VALID] == 0 or mem[sell + _VALID] == 0:
                            continue
                        ask = mem[np.uint64(mem[buy + _ASK_KEYS] + mem[buy + _ASK_END] - 1)]
                        bid = mem[np.uint64(mem[sell + _BID_KEYS] + mem[sell + _BID_END] - 1)]
                        if bid * units[routes[r].sell] >= -ask * units[routes[r].buy] * floors[r]:
                            look(mem, world, b, ts_ns)
                            break
        elif kind == _CLEAR:
            sides.clear(mem, head)
        elif kind == _ALIVE and mem[head + SYNCED] == 1:
            mem[head + RECV_TS] = ts_ns
        row = stop
    return row, AT_END, 0


@compiled(types.void(_mem, _world))
def finish(mem: Words, world: World) -> None:
    """End a part: what is under way arrives at the books as they stand, and what is then open is valued, not worked."""
    world.queue[2] = 1
    settle_due(mem, world, FOREVER)
