"""Everything the engine is told once, frozen. `settings` builds it from the TOML file; the names are the file's names.

Money limits are in the reporting currency (`ccy`), which must be the quote of every traded route or be priced.
No zero means "unlimited": every limit is positive and every one trips (tests/unit/test_limits.py).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.registry import Registry
from arbot.domain.transfer import Network


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
    hedge_tries_max: int = 4  # orders per arb and asset to work a residual, over all venues
    hedge_seconds_max: int = 20  # from one_sided to stranded
    hedge_loss_max: Decimal = Decimal(
        60
    )  # quote, worst loss of one such order beyond which it is not sent: 6 % of an arb
    hedge_retry_ms: int = 250  # wait before looking again when no venue can take a residual
    query_backoff_ms: int = 250  # first wait before asking after an unknown order; doubles
    query_backoff_ms_max: int = 5_000
    visibility_lag_ms: int = 10_000  # a venue may not list an order for this long
    cool_down_ms: int = 500  # per route after an arb ends
    depth_max: int = 25  # levels walked
    quote_rest_ms_min: int = 500  # a resting order is not moved sooner; what speaks against it pulls it at once


class HealthPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a venue gets no new arbs for its conduct, and how it earns them back. Its open arbs are worked all the same."""

    orders_window: int = 50  # the newest answers kept per venue
    orders_min: int = 10  # fewer answers than this say nothing
    orders_forget_s: int = 3_600  # an older answer no longer counts
    reject_share_max: Decimal = Decimal("0.5")  # of answers: refusals that are the venue's doing, not our order's
    unanswered_share_max: Decimal = Decimal("0.25")  # of answers: no usable one came
    ack_ms_mean_max: int = 2_000  # geometric mean from decision to the venue's first word
    ack_ms_tail_max: int = 5_000  # one in twenty may take longer
    drops_max: int = 20  # times a venue's streams may be lost ...
    drops_window_s: int = 600  # ... within so long
    maintenance_lead_s: int = 900  # no new arb so long before an announced maintenance
    recovery_s: int = 300  # nothing may be wrong for so long; doubles with each relapse ...
    recovery_s_max: int = 14_400  # ... up to this
    probe_s: int = 30  # while in quarantine its balances are asked for this often
    probes_min: int = 2  # so many must have been answered
    network_silence_s: int = 3_600  # a venue that told of its networks and has not since counts as closed
    closed_share_max: Decimal = Decimal("0.5")  # of the assets it told of; above it the venue's caps are halved
    cap_step_share: Decimal = Decimal("0.25")  # what each withdrawal seen to work gives back of the caps
    require_network_status: bool = False  # true: a venue that never told of its networks counts as closed


class MaintenanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance known beforehand. `is_weekly` repeats it every seven days from its first time on, for ever."""

    venue: VenueId
    from_ns: int
    until_ns: int
    is_weekly: bool = False


class PegPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a stablecoin counts as off its peg. The band to come back is narrower and has to be held."""

    peg_band_bps: Decimal = Decimal(100)
    peg_return_bps: Decimal = Decimal(40)
    peg_return_s: int = 600
    peg_look_ms: int = 1_000  # a look this often; the middle of three decides, so one wick does not
    peg_book_age_ms_max: int = 30_000  # an older book says nothing of a peg
    peg_book_gap_bps_max: Decimal = Decimal(200)  # between bid and ask: a wider book says nothing either


class NewsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a gap between venues is information rather than an opportunity: it is taken once, then the mids have to meet."""

    edge_news_bps: Decimal = Decimal(150)
    mid_news_bps: Decimal = Decimal(20)  # mids this near have met
    news_look_ms: int = 1_000
    block_share: Decimal = Decimal("0.5")  # of a venue's instruments that are off the others' median the same way
    block_count_min: int = 2  # fewer instruments are not a block
    pin_share: Decimal = Decimal("0.8")  # of the walked depth at one level: one large order holds the price


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds our own transfers between venues. Money in the reporting currency."""

    overdue_quantile: Decimal = Decimal("0.99")  # of the route's delay: later than that is stuck
    transit_network_max: Decimal = Decimal(5_000)  # in flight on one network, at stressed prices
    transit_total_max: Decimal = Decimal(10_000)
    stress_vol_day: Decimal = Decimal("0.15")  # of a price in a bad day; grows with the root of the route's p99 delay
    confirm_above: Decimal = Decimal(1_000)  # more than this takes a second yes
    fee_factor_max: Decimal = Decimal(3)  # a network fee above so many times its running median is not paid
    prior_weight: Decimal = Decimal(10)  # transfers that the registry's delays count for against our own
    terms_minutes_max: int = 60  # what a venue said of its networks is not believed for longer
    poll_seconds: int = 20  # both ends are asked this often while something is in flight


class AllowedAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The one place at a venue to which an asset may be sent over a network. `key` is the source's name of it.

    `fee_max`, in the asset, is what a source that tells no fee may take; 0: nothing is known.
    """

    venue: VenueId
    asset: Asset
    network: Network
    address: str
    tag: str = ""
    key: str = ""
    fee_max: Decimal = Decimal(0)


class TransferPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether, where to and within what bounds money may leave a venue."""

    is_enabled: bool = False
    limits: TransferLimits = TransferLimits()
    allow: tuple[AllowedAddress, ...] = ()


class ExposureCaps(msgspec.Struct, frozen=True, kw_only=True):
    """Which share of capital may stand on one node of the registry. A venue's is limits.counterparty_share_max."""

    issuer_share_max: Decimal = Decimal("0.6")  # all coins of one issuer, wherever they are
    bank_share_max: Decimal = Decimal("0.75")  # money of venues that name the bank
    custodian_share_max: Decimal = Decimal("0.75")  # coins of venues that name the custodian
    chain_share_max: Decimal = Decimal("0.25")  # value in flight on one chain
    cloud_share_max: Decimal = Decimal("1.25")  # balances in one region, and the legs at work there on top of them


class RiskPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What each stress scenario may cost, what a unit of the tail costs, and what is believed before there is evidence.

    Shares are of capital, in the worst case of one scenario. Each number is derived in docs/decisions/0013.
    """

    gap_loss_share_max: Decimal = Decimal("0.005")  # the market jumps by gap_bps while legs stand alone
    venue_loss_share_max: Decimal = Decimal("0.75")
    issuer_loss_share_max: Decimal = Decimal("0.1")
    bank_loss_share_max: Decimal = Decimal("0.75")
    custodian_loss_share_max: Decimal = Decimal("0.75")
    chain_loss_share_max: Decimal = Decimal("0.015")  # what is in flight loses its worth while the chain stands
    cloud_loss_share_max: Decimal = Decimal("0.02")  # legs at venues of one region cannot be closed for an hour
    budget_max: Decimal = Decimal(10_000_000)  # money; for each scenario that moves prices: gap, chain, cloud
    gap_bps: Decimal = Decimal(500)
    outage_bps: Decimal = Decimal(1_500)  # how far prices move while a region is out
    tail_price: Decimal = Decimal("0.001")  # of a unit of stress loss, for as long as an arb is open
    leg_fail_prior: Decimal = Decimal("0.02")  # P(a leg does not fill as the other does)
    unwind_bps_prior: Decimal = Decimal(25)  # what closing the other leg then costs
    latency_ms_prior: int = 250  # from decision to the leg's end
    prior_legs: int = 20  # the weight of the three above, in legs
    evidence_half_life_legs: int = 500  # a leg counts half after so many further ones


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's whole configuration."""

    ccy: Asset
    venues: tuple[VenueId, ...]
    instruments: tuple[InstrumentId, ...]
    limits: RiskLimits = RiskLimits()
    execution: ExecutionPolicy = ExecutionPolicy()
    registry: Registry = Registry()
    exposure: ExposureCaps = ExposureCaps()
    risk: RiskPolicy = RiskPolicy()
    health: HealthPolicy = HealthPolicy()
    maintenance: tuple[MaintenanceRule, ...] = ()
    pegs: PegPolicy = PegPolicy()
    news: NewsPolicy = NewsPolicy()
    transfers: TransferPolicy = TransferPolicy()
    lot_method: str = ""  # what every order of the strategy says of the units it gives up; empty: nothing
