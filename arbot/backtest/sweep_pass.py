"""One compiled pass over a stock of rows for many settings: lays out the kernel's arrays, feeds it, and reads the scores.

Quantities and prices go in as integers. Balances, fees and money limits become binary floats here, on purpose: what
comes out are statistics to choose by (sweep_kernel.py says what they leave out), never an account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.backtest import sweep_kernel as kernel
from arbot.backtest.progress import Progress, Silent
from arbot.backtest.stock import Listed, Stock
from arbot.backtest.sweep_kernel import World
from arbot.domain.errors import Mistake, UserError, ensure
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.units import ZERO, bps_to_rate, common_step
from arbot.engine.config import EngineConfig
from arbot.market.books import Books
from arbot.market.layout import HEAD_WIDTH, HEADS
from arbot.market.stream import IS_LAST, Rows

_MS = 1_000_000


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A setting as the kernel can judge it. Rates are fractions; a missing latency is none; a missing balance is zero.

    Orders to a venue take its latencies one after the other, and then from the first again.
    """

    config: EngineConfig
    edge_net_bps_min: Decimal
    tail_bps: Decimal  # what every edge pays on top before anything was learned; what legs teach is the engine's
    taker: Mapping[InstrumentId, Decimal]
    request_ns: Mapping[VenueId, tuple[int, ...]]
    answer_ns: Mapping[VenueId, tuple[int, ...]]
    balances: Mapping[VenueId, Mapping[Asset, Decimal]]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the tape on which accounts begin anew: messages in [first_ts_ns, stop_ts_ns)."""

    name: str
    first_ts_ns: int
    stop_ts_ns: int


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting came to on a part. Money in the reporting currency; `net` = edge + slippage + unwinds - fees.

    `looks` are the times its need was passed at the touch; `stopped`: a limit of loss or a stranded arb ended it early.
    """

    net: float
    edge: float
    slippage: float
    unwinds: float
    fees: float
    volume: float
    drawdown: float
    equity_min: float
    looks: int
    arbs: int
    full: int
    one_sided: int
    missed: int
    stranded: int
    cut: int
    orders: int
    stopped: bool


def judge(
    stock: Stock, candidates: Sequence[Candidate], parts: Sequence[Part], progress: Progress | None = None
) -> dict[str, tuple[Score, ...]]:
    """Return each part's scores, in the order of the candidates. Parts are in the order of time and do not overlap.

    Raises: UserError when no two streams make a route.
    """
    ensure(all(one.stop_ts_ns <= other.first_ts_ns for one, other in pairwise(parts)), "parts overlap")
    progress = progress or Silent()
    progress.start("judging settings", stock.rows)
    judged = _Pass(stock.streams, candidates)
    left = list(parts)
    scores: dict[str, tuple[Score, ...]] = {}
    done = 0
    for chunk in stock.chunks():
        at = 0
        while left:
            at, has_ended = judged.run(chunk, at, left[0])
            if not has_ended:
                break
            scores[left.pop(0).name] = judged.finish()
        done += len(chunk)
        progress.advance(done)
        if not left:
            break
    for part in left:
        scores[part.name] = judged.finish()
    return scores


