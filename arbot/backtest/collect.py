"""Collects what a replay comes to: every arb, fill and decline, the account over time, and where the money went.

How the money is split (result.py names the parts, arb_money.py says how one arb is taken apart):

- Equity is what the venues hold, each asset at the last mid of its venue's own book (marks.py). An asset that gets its
  first price after the start counts from the start at that first price; one that never gets a price never counts.
- edge, slippage and unwinds are sums over all arbs and flushes, each at the rate its quote had when it was decided.
- fees are what fills were charged, each at the value its asset had at that moment; rebates count against them.
- transfer_costs and deposits are told by whoever moved the money.
- inventory is the rest of the change of equity. What the marks did to the opening balances, and to deposits since they
  came, is the market's; `inventory_moved` is what remains. Without transfers it must be exactly what the arbs moved
  between venues, valued at the end, less their own reference prices: that is checked whenever the venues hold what the fills
  say. A transfer between venues brings moved coins back, and takes its part of `inventory_moved` away.

An arb's `pnl_net` is its edge + slippage + unwinds - fees, so that rows add up to the split. The engine's own figure may
differ by the value it gives to a carried residual. Memory: declines are counters, fills and arbs are kept, samples are
thinned out, only the longest windows are named.
"""

from __future__ import annotations

import decimal
import hashlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from arbot.backtest import windows as windowing
from arbot.backtest.arb_money import ArbMoney
from arbot.backtest.limit_use import LimitUse
from arbot.backtest.marks import SHORT, Marks
from arbot.backtest.result import ArbRow, DeclineRow, FillRow, Replayed, RouteRow, SampleRow, Scenario, Split
from arbot.backtest.samples import CENT, Samples
from arbot.backtest.windows import Best, RouteWindows, Windows
from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    Decision,
    OpportunityDeclined,
    OpportunitySeen,
    Outcome,
)
from arbot.domain.errors import ensure
from arbot.domain.events import (
    BooksMoved,
    Envelope,
    MovementState,
    OrderFilled,
    OrderRejected,
    TransferReported,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Fill, OrderIntent, Purpose, Side
from arbot.domain.units import EXACT, ONE, ZERO, fmt
from arbot.engine.config import RiskLimits
from arbot.engine.market_view import MarketView
from arbot.observe.summary import Summary

ORPHAN = "orphan"  # purpose of a fill whose order this replay did not send
NS_PER_MS = 1_000_000
_DEPTHS = (4, 32, 256)  # levels asked for until an arb's quantity is covered
_UNHEDGED = frozenset({ArbState.ONE_SIDED, ArbState.HEDGING, ArbState.UNWINDING})

Balances = Mapping[VenueId, Mapping[Asset, Decimal]]
Place = tuple[VenueId, Asset]


class Collector:
    """Give it every step (`observe`) and moments to look at the account (`sample`); `replayed` says what it came to."""

    def __init__(
        self,
        *,
        ccy: Asset,
        instruments: Sequence[Instrument],
        market: MarketView,
        balances: Callable[[], Balances],
        scenario: Scenario,
        limits: RiskLimits,
    ) -> None:
        self._ccy = ccy
        self._instruments = {one.id: one for one in instruments}
        self._market = market
        self._balances = balances
        self._scenario = scenario
        self._marks = Marks(ccy, instruments, market)
        self._limits = LimitUse(limits)
        self._samples = Samples()
        self._summary = Summary()
        self._start: dict[Place, Decimal] = {}
        self._start_marks: dict[Place, Decimal] = {}
        self._is_begun = False
        self._arbs: dict[str, ArbMoney] = {}
        self._open: dict[str, ArbMoney] = {}
        self._orders: dict[ClientOrderId, OrderIntent] = {}
        self._fills: dict[tuple[VenueId, str, str, bool], FillRow] = {}
        self._moved: dict[Place, Decimal] = {}  # by fills, fees included
        self._base_net: dict[Asset, Decimal] = {}
        self._transit: dict[str, Decimal] = {}  # what left a venue and has not arrived anywhere
        self._paid_in: dict[Place, Decimal] = {}  # from outside
        self._paid_in_value = ZERO  # at the marks of the moments it came
        self._declined: dict[tuple[InstrumentId, InstrumentId, str, InstrumentId | None], list[Decimal | int]] = {}
        self._seen: OpportunitySeen | None = None  # of this step
        self._trades = hashlib.sha256()
        self._latencies_ns: list[int] = []
        self._rejects = 0
        self._unhedged_peak = ZERO
        self._sampled_ts_ns = 0

    # --- what happens -------------------------------------------------------------------------------------------------

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take one step in. Steps in which books moved and nothing was done only touch counters."""
        event = envelope.event
        if type(event) is BooksMoved and not outcome.commands:
            for decision in outcome.decisions:
                if type(decision) is OpportunityDeclined:
                    self._decline(decision)
            return
        if not self._is_begun:
            self._begin()
        self._summary.observe(envelope, outcome)
        self._seen = None
        for command in outcome.commands:
            if isinstance(command, SubmitOrder):
                self._order(command.approved.intent)
        if isinstance(event, OrderFilled):
            self._fill(event.fill, envelope.ts_ns)
        elif isinstance(event, TransferReported):
            self._transferred(event)
        elif isinstance(event, OrderRejected) and event.client_order_id in self._orders:
            self._rejects += 1
            self._arbs[self._orders[event.client_order_id].arb_id].rejects += 1
        for decision in outcome.decisions:
            self._decision(decision, envelope.ts_ns)
        is_end = any(isinstance(decision, ArbClosed) for decision in outcome.decisions)
        if is_end and envelope.ts_ns - self._sampled_ts_ns >= self._samples.gap_ns:
            self.sample(envelope.ts_ns)

    def sample(self, ts_ns: int) -> None:
        """Value the account now."""
        if not self._is_begun:
            self._begin()
        values: dict[str, Decimal] = {}
        held_max = ZERO
        for (venue, asset), number in _flat(self._balances()):
            mark = self._mark(venue, asset) if number else None
            value = ZERO if mark is None else EXACT.multiply(number, mark)
            values[venue] = values.get(venue, ZERO) + value
            if asset != self._ccy:
                held_max = max(held_max, value)
        self._note_exposure()
        self._sampled_ts_ns = ts_ns
        self._samples.add(
            SampleRow(
                ts_ns=ts_ns,
                equity=sum(values.values(), ZERO).quantize(CENT),
                realised=self._limits.realised.quantize(CENT),
                unhedged=self._unhedged_peak.quantize(CENT),
                value_by_venue={venue: value.quantize(CENT) for venue, value in values.items()},
                limit_use=self._limits.take(values, held_max),
            )
        )
        self._unhedged_peak = ZERO
        self._note_exposure()

    def _begin(self) -> None:
        self._is_begun = True
        self._start = dict(_flat(self._balances()))

    def _mark(self, venue: VenueId, asset: Asset) -> Decimal | None:
        """Return the value of one unit; the first one ever also values what was held before."""
        mark = self._marks.refresh(venue, asset)
        place = (venue, asset)
        if mark is not None and place not in self._start_marks:
            self._start_marks[place] = mark
            if asset != self._ccy:
                self._samples.lift(venue, EXACT.multiply(self._start.get(place, ZERO), mark).quantize(CENT))
        return mark

    def _decline(self, declined: OpportunityDeclined) -> None:
        key = (declined.buy, declined.sell, declined.reason.value, declined.conversion)
        entry = self._declined.get(key)
        if entry is None:
            self._declined[key] = [1, declined.edge_net_bps]
            return
        entry[0] += 1
        entry[1] = max(entry[1], declined.edge_net_bps)

    def _order(self, intent: OrderIntent) -> None:
        self._orders[intent.client_order_id] = intent
        self._limits.ordered(intent.venue, intent.decided_ts_ns)
        if intent.purpose is not Purpose.LEG and intent.arb_id not in self._arbs:
            self._flush(intent.arb_id, self._instruments[intent.instrument], intent.decided_ts_ns)
        self._trades.update(
            f"order {intent.decided_ts_ns} {intent.client_order_id} {intent.instrument} {intent.side} {fmt(intent.qty)} "
            f"{fmt(intent.limit_price)} {intent.tif} {intent.purpose}\n".encode()
        )

    def _decision(self, decision: Decision, ts_ns: int) -> None:
        match decision:
            case OpportunityDeclined():
                self._decline(decision)
            case OpportunitySeen():
                self._seen = decision
            case ArbOpened():
                self._opened(decision)
            case ArbMoved() if decision.arb_id in self._arbs:
                self._arb_moved(self._arbs[decision.arb_id], decision, ts_ns)
            case ArbStranded() if decision.arb_id in self._arbs:
                self._arbs[decision.arb_id].state = "stranded"
            case ArbClosed() if decision.arb_id in self._arbs:
                arb = self._arbs[decision.arb_id]
                arb.state = "flush" if decision.is_flush else "missed" if decision.missed else "flat"
                arb.closed_ts_ns = ts_ns
                arb.unhedged_ms, arb.unhedged_since_ns = decision.unhedged_ns // NS_PER_MS, 0
                self._count_closed(arb, ts_ns)
                if decision.is_quote and decision.missed:
                    del self._arbs[arb.arb_id]  # it rested and nobody came: a day has thousands of these

    def _opened(self, opened: ArbOpened) -> None:
        buy, sell = self._instruments[opened.buy], self._instruments[opened.sell]
        seen = self._seen
        ensure(seen is not None and (seen.buy, seen.sell) == (buy.id, sell.id), "an arb nobody saw", arb=opened.arb_id)
        wanted = opened.conversion
        turning = None if wanted is None else self._instruments[wanted.instrument]
        home, foreign = (buy.quote, Asset("")) if turning is None else (turning.quote, turning.base)
        turned = ONE if wanted is None else self._average(wanted.instrument, wanted.side, wanted.qty, wanted.price)
        rates = [turned if one.quote == foreign else ONE for one in (buy, sell)]
        arb = ArbMoney(
            arb_id=opened.arb_id,
            buy=buy.id,
            sell=sell.id,
            buy_venue=buy.venue,
            sell_venue=sell.venue,
            symbol=self._symbol(buy, sell, turning),
            opened_ts_ns=opened.decided_ts_ns,
            qty=opened.qty,
            buy_average=EXACT.multiply(self._average(buy.id, Side.BUY, opened.qty, opened.buy_price), rates[0]),
            sell_average=EXACT.multiply(self._average(sell.id, Side.SELL, opened.qty, opened.sell_price), rates[1]),
            rate=self._marks.of(buy.venue if turning is None else turning.venue, home),
            base=buy.base,
            home=home,
            foreign=foreign,
            conversion_venue="" if turning is None else turning.venue,
            conversion_average=turned,
            edge_gross_bps=seen.edge_gross_bps if seen is not None else ZERO,
            edge_net_bps=opened.edge_net_bps,
            is_quote=opened.is_quote,
            stress_loss=opened.stress_loss,
        )
        arb.expected = EXACT.multiply(opened.expected_quote, arb.rate)
        if opened.is_quote and self._maker_side(opened.arb_id) is Side.BUY:
            arb.buy_average = opened.buy_price  # it waits there for others, whatever the book shows
        elif opened.is_quote:
            arb.sell_average = opened.sell_price
        with decimal.localcontext(EXACT):
            arb.ordered = opened.qty * (opened.buy_price * rates[0] + opened.sell_price * rates[1])
            if wanted is not None:
                arb.ordered += wanted.qty * wanted.price
        self._arbs[arb.arb_id] = self._open[arb.arb_id] = arb
        self._limits.open_arbs(sum(1 for one in self._open.values() if not one.is_flush))

    def _symbol(self, buy: Instrument, sell: Instrument, conversion: Instrument | None) -> str:
        return buy.symbol if conversion is None else f"{buy.symbol} to {sell.symbol} by {conversion.id}"

    def _maker_side(self, arb_id: str) -> Side:
        """Return the side of a quote's order that rests."""
        return next(order.side for order in reversed(self._orders.values()) if order.arb_id == arb_id)

    def _average(self, instrument: InstrumentId, side: Side, qty: Decimal, price_worst: Decimal) -> Decimal:
        """Return the average price of `qty` in the book the decision saw; what is not on show there at the worst price."""
        left, value = qty, ZERO
        for depth in _DEPTHS:
            levels = self._market.levels(instrument, side, depth)
            left, value = qty, ZERO
            for level in levels:
                step = min(left, level.qty)
                left, value = EXACT.subtract(left, step), EXACT.add(value, EXACT.multiply(step, level.price))
            if not left or len(levels) < depth:
                break
        return SHORT.divide(EXACT.add(value, EXACT.multiply(left, price_worst)), qty)

    def _arb_moved(self, arb: ArbMoney, moved: ArbMoved, ts_ns: int) -> None:
        if moved.after is ArbState.FLAT:
            self._open.pop(arb.arb_id, None)
            return
        arb.state, arb.closed_ts_ns = "open", 0
        self._open[arb.arb_id] = arb
        if moved.after in _UNHEDGED and not arb.unhedged_since_ns:
            arb.unhedged_since_ns = ts_ns

    def _flush(self, arb_id: str, instrument: Instrument, ts_ns: int) -> ArbMoney:
        """Follow an arb without legs: its orders are compared with the mid of the venue it goes to first."""
        rate = self._marks.of(instrument.venue, instrument.quote)
        mid = SHORT.divide(self._marks.of(instrument.venue, instrument.base), rate)
        arb = ArbMoney(
            arb_id=arb_id,
            buy=instrument.id,
            sell=instrument.id,
            buy_venue=instrument.venue,
            sell_venue=instrument.venue,
            symbol=instrument.symbol,
            opened_ts_ns=ts_ns,
            qty=ZERO,
            buy_average=mid,
            sell_average=mid,
            rate=rate,
            base=instrument.base,
            home=instrument.quote,
            is_flush=True,
        )
        self._arbs[arb_id] = self._open[arb_id] = arb
        return arb

    def _fill(self, fill: Fill, ts_ns: int) -> None:
        if (fill.venue, *fill.key) in self._fills:
            return
        order = self._orders.get(fill.client_order_id)
        instrument = self._instruments[fill.instrument]
        if order is None:  # of another run, or of nobody: its money counts, like a flush of its own
            arb_id, purpose, limit = f"{ORPHAN} {fill.client_order_id}", ORPHAN, fill.price
        else:
            arb_id, purpose, limit = order.arb_id, order.purpose.value, order.limit_price
        arb = self._arbs.get(arb_id) or self._flush(arb_id, instrument, ts_ns)
        if order is None:
            arb.state, arb.closed_ts_ns = "flush", ts_ns
            self._open.pop(arb_id, None)
        arb.add(fill, purpose, limit)
        arb.qty = arb.qty if not arb.is_flush else EXACT.add(arb.qty, fill.qty)
        self._charge(arb, fill)
        for asset, delta in ((fill.base, fill.base_delta), (fill.quote, fill.quote_delta)):
            self._move(fill.venue, asset, delta)
        self._base_net[fill.base] = EXACT.add(self._base_net.get(fill.base, ZERO), fill.base_delta)
        if arb.foreign and fill.quote == arb.foreign:
            self._base_net[fill.quote] = EXACT.add(self._base_net.get(fill.quote, ZERO), fill.quote_delta)
        row = FillRow(
            ts_ns=ts_ns,
            arb_id=arb_id,
            client_order_id=fill.client_order_id,
            purpose=purpose,
            venue=fill.venue,
            symbol=instrument.symbol,
            side=fill.side.value,
            qty=EXACT.minus(fill.qty) if fill.is_reversal else fill.qty,
            price=fill.price,
            fee=fill.fee.number,
            fee_asset=fill.fee.asset,
            liquidity=fill.liquidity.value,
        )
        self._fills[fill.venue, *fill.key] = row
        self._trades.update(b"fill " + msgspec.json.encode(row) + b"\n")
        if order is not None and order.purpose is Purpose.LEG and not order.tif.rests and fill.venue_ts_ns:
            self._latencies_ns.append(fill.venue_ts_ns - order.decided_ts_ns)
        self._note_exposure()

    def _charge(self, arb: ArbMoney, fill: Fill) -> None:
        """Count a fee at its value now. One in an asset that has no price is, like that asset, not in the equity."""
        fee = fill.fee
        if not fee.number:
            return
        rate: Decimal | None = arb.rate
        if arb.foreign and fee.asset == arb.foreign:
            rate = EXACT.multiply(arb.rate, arb.conversion_average)
        elif fee.asset != arb.home:
            rate = self._mark(fill.venue, fee.asset)
        if rate is not None:
            arb.fees = EXACT.add(arb.fees, EXACT.multiply(fee.number, rate))
        if fee.asset not in (fill.base, fill.quote):
            self._move(fill.venue, fee.asset, EXACT.minus(fee.number))

    def _move(self, venue: VenueId, asset: Asset, delta: Decimal) -> None:
        self._moved[venue, asset] = EXACT.add(self._moved.get((venue, asset), ZERO), delta)

    def _transferred(self, report: TransferReported) -> None:
        """Tell money from outside from what comes from another venue: what left one and arrives is no deposit."""
        asset = Asset(report.asset)
        if report.state is not MovementState.DONE:
            return
        if report.qty < 0:
            self._transit[asset] = EXACT.subtract(self._transit.get(asset, ZERO), report.qty)
            return
        returned = min(self._transit.get(asset, ZERO), report.qty)
        self._transit[asset] = EXACT.subtract(self._transit.get(asset, ZERO), returned)
        outside = EXACT.subtract(report.qty, returned)
        mark = self._mark(report.venue, asset)
        if outside and mark is not None:
            place = (report.venue, asset)
            self._paid_in[place] = EXACT.add(self._paid_in.get(place, ZERO), outside)
            self._paid_in_value = EXACT.add(self._paid_in_value, EXACT.multiply(outside, mark))

    def _count_closed(self, arb: ArbMoney, ts_ns: int) -> None:
        net = arb.net()
        self._limits.closed(EXACT.subtract(net, arb.counted), ts_ns)
        arb.counted = net

    def _note_exposure(self) -> None:
        """Measure what is open and not hedged now."""
        unhedged, arbs_open = ZERO, 0
        for arb in self._open.values():
            if arb.is_flush:
                continue  # what it works off was carried by arbs that ended
            arbs_open += 1
            for asset, number in ((arb.base, arb.base_net), (arb.foreign, arb.foreign_net)):
                if number:
                    mark = self._marks.of(arb.buy_venue, asset)
                    unhedged = EXACT.add(unhedged, EXACT.multiply(abs(number), mark))
        self._unhedged_peak = max(self._unhedged_peak, unhedged)
        self._limits.open_arbs(arbs_open)
        for base, number in self._base_net.items():
            if number:
                venue = next(one.venue for one in self._instruments.values() if one.base == base)
                self._limits.net_delta(EXACT.multiply(number, self._marks.of(venue, base)))

    # --- what it came to ----------------------------------------------------------------------------------------------

    def replayed(
        self,
        *,
        digest: str,
        now_ns: int,
        windows: Windows,
        bests: Sequence[Best] = (),
        instrument: Callable[[int], Instrument],
        ledger_matches_venues: bool,
        deposits: Decimal,
        transfer_costs: Decimal,
    ) -> Replayed:
        """Return the whole column. `windows` as in windows.py; `instrument` names its books; money in the reporting currency.

        Raises: InvariantBroken when the parts of the profit are not the change of equity.
        """
        self.sample(now_ns)
        equity_start, equity_end, split = self._split(deposits, transfer_costs)
        arbs = tuple(self._arb_rows(now_ns))
        counts: dict[str, int] = {}
        declines = tuple(self._decline_rows())
        for row in declines:
            counts[row.reason] = counts.get(row.reason, 0) + row.count
        totals = msgspec.structs.replace(
            self._summary.totals(now_ns), opportunities_declined=dict(sorted(counts.items()))
        )
        return Replayed(
            scenario=self._scenario,
            digest=digest,
            totals=totals,
            equity_start=equity_start,
            equity_end=equity_end,
            deposits=deposits,
            drawdown_max=self._samples.drawdown_max,
            split=split,
            fill_ratio=_fill_ratio(self._arbs.values()),
            orders=len(self._orders),
            rejects=self._rejects,
            ledger_matches_venues=ledger_matches_venues,
            arbs=arbs,
            fills=tuple(self._fills.values()),
            samples=self._samples.rows,
            windows=windowing.longest(windows, instrument),
            windows_total=len(windows),
            win=windowing.win(windows),
            routes=tuple(self._route_rows(dict(windowing.by_route(windows, instrument)))),
            declines=declines,
            order_hash=self._trades.hexdigest(),
            latency_ms=statistics.median(self._latencies_ns) / NS_PER_MS if self._latencies_ns else 0.0,
            edges=windowing.edges(windows),
            best_edges=windowing.best_edges(bests, instrument),
            unpriced=tuple(
                f"{asset} at {venue}"
                for (venue, asset), number in sorted(self._start.items())
                if number and (venue, asset) not in self._start_marks
            ),
        )

    def _split(self, deposits: Decimal, transfer_costs: Decimal) -> tuple[Decimal, Decimal, Split]:
        """Return equity at the start and at the end, and where the difference comes from."""
        ends = dict(_flat(self._balances()))
        places = dict.fromkeys((*self._start, *ends, *self._moved))
        marks = {place: mark for place in places if (mark := self._mark(*place)) is not None}
        with decimal.localcontext(EXACT):
            start = sum((self._start.get(place, ZERO) * self._start_marks[place] for place in marks), ZERO)
            end = sum((ends.get(place, ZERO) * mark for place, mark in marks.items()), ZERO)
            parts = [arb.parts() for arb in self._arbs.values()]
            edge = sum((one.edge for one in parts), ZERO)
            slippage = sum((one.slippage for one in parts), ZERO)
            unwinds = sum((one.unwinds for one in parts), ZERO)
            fees = sum((arb.fees for arb in self._arbs.values()), ZERO)
            traded = edge + slippage + unwinds - fees
            inventory = end - start - deposits - traded + transfer_costs
            held = sum(
                (
                    self._start.get(place, ZERO) * (mark - self._start_marks[place])
                    + self._paid_in.get(place, ZERO) * mark
                    for place, mark in marks.items()
                ),
                -self._paid_in_value,
            )
            moved = sum((self._moved.get(place, ZERO) * mark for place, mark in marks.items()), ZERO) - traded
            is_told = all(
                ends.get(place, ZERO)
                == self._start.get(place, ZERO) + self._moved.get(place, ZERO) + self._paid_in.get(place, ZERO)
                for place in marks
            )
            ensure(
                not is_told or transfer_costs or deposits != self._paid_in_value or inventory == held + moved,
                "the parts of the profit are not the change of equity",
                inventory=inventory,
                held=held,
                moved=moved,
            )
            inventory_moved = inventory - held
        split = Split(
            edge=edge,
            slippage=slippage,
            unwinds=unwinds,
            fees=fees,
            transfer_costs=transfer_costs,
            inventory=inventory,
            inventory_moved=inventory_moved,
        )
        return start, end, split

    def _arb_rows(self, now_ns: int) -> Iterator[ArbRow]:
        for arb in self._arbs.values():
            parts = arb.parts()
            since_ns = arb.unhedged_since_ns
            yield ArbRow(
                arb_id=arb.arb_id,
                opened_ts_ns=arb.opened_ts_ns,
                closed_ts_ns=arb.closed_ts_ns,
                buy_venue=arb.buy_venue,
                sell_venue=arb.sell_venue,
                symbol=arb.symbol,
                qty=arb.qty,
                leg_qty_buy=arb.legs[Side.BUY].qty,
                leg_qty_sell=arb.legs[Side.SELL].qty,
                edge_gross_bps=arb.edge_gross_bps,
                edge_net_bps=arb.edge_net_bps,
                edge=parts.edge,
                slippage=parts.slippage,
                unwinds=parts.unwinds,
                fees=arb.fees,
                pnl_net=arb.net(),
                unhedged_ms=(now_ns - since_ns) // NS_PER_MS if since_ns else arb.unhedged_ms,
                state=arb.state,
                rejects=arb.rejects,
                conversion_venue=arb.conversion_venue,
                leg_qty_conversion=EXACT.add(arb.conversion[Side.BUY].qty, arb.conversion[Side.SELL].qty),
            )

    def _decline_rows(self) -> Iterator[DeclineRow]:
        for (buy, sell, reason, conversion), (count, edge_max) in self._declined.items():
            bought, sold = self._instruments[buy], self._instruments[sell]
            turning = None if conversion is None else self._instruments[conversion]
            yield DeclineRow(
                buy_venue=bought.venue,
                sell_venue=sold.venue,
                symbol=self._symbol(bought, sold, turning),
                reason=reason,
                count=int(count),
                edge_net_bps_max=Decimal(edge_max),
            )

    def _route_rows(self, lasting: Mapping[tuple[str, str, str], RouteWindows]) -> Iterator[RouteRow]:
        """Yield every route that had a window or an arb, in the order of its first of these."""
        arbs: dict[tuple[str, str, str], list[ArbMoney]] = {route: [] for route in lasting}
        for arb in self._arbs.values():
            if not arb.is_flush:
                arbs.setdefault((arb.buy_venue, arb.sell_venue, arb.symbol), []).append(arb)
        for route, mine in arbs.items():
            had = lasting.get(route, RouteWindows(0, 0.0))
            with decimal.localcontext(EXACT):
                yield RouteRow(
                    buy_venue=route[0],
                    sell_venue=route[1],
                    symbol=route[2],
                    windows=had.windows,
                    window_ms_median=had.window_ms_median,
                    arbs=len(mine),
                    missed=sum(1 for arb in mine if arb.state == "missed"),
                    volume=sum((arb.volume for arb in mine), ZERO),
                    edge=sum((arb.parts().edge for arb in mine), ZERO),
                    fees=sum((arb.fees for arb in mine), ZERO),
                    pnl_net=sum((arb.net() for arb in mine), ZERO),
                    fill_ratio=_fill_ratio(mine),
                    expected=sum((arb.expected for arb in mine), ZERO),
                    stress_loss=sum((arb.stress_loss for arb in mine), ZERO),
                )


def _flat(balances: Balances) -> Iterator[tuple[Place, Decimal]]:
    return (((venue, asset), number) for venue, held in balances.items() for asset, number in held.items())


def _fill_ratio(arbs: Iterable[ArbMoney]) -> float:
    """Return what legs filled over what they ordered, weighted by value at their limit prices; 0 without an order."""
    filled = ordered = ZERO
    for arb in arbs:
        filled, ordered = EXACT.add(filled, arb.filled), EXACT.add(ordered, arb.ordered)
    return float(SHORT.divide(filled, ordered)) if ordered else 0.0
