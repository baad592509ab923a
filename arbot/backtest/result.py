"""What one replay came to, as plain values: what the report shows, the JSON says, and two runs are compared by.

Money is in the reporting currency (`ccy`) unless a name says base. The split of the profit adds up exactly:

    equity_end - equity_start - deposits = edge + slippage + unwinds - fees - transfer_costs + inventory

    edge       what the arbs promised before fees: quantity that was hedged by both legs x (sell - buy) at the average
               prices the decision saw
    slippage   what those legs fetched beyond or short of that
    unwinds    result of every order that hedged or unwound a residual, against the decision's prices of its leg
    inventory  change of the value of what was held anyway, marked at the mid of each venue's own book

Part of inventory is the arbs' own doing (`inventory_moved`): base that was bought where it is cheap and sold where it is
dear is worth less at the mids by what remains of the gap, so an edge that never closes is taken back there.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.units import div
from arbot.observe.summary import Totals


class Scenario(StrEnum):
    """How kind the modelled world is; the three columns of every report."""

    NAIVE = "naive"  # no latency, no rejects, no rate limits, liquidity comes back at once
    REALISTIC = "realistic"  # as [backtest] says
    PESSIMISTIC = "pessimistic"  # slower, rivals take part of what we saw, more rejects


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `purpose` is leg, hedge, unwind or flush."""

    ts_ns: int
    arb_id: str
    client_order_id: str
    purpose: str
    venue: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str


class ArbRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arb from decision to end. `leg_qty_buy` and `leg_qty_sell` are what the two legs filled of `qty`.

    Of an arb with a conversion `symbol` names all three instruments, and `leg_qty_conversion` is in the foreign quote.
    """

    arb_id: str
    opened_ts_ns: int
    closed_ts_ns: int  # 0 while open
    buy_venue: str
    sell_venue: str
    symbol: str
    qty: Decimal
    leg_qty_buy: Decimal
    leg_qty_sell: Decimal
    edge_gross_bps: Decimal
    edge_net_bps: Decimal
    edge: Decimal
    slippage: Decimal
    unwinds: Decimal
    fees: Decimal
    pnl_net: Decimal
    unhedged_ms: int
    state: str  # flat | missed | stranded | open | flush (no legs: carried residuals sold on their own)
    rejects: int = 0
    conversion_venue: str = ""  # empty: an arb of two legs
    leg_qty_conversion: Decimal = Decimal(0)


class SampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """The account at one moment: taken at every arb's end, and at even intervals between.

    `unhedged` is the value of open residuals; `limit_use` the measured share of each limit, 1 = at the limit. Both are the
    most since the sample before: an arb is usually over between two samples.
    """

    ts_ns: int
    equity: Decimal
    realised: Decimal  # net profit of closed arbs since the start
    unhedged: Decimal
    value_by_venue: dict[str, Decimal]
    limit_use: dict[str, float]


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """A time during which a route cleared fees and minimum edge at the touch, whether or not it was traded."""

    buy_venue: str
    sell_venue: str
    symbol: str
    start_ts_ns: int
    end_ts_ns: int  # of the message that ended it
    edge_net_bps_peak: float


class RouteRow(msgspec.Struct, frozen=True, kw_only=True):
    """One ordered pair of venues and a symbol."""

    buy_venue: str
    sell_venue: str
    symbol: str
    windows: int
    window_ms_median: float
    arbs: int
    missed: int
    volume: Decimal
    edge: Decimal
    fees: Decimal
    pnl_net: Decimal
    fill_ratio: float  # filled leg quantity over ordered leg quantity
    expected: Decimal = Decimal(0)  # by the decisions, before anything happened
    stress_loss: Decimal = Decimal(0)  # what the arbs added to the worst disaster, each while it was open

    @property
    def pennies(self) -> Decimal:
        """Pennies per steamroller: expected profit for each unit of stress loss; zero without an arb."""
        return div(self.expected, self.stress_loss) if self.stress_loss else Decimal(0)


class DeclineRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often a route was looked at and not taken, by reason; `edge_net_bps_max` is the best one let go."""

    buy_venue: str
    sell_venue: str
    symbol: str
    reason: str
    count: int
    edge_net_bps_max: Decimal


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Where the money came from and went; see the module text."""

    edge: Decimal
    slippage: Decimal
    unwinds: Decimal
    fees: Decimal
    transfer_costs: Decimal
    inventory: Decimal
    inventory_moved: Decimal = Decimal(0)  # the part of inventory that the arbs themselves caused


class WinRow(msgspec.Struct, frozen=True, kw_only=True):
    """Of all windows, the share that lasted at least so long: the latency one needs to win them."""

    latency_ms: int
    windows: int
    share: float


class BinRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many windows had a peak net edge in [low, high) bps, and how long they lasted together."""

    edge_net_bps_low: float
    edge_net_bps_high: float
    windows: int
    seconds: float


class BestRow(msgspec.Struct, frozen=True, kw_only=True):
    """The best net edge at the touch that a route ever had, also where it never cleared costs."""

    buy_venue: str
    sell_venue: str
    symbol: str
    edge_net_bps: Decimal
    ts_ns: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One column: a whole replay under one scenario. `digest` is over every event, order and fill: equal runs, equal digests."""

    scenario: Scenario
    digest: str
    totals: Totals
    equity_start: Decimal
    equity_end: Decimal
    deposits: Decimal
    drawdown_max: Decimal
    split: Split
    fill_ratio: float
    orders: int
    rejects: int
    ledger_matches_venues: bool
    arbs: tuple[ArbRow, ...]
    fills: tuple[FillRow, ...]
    samples: tuple[SampleRow, ...]
    windows: tuple[WindowRow, ...]  # the longest WINDOWS_MAX
    windows_total: int
    win: tuple[WinRow, ...]
    routes: tuple[RouteRow, ...]
    declines: tuple[DeclineRow, ...]
    order_hash: str = ""  # over the orders and fills alone
    latency_ms: float = 0.0  # from decision to match, median of the legs that filled; 0 when none did
    edges: tuple[BinRow, ...] = ()  # of all windows
    best_edges: tuple[BestRow, ...] = ()  # the best first
    unpriced: tuple[str, ...] = ()  # "ASSET at venue" held but without a book to value it: not in the equity


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """What the tape was, as the first column saw it: what an order took from a book can make it one-sided.

    All counts begin where the engine does: rows before the first time of interest only fill the books. `candidates` are
    messages that left a route of their book open, whether or not the engine was deaf to it; `crossed` those that left
    their book crossed: it is kept, and nothing is traded on it.
    """

    rows: int
    messages: int
    candidates: int
    first_ts_ns: int
    last_ts_ns: int
    instruments: tuple[str, ...]
    crossed: int
    one_sided: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A whole backtest. `warnings` are the inspector's errors and warnings, and what was overridden, in words."""

    name: str
    ccy: str
    tapes: tuple[str, ...]
    config_digest: str
    code_version: str
    seed: int
    scanned: Scanned
    columns: tuple[Replayed, ...]
    warnings: tuple[str, ...] = ()
    settings: dict[str, str] = msgspec.field(default_factory=dict)  # what was assumed, for the report's last section