class _Pass:
    """Books and accounts of a pass."""

    def __init__(self, streams: Sequence[Listed], candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._instruments = [listed.instrument for listed in streams]
        self._books = Books()
        self._books.add_all((listed.instrument, listed.depth) for listed in streams)
        self._world = lay_out(self._instruments, candidates)

    def run(self, chunk: Rows, first: int, part: Part) -> tuple[int, bool]:
        """Go on from a row of a chunk; return the first row not done and whether the part has ended."""
        while True:
            row, how, book = kernel.run(self._books.mem, *chunk, first, part.first_ts_ns, part.stop_ts_ns, self._world)
            if how != kernel.NO_ROOM:
                ensure(how == kernel.AT_STOP or row == len(chunk), "a chunk ended inside a message")
                return row, how == kernel.AT_STOP
            message = int(np.argmax(chunk.tag[row:] & IS_LAST != 0)) + 1
            self._books.grow(book, message)
            first = row

    def finish(self) -> tuple[Score, ...]:
        """End a part: return its scores, and set all accounts back to their beginning. The books stay."""
        kernel.finish(self._books.mem, self._world)
        scores = tuple(_score(row) for row in self._world.scores)
        self._world = lay_out(self._instruments, self._candidates)
        return scores


def _score(row: Any) -> Score:
    counts: dict[str, Any] = {name: int(row[name]) for name in Score.__struct_fields__ if name in kernel.SCORE_COUNTS}
    money: dict[str, Any] = {
        name: float(row[name]) for name in ("net", "edge", "unwinds", "fees", "volume", "drawdown", "equity_min")
    }
    slippage = money["net"] + money["fees"] - money["edge"] - money["unwinds"]
    return Score(**counts, **money, slippage=slippage, stopped=bool(row["stopped"]))


# --- the kernel's arrays ------------------------------------------------------------------------------------------------


def lay_out(instruments: Sequence[Instrument], candidates: Sequence[Candidate]) -> World:
    """Return the arrays of a pass at its beginning. Raises: UserError when no two instruments make a route."""
    venues = {venue: number for number, venue in enumerate(dict.fromkeys(one.venue for one in instruments))}
    accounts = {
        account: number
        for number, account in enumerate(
            dict.fromkeys((one.venue, asset) for one in instruments for asset in (one.base, one.quote))
        )
    }
    books = np.array([_book(at, one, venues, accounts) for at, one in enumerate(instruments)], kernel.BOOK)
    routes = np.array(_routes(instruments, candidates[0].config.ccy), kernel.ROUTE)
    if not len(routes):
        raise UserError(
            Mistake(
                "the tape",
                "no two streams have the same base and quote on different venues, priced in run.ccy",
                "import or record another venue",
            )
        )
    of_book = [[r for r, route in enumerate(routes) if b in (route["buy"], route["sell"])] for b in range(len(books))]
    settings = np.array([_setting(one) for one in candidates], kernel.SETTING)
    taker = np.array([[float(one.taker[i.id]) for i in instruments] for one in candidates])
    need = (1.0 + taker[:, routes["buy"]] + settings["edge_min"][:, None]) / (1.0 - taker[:, routes["sell"]])
    order = np.argsort(need.T, axis=1, kind="stable")
    count, slots = len(candidates), int(settings["arbs_max"].max())
    total = np.array(
        [[float(one.balances.get(venue, {}).get(asset, ZERO)) for venue, asset in accounts] for one in candidates]
    )

    def zeros(*shape: int) -> NDArray[np.int64]:
        return np.zeros(shape, np.int64)

    return World(
        books=books,
        routes=routes,
        route_first=np.cumsum([0, *map(len, of_book)]).astype(np.int64),
        route_list=np.array([r for listed in of_book for r in listed], np.int64),
        settings=settings,
        taker=taker,
        request_ns=_by_venue([one.request_ns for one in candidates], venues),
        answer_ns=_by_venue([one.answer_ns for one in candidates], venues),
        need=np.ascontiguousarray(np.take_along_axis(need.T, order, axis=1)),
        need_of=np.ascontiguousarray(order.astype(np.int64)),
        floors=need.min(axis=0) * (1.0 - 1e-12),
        units=np.ascontiguousarray(books["price_unit"]),
        scores=np.zeros(count, kernel.SCORE),
        slots=np.zeros((count, slots), kernel.SLOT),
        total=total,
        reserved=np.zeros_like(total),
        cool_ns=zeros(count, len(routes)),
        busy=zeros(count, len(books)),
        sent_ns=zeros(count, len(venues), int(settings["orders_max"].max())),
        sent=zeros(count, len(venues)),
        due=np.zeros(2 * count * slots + 2, kernel.DUE),  # an arb waits for two things at most
        queue=zeros(3),
    )


def _by_venue(
    latencies: Sequence[Mapping[VenueId, tuple[int, ...]]], venues: Mapping[VenueId, int]
) -> NDArray[np.int64]:
    """Return settings x venues x draws; lists shorter than the longest are repeated, which has to come out even."""
    listed = [[known.get(venue, (0,)) for venue in venues] for known in latencies]
    draws = max(len(one) for row in listed for one in row)
    ensure(all(draws % len(one) == 0 for row in listed for one in row), "lists of latencies do not fit together")
    return np.array([[one * (draws // len(one)) for one in row] for row in listed], np.int64)


def _whole(number: Decimal, decimals: int) -> int:
    """Return a step or a bound in units of 10**-decimals, rounded up: a venue's rule is never made laxer."""
    return int(number.scaleb(decimals).to_integral_value(ROUND_CEILING))


def _book(
    at: int, one: Instrument, venues: Mapping[VenueId, int], accounts: Mapping[tuple[VenueId, Asset], int]
) -> tuple[int | float, ...]:
    values = {
        "head": HEADS + at * HEAD_WIDTH,
        "venue": venues[one.venue],
        "tick": max(1, _whole(one.tick_size, one.price_decimals)),
        "step": max(1, _whole(one.qty_step, one.qty_decimals)),
        "qty_min": _whole(one.qty_min, one.qty_decimals),
        "qty_max": _whole(one.qty_max, one.qty_decimals),
        "base": accounts[one.venue, one.base],
        "quote": accounts[one.venue, one.quote],
        "price_unit": 10.0**-one.price_decimals,
        "qty_unit": 10.0**-one.qty_decimals,
        "notional_min": float(one.notional_min),
    }
    return tuple(values[name] for name in kernel.BOOK.names or ())


def _routes(instruments: Sequence[Instrument], ccy: Asset) -> list[tuple[int | float, ...]]:
    """Return every ordered pair of like instruments on two venues whose quote is the ccy or is priced in it by a book."""
    pricing = {one.base: at for at, one in reversed(list(enumerate(instruments))) if one.quote == ccy}
    found = []
    for buy, one in enumerate(instruments):
        for sell, other in enumerate(instruments):
            is_route = one.base == other.base and one.quote == other.quote and one.venue != other.venue
            rate_book = -1 if one.quote == ccy else pricing.get(one.quote)
            if not is_route or rate_book is None:
                continue
            decimals = max(one.qty_decimals, other.qty_decimals)
            values = {
                "buy": buy,
                "sell": sell,
                "buy_factor": 10 ** (decimals - one.qty_decimals),
                "sell_factor": 10 ** (decimals - other.qty_decimals),
                "step": max(1, _whole(common_step(one.qty_step, other.qty_step), decimals)),
                "rate_book": rate_book,
                "qty_unit": 10.0**-decimals,
            }
            found.append(tuple(values[name] for name in kernel.ROUTE.names or ()))
    return found


def _setting(one: Candidate) -> tuple[int | float, ...]:
    limits, execution = one.config.limits, one.config.execution
    values = {
        "depth_max": execution.depth_max,
        "cool_ns": execution.cool_down_ms * _MS,
        "age_ns": limits.book_age_recv_ms_max * _MS,
        "venue_age_ns": limits.book_age_venue_ms_max * _MS,
        "skew_ns": limits.book_skew_ms_max * _MS,
        "arbs_max": limits.arbs_open_max,
        "tries_max": execution.hedge_tries_max,
        "hedge_ns": execution.hedge_seconds_max * 1_000 * _MS,
        "retry_ns": execution.hedge_retry_ms * _MS,
        "orders_max": limits.orders_per_minute_max,
        "edge_min": float(bps_to_rate(one.edge_net_bps_min + one.tail_bps)),
        # one leg may fill alone, so that net delta bounds an arb as its notional does
        "notional_max": float(min(limits.notional_per_arb_max, limits.net_delta_notional_max)),
        "inventory_max": float(limits.inventory_notional_max),
        "gross_max": float(bps_to_rate(limits.edge_gross_bps_max)),
        "slip": float(bps_to_rate(execution.hedge_slippage_bps)),
        "loss_max": float(execution.hedge_loss_max),
        "loss_day_max": float(limits.loss_day_max),
        "drawdown_max": float(limits.drawdown_max),
    }
    return tuple(values[name] for name in kernel.SETTING.names or ())
