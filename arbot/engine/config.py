"""Everything the engine is told once, frozen. `settings` builds it from the TOML file; the names are the file's names.

Money limits are in the reporting currency (`ccy`), which must be the quote of every traded route or be priced.
No zero means "unlimited": every limit is positive and every one trips (tests/unit/test_limits.py).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.registry import Registry


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """One number per rule. The share is a fraction of total capital; ages and skews in ms; edges in bps."""

    notional_per_arb_max: Decimal = Decimal(1000)
    arbs_open_max: int = 2
    inventory_notional_max: Decimal = Decimal(50_000)  # per venue and asset, after the arb
    net_delta_notional_max: Decimal = Decimal(5_000)  # per base asset over all venues, against the start of the run
    counterparty_share_max: Decimal = Decimal("0.75")  # of capital at one venue, after the arb
    orders_per_minute_max: int = 120  # per venue
    book_age_recv_ms_max: int = 2_000
    book_age_venue_ms_max: int = 10_000
    book_skew_ms_max: int = 3_000  # between the receive times of the two books
    edge_gross_bps_max: Decimal = Decimal(300)  # more than this is bad data or news, not an opportunity
    clock_skew_ms_max: int = 1_000
    loss_day_max: Decimal = Decimal(200)  # realised, latches
    drawdown_max: Decimal = Decimal(500)  # of realised profit from its peak, latches


class ExecutionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How an arb is carried through. Seconds are counted by engine time; bps against the arb's own prices."""

    leg_deadline_ms: int = 3_000  # for both legs to be terminal
    order_deadline_ms: int = 3_000  # the venue must not match an order after this
    hedge_slippage_bps: Decimal = Decimal(
        15
    )  # a hedge: beyond the leg's own price; an unwind or flush: beyond the touch
    hedge_tries_max: int = 4  # orders per arb to work a residual, over all venues
    hedge_seconds_max: int = 20  # from one_sided to stranded
    hedge_loss_max: Decimal = Decimal(50)  # quote, worst loss of one such order beyond which it is not sent
    hedge_retry_ms: int = 250  # wait before looking again when no venue can take a residual
    query_backoff_ms: int = 250  # first wait before asking after an unknown order; doubles
    query_backoff_ms_max: int = 5_000
    visibility_lag_ms: int = 10_000  # a venue may not list an order for this long
    cool_down_ms: int = 500  # per route after an arb ends
    depth_max: int = 25  # levels walked


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's whole configuration."""

    ccy: Asset
    venues: tuple[VenueId, ...]
    instruments: tuple[InstrumentId, ...]
    limits: RiskLimits = RiskLimits()
    execution: ExecutionPolicy = ExecutionPolicy()
    registry: Registry = Registry()
