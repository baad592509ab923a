"""What the live page is told, section by section, so that looking never holds the loop for long.

`sections` is a generator: it reads a slice of the engine's state, yields it as JSON, and goes on when asked again; between two
slices the loop is free. A view is therefore made of slices a few ms apart. It changes nothing in the state, not even a cache.
Books are told by the time they were last heard of, not by their age: an age would make every row new at every look.

Prices in quote, edges in bp, times in ms since the epoch (0 = never), money in the reporting currency. What is not known is
null, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice

import msgspec

from arbot.domain.decisions import Reason
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import OrderState, Side
from arbot.domain.units import ONE, ZERO, div, share_bps
from arbot.engine.risk.exposure import cap_lines, table_of
from arbot.engine.state import State
from arbot.observe.live_log import (
    NS_PER_MS,
    Act,
    AlertRow,
    ArbRow,
    DecisionRow,
    DeclineRow,
    LiveLog,
    Point,
    declines_by_count,
)
from arbot.observe.status import About, limits_in_use
from arbot.observe.watched import health_lines, is_overdue
from arbot.observe.worth import Wanted, equity_of, worth

ROWS_A_SLICE = 25
RATES_A_SLICE = 3
_RATE = Decimal("0.000001")

Section = tuple[str, str, bytes]
"""Its name, the name within it ("" for a section that is whole), and its JSON."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, and whether it trades. `reasons` are why not; `acts` who asked last to kill, pause, halt or drain."""

    version: str
    mode: str
    run_name: str
    ccy: str
    started_ms: int
    may_open: bool
    reasons: tuple[str, ...]
    problems: tuple[str, ...]  # what only a restart mends
    impaired: tuple[str, ...]  # what watches and has failed: what it shows may lack something
    killed: bool
    paused: bool
    halted: bool
    draining: bool
    latched: tuple[str, ...]
    acts: dict[str, Act]
    book_age_ms_max: int  # beyond it a book is too old to trade on
    is_read_only: bool  # nobody can ask for anything on this page


class MoneyRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was earned after fees, by this run and this day, and what is held at present prices."""

    pnl_run: Decimal
    pnl_day: Decimal
    pnl_ever: Decimal
    drawdown: Decimal
    equity: Decimal | None  # of what is traded; None: a part of it has no price
    arbs_flat: int
    arbs_missed: int
    arbs_stranded: int
    latency_us: dict[str, float]


class OpenRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought and not sold, or the other way round, of one asset."""

    asset: str
    qty: Decimal
    value: Decimal | None


class UnhedgedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is open now, since when, and its worth without the sign."""

    since_ms: int
    value: Decimal | None
    assets: tuple[OpenRow, ...]


class VenueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One venue account. `state` is one word; `why` says more."""

    venue: str
    state: str
    why: tuple[str, ...]
    is_held: bool  # put into quarantine by hand: only a hand releases it
    market_up: bool
    account_up: bool
    books: int
    books_valid: int
    ack_ms: Decimal
    reject_share: Decimal
    unanswered_share: Decimal
    skew_ms: int | None
    orders_live: int
    orders_unknown: int


class BookRow(msgspec.Struct, frozen=True, array_like=True):
    """One book at the touch; a side is null while it is empty."""

    symbol: str
    bid: Decimal | None
    bid_qty: Decimal | None
    ask: Decimal | None
    ask_qty: Decimal | None
    recv_ms: int
    is_valid: bool
    price_decimals: int


class EdgeRow(msgspec.Struct, frozen=True, kw_only=True):
    """The best route of a market: the cheapest ask and the dearest bid after fees, on two venues. `reason`: last declined for."""

    symbol: str
    buy: str
    sell: str
    edge_gross_bps: Decimal
    edge_net_bps: Decimal
    qty: Decimal
    reason: str
    fees_known: bool
    routes: int


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """What a venue holds of an asset; the deviation is from what [rebalance] wants there, 0.1 for a tenth too much."""

    asset: str
    total: Decimal
    reserved: Decimal
    value: Decimal | None
    deviation: Decimal | None


class HoldingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's line of the inventory."""

    venue: str
    value: Decimal | None
    cells: tuple[Cell, ...]


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit and its use; `share` is 1 at the limit."""

    limit: str
    used: Decimal
    bound: Decimal
    share: Decimal
    is_latched: bool


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on a node of the registry; `limit` is None where no cap applies."""

    kind: str
    node: str
    value: Decimal
    limit: Decimal | None


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that is not over."""

    transfer: str
    asset: str
    source: str
    target: str
    network: str
    qty: Decimal
    value: Decimal | None
    state: str
    since_ms: int
    requested_ms: int
    is_overdue: bool


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: what GET /api/state answers, and what the first message of /api/events holds."""

    now_ms: int
    run: RunRow
    money: MoneyRow
    unhedged: UnhedgedRow
    venues: tuple[VenueRow, ...]
    books: dict[str, tuple[BookRow, ...]]  # by venue
    edges: tuple[EdgeRow, ...]
    arbs_open: tuple[ArbRow, ...]
    arbs_closed: tuple[ArbRow, ...]
    inventory: tuple[HoldingRow, ...]
    limits: tuple[LimitRow, ...]
    nodes: tuple[NodeRow, ...]
    transfers: tuple[TransferRow, ...]
    decisions: tuple[DecisionRow, ...]
    declines: tuple[DeclineRow, ...]
    alerts: tuple[AlertRow, ...]
    alerts_count: int
    curve: tuple[Point, ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page's knowledge comes from. `shares` is where [rebalance] wants assets to lie."""

    about: About
    state: State
    log: LiveLog
    now_ns: Callable[[], int]
    blocked_by: Callable[[], tuple[Reason, ...]]
    problems: Callable[[], tuple[str, ...]]
    impaired: Callable[[], tuple[str, ...]]
    latency_us: Callable[[], dict[str, float]]
    shares: Mapping[str, Mapping[str, Decimal]]
    realised_at_start: Decimal
    is_read_only: bool


class Rates:
    """Rates of all assets, read anew a few at a time: one asset's is a median over the books of all its venues."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.by_asset: dict[Asset, Decimal | None] = {}
        self.equity: Decimal | None = None

    def refresh(self) -> Iterator[None]:
        """Read them, then add up what all venues hold; yield between slices."""
        state = self._state
        held = dict.fromkeys((*state.assets, *(asset for venue in state.venues.values() for asset in venue.totals)))
        assets = iter(tuple(held))
        while chunk := tuple(islice(assets, RATES_A_SLICE)):
            for asset in chunk:
                self.by_asset[asset] = state.rate(asset)
            yield
        self.equity = equity_of(state, self.by_asset.get)

    def value(self, asset: Asset, qty: Decimal) -> Decimal | None:
        """Return what a quantity is worth, None without a price; nothing is worth nothing whatever its price."""
        return worth(self.by_asset.get, asset, qty)

    def point(self, source: Source) -> Point:
        """Return the point of the curve for now."""
        return Point(
            source.now_ns() // NS_PER_MS,
            float(_pnl_run(source)),
            None if self.equity is None else float(self.equity),
        )


def sections(source: Source, rates: Rates) -> Iterator[Section]:
    """Yield every section of a LiveView as JSON, in slices; books come one section a venue."""
    state, log = source.state, source.log
    yield _told("run", _run(source))
    yield _told("money", _money(source, rates))
    yield _told("unhedged", _unhedged(state, rates))
    touches: dict[tuple[Asset, Asset], list[_Touch]] = {}
    valid: dict[str, tuple[int, int]] = {}
    for venue in state.config.venues:
        listed = iter(tuple(one for one in state.instruments.values() if one.venue == venue))
        rows: list[BookRow] = []
        while chunk := tuple(islice(listed, ROWS_A_SLICE)):
            if rows:
                yield "", "", b""
            rows += [_book(state, one, touches) for one in chunk]
        valid[venue] = len(rows), sum(row.is_valid for row in rows)
        yield "books", venue, _encode(rows)
    yield _told("venues", list(_venues(state, valid)))
    edges: list[EdgeRow] = []
    for market in touches.values():
        if len(edges) % ROWS_A_SLICE == ROWS_A_SLICE - 1:
            yield "", "", b""
        edges += _edge(market, log)
    yield _told("edges", edges)
    yield _told("arbs_open", tuple(log.arbs_open.values()))
    yield _told("arbs_closed", tuple(reversed(log.arbs_closed)))
    yield from _inventory(source, rates)
    table_of(state)  # the longest single part: kept by the engine for those who come next
    yield "", "", b""
    yield _told("limits", list(_limits(source, rates)))
    yield _told("nodes", list(_nodes(state)))
    yield _told("transfers", list(_transfers(state, rates)))
    yield _told("decisions", tuple(reversed(log.decisions)))
    yield _told("declines", tuple(declines_by_count(log)))
    yield _told("alerts", tuple(reversed(log.alerts)))
    yield _told("alerts_count", log.alerts_count)
    yield _told("curve", log.curve.points())
    yield _told("now_ms", source.now_ns() // NS_PER_MS)


def _pnl_run(source: Source) -> Decimal:
    return source.state.standing.realised_total - source.realised_at_start


def _run(source: Source) -> RunRow:
    about, standing, log = source.about, source.state.standing, source.log
    blocked = source.blocked_by()
    return RunRow(
        version=about.version,
        mode=about.mode,
        run_name=about.run_name,
        ccy=source.state.config.ccy,
        started_ms=about.started_ts_ns // NS_PER_MS,
        may_open=not blocked,
        reasons=tuple(reason.value for reason in blocked),
        problems=source.problems(),
        impaired=source.impaired(),
        killed=standing.killed,
        paused=standing.paused,
        halted=standing.halted,
        draining=standing.draining,
        latched=tuple(standing.latched),
        acts=log.acts,
        book_age_ms_max=source.state.config.limits.book_age_recv_ms_max,
        is_read_only=source.is_read_only,
    )


def _money(source: Source, rates: Rates) -> MoneyRow:
    standing, log = source.state.standing, source.log
    return MoneyRow(
        pnl_run=_pnl_run(source),
        pnl_day=standing.realised_day,
        pnl_ever=standing.realised_total,
        drawdown=standing.realised_peak - standing.realised_total,
        equity=rates.equity,
        arbs_flat=log.arbs_flat,
        arbs_missed=log.arbs_missed,
        arbs_stranded=source.state.stranded_arbs(),
        latency_us=source.latency_us(),
    )


def _unhedged(state: State, rates: Rates) -> UnhedgedRow:
    concerned = dict.fromkeys(asset for arb in state.unfinished.values() for asset in arb.assets)
    since_ns = min((arb.unhedged_since_ns for arb in state.unfinished.values() if arb.unhedged_since_ns), default=0)
    rows = []
    for asset in concerned:
        qty = state.net_delta(asset) - state.carried.get(asset, ZERO)
        if qty:
            rows.append(OpenRow(asset=asset, qty=qty, value=rates.value(asset, qty)))
    values = [abs(row.value) for row in rows if row.value is not None]
    return UnhedgedRow(
        since_ms=since_ns // NS_PER_MS,
        value=sum(values, ZERO) if len(values) == len(rows) else None,
        assets=tuple(rows),
    )


class _Touch(msgspec.Struct, frozen=True):
    """Both sides of a valid book, with what a unit costs and brings after our fees there."""

    instrument: Instrument
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    cost: Decimal
    proceeds: Decimal
    fees_known: bool


def _book(state: State, one: Instrument, touches: dict[tuple[Asset, Asset], list[_Touch]]) -> BookRow:
    known = state.market.state(one.id)
    bid, ask = state.market.best(one.id, Side.SELL), state.market.best(one.id, Side.BUY)
    if known.is_valid and bid is not None and ask is not None:
        fee = state.fees.get(one.id)
        rate = ZERO if fee is None else fee.taker
        touches.setdefault((one.base, one.quote), []).append(
            _Touch(
                one,
                bid.price,
                bid.qty,
                ask.price,
                ask.qty,
                cost=ask.price * (ONE + rate),
                proceeds=bid.price * (ONE - rate),
                fees_known=fee is not None,
            )
        )
    return BookRow(
        one.symbol,
        None if bid is None else bid.price,
        None if bid is None else bid.qty,
        None if ask is None else ask.price,
        None if ask is None else ask.qty,
        known.recv_ts_ns // NS_PER_MS,
        known.is_valid,
        one.price_decimals,
    )


def _edge(listed: list[_Touch], log: LiveLog) -> Iterator[EdgeRow]:
    """Yield the route of a market with the best net edge, if it has any: that of edges.best_edges, of touches already read."""
    if len(listed) < 2:
        return
    dear = sorted(listed, key=lambda one: one.proceeds, reverse=True)[:2]
    routes = ((buy, dear[0] if dear[0] is not buy else dear[1]) for buy in listed)
    buy, sell = max(routes, key=lambda route: div(route[1].proceeds - route[0].cost, route[0].ask))
    yield EdgeRow(
        symbol=buy.instrument.symbol,
        buy=buy.instrument.venue,
        sell=sell.instrument.venue,
        edge_gross_bps=share_bps(sell.bid - buy.ask, buy.ask),
        edge_net_bps=share_bps(sell.proceeds - buy.cost, buy.ask),
        qty=min(buy.ask_qty, sell.bid_qty),
        reason=log.last_declined.get((buy.instrument.id, sell.instrument.id), ""),
        fees_known=buy.fees_known and sell.fees_known,
        routes=len(listed) * (len(listed) - 1),
    )


def _venues(state: State, valid: dict[str, tuple[int, int]]) -> Iterator[VenueRow]:
    live = {venue: [0, 0] for venue in state.config.venues}
    for order in state.live_orders():
        counts = live.setdefault(order.intent.venue, [0, 0])
        counts[0] += 1
        counts[1] += order.state is OrderState.UNKNOWN
    for line in health_lines(state):
        venue = VenueId(line.venue)
        known = state.venues.get(venue)
        books, books_valid = valid.get(venue, (0, 0))
        market_up, account_up = (known.is_market_up, known.is_account_up) if known else (False, False)
        is_reconciled = known is not None and known.is_reconciled
        why = (
            *line.why,
            *(() if known is None else known.differences),
            *(f"{asset} cannot leave" for asset in line.locked),
            *(() if line.status == "online" else (f"says of itself: {line.status}",)),
        )
        yield VenueRow(
            venue=venue,
            state=_venue_word(market_up, account_up, is_reconciled, is_quarantined=line.is_quarantined),
            why=why,
            is_held=venue in state.health and bool(state.health[venue].held),
            market_up=market_up,
            account_up=account_up,
            books=books,
            books_valid=books_valid,
            ack_ms=line.ack_ms_mean,
            reject_share=line.reject_share,
            unanswered_share=line.unanswered_share,
            skew_ms=None if known is None else known.skew_ms,
            orders_live=live[venue][0],
            orders_unknown=live[venue][1],
        )


def _venue_word(market_up: bool, account_up: bool, is_reconciled: bool, *, is_quarantined: bool) -> str:
    if not market_up and not account_up:
        return "down"
    if is_quarantined:
        return "quarantined"
    if not market_up:
        return "no market data"
    if not account_up:
        return "no account stream"
    return "live" if is_reconciled else "not reconciled"


def _inventory(source: Source, rates: Rates) -> Iterator[Section]:
    """Yield pauses, one a venue, and at last the section."""
    state = source.state
    wanted = Wanted(state, source.shares)
    for _ in wanted.ask():
        yield "", "", b""
    rows = []
    for venue, known in tuple(state.venues.items()):
        cells = []
        for asset, total in tuple(known.totals.items()):
            off = wanted.deviation(venue, asset)
            cells.append(
                Cell(
                    asset=asset,
                    total=total,
                    reserved=state.reserved(venue, asset),
                    value=rates.value(asset, total),
                    deviation=None if off is None else off.quantize(_RATE),
                )
            )
        values = [cell.value for cell in cells if cell.value is not None]
        whole = sum(values, ZERO) if len(values) == len(cells) else None
        rows.append(HoldingRow(venue=venue, value=whole, cells=tuple(cells)))
        yield "", "", b""
    yield _told("inventory", rows)


def _limits(source: Source, rates: Rates) -> Iterator[LimitRow]:
    for line in limits_in_use(source.state, source.now_ns(), rates.by_asset.get):
        share = line.share.quantize(_RATE) if line.bound else ZERO
        yield LimitRow(limit=line.limit, used=line.used, bound=line.bound, share=share, is_latched=line.is_latched)


def _nodes(state: State) -> Iterator[NodeRow]:
    for line in cap_lines(state):
        kind, node = line.node
        yield NodeRow(kind=kind.value, node=node, value=line.value, limit=line.limit)


def _transfers(state: State, rates: Rates) -> Iterator[TransferRow]:
    for one in state.in_flight():
        yield TransferRow(
            transfer=one.id,
            asset=one.asset,
            source=one.source,
            target=one.target,
            network=one.network,
            qty=one.intent.qty,
            value=rates.value(one.asset, one.intent.qty),
            state=one.state.value,
            since_ms=one.since_ns // NS_PER_MS,
            requested_ms=one.requested_ts_ns // NS_PER_MS,
            is_overdue=is_overdue(state, one),
        )


def _told(name: str, value: object) -> Section:
    return name, "", _encode(value)


_encode = msgspec.json.Encoder(decimal_format="number").encode
