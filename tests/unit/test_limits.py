"""Each limit trips: one world per reason, in which that reason and no other stands between an edge and an arb."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from arbot.domain.decisions import LimitLatched, Reason
from arbot.domain.events import (
    AccountSnapshotReceived,
    ClockSkewMeasured,
    FeedDisconnected,
    InstrumentsLoaded,
    NetworksReported,
    OperatorRequested,
    RateBudgetChanged,
    ReconciliationEnded,
    StandingRestored,
    Stream,
    VenueStatusReported,
    Verb,
)
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Balance, InstrumentStatus
from arbot.domain.registry import AssetEntry, Registry, VenueEntry
from arbot.domain.transfer import MaintenanceWindow, Network, NetworkTerms, VenueStatus
from arbot.engine.config import ExposureCaps, NewsPolicy, RiskLimits, RiskPolicy
from tests.support.engine_world import MS, START_NS, World, an_instrument
from tests.support.transfer_world import TransferWorld, allowed, policy

KRAKEN = "kraken book bid 100.0x2 ask 100.1x2"
COINBASE = "coinbase book bid 101.0x1 ask 101.2x3"
OPENED = ["kraken buy 1 @100.1", "coinbase sell 1 @101"]


def limited(**limits: object) -> Callable[[], World]:
    """Return a maker of worlds with these limits."""
    return lambda: World(limits=RiskLimits(**limits))  # type: ignore[arg-type]


def after(*events: object, **kwargs: object) -> Callable[[], World]:
    """Return a maker of worlds in which these things have happened."""

    def make() -> World:
        world = World(**kwargs)  # type: ignore[arg-type]
        for event in events:
            world.give(event)  # type: ignore[arg-type]
        return world

    return make


def operator(verb: Verb) -> OperatorRequested:
    """Return a request of an operator."""
    return OperatorRequested(verb=verb, actor="test")


def balances(venue: str, **totals: str) -> AccountSnapshotReceived:
    """Return all balances of a venue."""
    return AccountSnapshotReceived(
        venue=VenueId(venue), balances=tuple(Balance(asset=Asset(a), total=Decimal(t)) for a, t in totals.items())
    )


def standing(*latched: str) -> StandingRestored:
    """Return what a former run left behind."""
    return StandingRestored(
        killed=False, paused=False, latched=latched, day="", realised_day=Decimal(0), realised_total=Decimal(0),
        realised_peak=Decimal(0),
    )  # fmt: skip


def post_only() -> InstrumentsLoaded:
    """Return Kraken's instrument in a mode that takes no IOC orders."""
    changed = an_instrument("kraken", status=InstrumentStatus.POST_ONLY)
    return InstrumentsLoaded(venue=VenueId("kraken"), instruments=(changed,))


def rate_used_up() -> World:
    """Return a world in which Kraken's orders of this minute leave no room for a leg and its hedges."""
    world = World(limits=RiskLimits(orders_per_minute_max=3))
    world.engine.state.venue(VenueId("kraken")).orders_sent_ts_ns.append(world.now_ns - 59_000 * MS)
    return world


COIN = VenueId("coinbase")
SOON = MaintenanceWindow(from_ns=START_NS + 60_000 * MS, until_ns=START_NS + 90_000 * MS)
LOCKED = NetworkTerms(asset=Asset("USD"), network=Network("wire"), can_deposit=True, can_withdraw=False)
MINTED = Registry(assets={Asset("BTC"): AssetEntry(issuer="mint")})
SHARED = Registry(
    venues=dict.fromkeys((VenueId("kraken"), COIN), VenueEntry(banks=("bank",), custodian="vault", cloud="east")),
    assets={Asset("USD"): AssetEntry(is_fiat=True)},
)


def coins_overdue() -> World:
    """Return a world in which coins on their way from kraken to coinbase should have been there a minute ago."""
    world = TransferWorld(policy(allowed(network="swift")))
    for line in (
        "kraken network swift fee 0.001 min 0.01",
        "coinbase network swift fee 0.001 min 0.01",
        "ask 1 BTC kraken coinbase swift",
        "sent",
        "kraken withdrawal W1 1 fee 0.001 pending tx X over swift",
        "wait 21min",
    ):
        world.line(line)
    return world


ROOMY = ExposureCaps(bank_share_max=Decimal(1), custodian_share_max=Decimal("0.05"))
TRIPPED: dict[Reason, Callable[[], World]] = {
    Reason.KILLED: after(operator(Verb.KILL)),
    Reason.PAUSED: after(operator(Verb.PAUSE)),
    Reason.DRAINING: after(operator(Verb.DRAIN)),
    Reason.LOSS_DAY: after(standing("loss_day")),
    Reason.DRAWDOWN: after(standing("drawdown")),
    Reason.VENUE_NOT_READY: after(FeedDisconnected(venue=COIN, stream=Stream.ACCOUNT, reason="test")),
    Reason.NOT_RECONCILED: after(ReconciliationEnded(venue=COIN, differences=1, detail=("BTC",))),
    Reason.INSTRUMENT_CLOSED: after(post_only()),
    Reason.CLOCK_SKEW: after(ClockSkewMeasured(venue=COIN, skew_ms=1_001, rtt_ms=1)),
    Reason.TOO_GOOD_TO_BE_TRUE: limited(edge_gross_bps_max=Decimal(50)),
    Reason.ORDER_RATE: rate_used_up,
    Reason.VENUE_QUARANTINED: after(VenueStatusReported(venue=COIN, status=VenueStatus.CANCEL_ONLY)),
    Reason.MAINTENANCE: after(VenueStatusReported(venue=COIN, status=VenueStatus.ONLINE, windows=(SOON,))),
    Reason.WITHDRAWALS_CLOSED: after(NetworksReported(venue=COIN, networks=(LOCKED,))),
    Reason.TRANSFER_OVERDUE: coins_overdue,
    Reason.RATE_BUDGET: after(RateBudgetChanged(instrument=InstrumentId("BTC/USD@kraken"), has_room=False)),
    Reason.COUNTERPARTY_SHARE: limited(counterparty_share_max=Decimal("0.49")),
    Reason.ISSUER_EXPOSURE: lambda: World(registry=MINTED, exposure=ExposureCaps(issuer_share_max=Decimal("0.05"))),
    Reason.BANK_EXPOSURE: lambda: World(registry=SHARED, exposure=ExposureCaps(bank_share_max=Decimal("0.5"))),
    Reason.CUSTODIAN_EXPOSURE: lambda: World(
        registry=SHARED, exposure=ROOMY, risk=RiskPolicy(custodian_loss_share_max=Decimal(1))
    ),
    Reason.CLOUD_EXPOSURE: lambda: World(
        registry=SHARED,
        exposure=msgspec.structs.replace(ROOMY, custodian_share_max=Decimal(1), cloud_share_max=Decimal("0.5")),
    ),
    Reason.STRESS_BUDGET: lambda: World(risk=RiskPolicy(budget_max=Decimal("0.5"))),
    Reason.TAIL_UNPAID: lambda: World(risk=RiskPolicy(tail_price=Decimal("0.5"))),
    Reason.NOTIONAL_PER_ARB: limited(notional_per_arb_max=Decimal(5)),
    Reason.INVENTORY: limited(inventory_notional_max=Decimal(1_005)),
    Reason.NET_DELTA: limited(net_delta_notional_max=Decimal(5)),
    Reason.BALANCE_SHORT: after(balances("kraken", BTC="100", USD="5"), reconciled=False),
    Reason.BALANCE_UNKNOWN: after(balances("coinbase", USD="20000"), reconciled=False),
}


@pytest.mark.parametrize("reason", TRIPPED)
def test_limit_trips(reason: Reason) -> None:
    """Decline with exactly this reason, and send nothing."""
    world = TRIPPED[reason]()
    if reason in (Reason.BALANCE_SHORT, Reason.BALANCE_UNKNOWN):
        for venue in ("kraken", "coinbase"):
            world.give(ReconciliationEnded(venue=VenueId(venue), differences=0))
    world.line(KRAKEN)

    assert [f"declined {reason}"] == world.line(COINBASE)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("book_age_recv_ms_max", Reason.BOOK_AGE_RECV), ("book_age_venue_ms_max", Reason.BOOK_AGE_VENUE)],
)
def test_book_age_trips(limit: str, reason: Reason) -> None:
    """Decline on a book older than the limit by that clock, and on one whose time was never told."""
    for age_ms in (101, None):
        world = World(limits=RiskLimits(**{limit: 100}))  # type: ignore[arg-type]
        world.line(KRAKEN)
        times = world.market.recv if reason is Reason.BOOK_AGE_RECV else world.market.venue
        instrument = world.instruments[VenueId("kraken")].id
        times[instrument] = 0 if age_ms is None else world.now_ns - age_ms * MS

        assert ["resync BTC/USD@kraken", f"declined {reason}"] == world.line(COINBASE)
        assert [f"declined {reason}"] == world.line(COINBASE)  # asked for once; the next request comes 10 s later


def test_book_skew_trips() -> None:
    """Decline when the two books were received too far apart."""
    world = World(limits=RiskLimits(book_skew_ms_max=50))
    world.line(KRAKEN)
    world.line("kraken silent")
    world.line("wait 51ms")

    assert [f"declined {Reason.BOOK_SKEW}"] == world.line(COINBASE)


def test_book_not_valid_trips() -> None:
    """Decline on a book that failed its integrity checks."""
    world = World()
    world.line(KRAKEN)
    world.line("kraken invalid")

    assert [f"declined {Reason.BOOK_NOT_TRADABLE}"] == world.line(COINBASE)


def test_arbs_open_trips() -> None:
    """Decline when as many arbs are under way as are allowed."""
    world = World(("kraken", "coinbase", "bitstamp", "gemini"), limits=RiskLimits(arbs_open_max=1))
    world.line(KRAKEN)
    assert world.line(COINBASE) == OPENED
    world.line("bitstamp book bid 99.0x1 ask 100.1x1")

    assert "declined arbs_open" in world.line("gemini book bid 101.0x1 ask 101.2x1")


def test_unlike_quotes_are_declined() -> None:
    """Decline a dollar book against a tether book: no parity is assumed."""
    usdt = an_instrument("coinbase", "BTC/USDT")
    world = World(instruments=(an_instrument("kraken"), usdt))
    world.line(KRAKEN)

    assert ["declined quote_mismatch"] == world.line(COINBASE)


def test_no_price_in_the_reporting_currency_is_declined() -> None:
    """Decline when limits in money cannot be measured: both books in tether, and no tether book in dollars."""
    world = World(instruments=(an_instrument("kraken", "BTC/USDT"), an_instrument("coinbase", "BTC/USDT")))
    world.line(KRAKEN)

    assert ["declined price_unknown"] == world.line(COINBASE)


def test_fee_unknown_is_declined() -> None:
    """Decline when the venue has not told our fees."""
    world = World()
    del world.engine.state.fees[world.instruments[VenueId("kraken")].id]
    world.line(KRAKEN)

    assert ["declined fee_unknown"] == world.line(COINBASE)


def test_edge_below_the_minimum_is_no_opportunity() -> None:
    """Decline an edge that fees eat up, with the exact number."""
    world = World()
    world.line("kraken book bid 100.0x2 ask 100.1x2")

    assert ["declined no_edge"] == world.line("coinbase book bid 100.3x1 ask 100.4x1")


@pytest.mark.parametrize("limit", ["loss_day", "drawdown"])
def test_losses_latch_until_a_person_resets_them(limit: str) -> None:
    """Latch on the realised loss, stay latched over a day's end, and open again only after reset-limit."""
    world = World(limits=RiskLimits(**{f"{limit}_max": Decimal(1)}))  # type: ignore[arg-type]
    world.line(KRAKEN)
    world.line(COINBASE)
    world.line("coinbase rejected other")
    world.line("kraken filled 1 @100.1")
    world.line("coinbase rejected other")
    said = world.line("kraken filled 1 @98.0")
    latched = [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, LimitLatched)]

    assert "flat -2.1" in said
    assert [(limit, Decimal("2.1"), Decimal(1))] == [(d.limit, d.value, d.bound) for d in latched]
    world.line("wait 90000s")
    assert [f"declined {limit}"] == world.line("kraken book bid 100.0x2 ask 100.1x2")
    world.line(f"operator reset_limit {limit}")
    assert world.line("kraken book bid 100.0x2 ask 100.1x2") == OPENED


def peg_world() -> World:
    """Return a world in which a venue's dollar book takes USDC, and USDC is off its peg."""
    usdc = an_instrument("kraken", "USDC/USD", tick_size=Decimal("0.0001"), price_decimals=4)
    world = World(
        instruments=(an_instrument("kraken"), an_instrument("coinbase"), usdc),
        registry=Registry(
            venues={COIN: VenueEntry(merged={Asset("USD"): (Asset("USDC"),)})},
            assets={Asset("USDC"): AssetEntry(peg="USD", issuer="circle")},
        ),
    )
    world.line("kraken book USDC/USD bid 0.9799x9 ask 0.9801x9")
    return world


def test_a_coin_off_its_peg_trips() -> None:
    """Decline a book that takes a coin off its peg for the dollar, and one in which the coin itself is traded."""
    world = peg_world()
    world.line(KRAKEN)
    assert [f"declined {Reason.MERGED_BOOK}"] == world.line(COINBASE)
    assert OPENED != world.line(COINBASE)

    coins = (an_instrument("kraken", "USDC/USD"), an_instrument("coinbase", "USDC/USD"))
    world = World(instruments=coins, registry=Registry(assets={Asset("USDC"): AssetEntry(peg="USD", issuer="circle")}))
    world.line(KRAKEN)
    assert [f"declined {Reason.DEPEGGED}"] == world.line(COINBASE)


def test_the_same_news_twice_trips() -> None:
    """Decline what was taken once at the level of news, and say when one large order holds the price."""
    for book, reason in (("ask 100.1x2 100.2x2", Reason.PRICE_IS_NEWS), ("ask 100.1x90 100.2x1", Reason.PRICE_PINNED)):
        world = World(news=NewsPolicy(edge_news_bps=Decimal(50)))
        world.line(KRAKEN)
        assert world.line(COINBASE) == OPENED
        world.line("kraken filled 1 @100.1")
        world.line("coinbase filled 1 @101")
        world.line("wait 1s")

        assert [f"declined {reason}"] == world.line(f"kraken book bid 100.0x2 {book}")


STAGES = {  # what is known of a first transfer of 1 BTC
    "asked for": (),
    "taken off the source": ("kraken holds BTC 8.999 USD 10000",),
    "broadcast": ("kraken withdrawal W1 1 fee 0.001 pending tx X to bc1-ours", "kraken holds BTC 8.999 USD 10000"),
    "arrived": (
        "kraken withdrawal W1 1 fee 0.001 done tx X to bc1-ours",
        "kraken holds BTC 8.999 USD 10000",
        "coinbase deposit D1 1 done tx X to bc1-ours",
        "coinbase holds BTC 11 USD 10000",
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_share_of_a_transfers_target_trips(stage: str) -> None:
    """Refuse a second transfer for all that would arrive with it, wherever the first one is counted meanwhile."""
    verdicts = []
    for limit in ("0.51", "0.509"):
        world = TransferWorld(limits=RiskLimits(counterparty_share_max=Decimal(limit)))
        world.line("ask 1 BTC kraken coinbase bitcoin")
        for line in ("sent", "accepted W1", *STAGES[stage]):
            world.line(line)
        verdicts.append(world.line("ask 1 BTC kraken coinbase bitcoin"))

    assert [["withdraw 1 from kraken to bc1-ours"], ["refused counterparty_share 0.5091 of 0.509"]] == verdicts


def test_every_limit_has_a_trip() -> None:
    """Name every field of RiskLimits in this file: a new limit needs its test."""
    with open(__file__, encoding="utf-8") as here:  # noqa: PTH123 - one read of ourselves
        text = here.read()
    by_reason = {"loss_day_max", "drawdown_max", "clock_skew_ms_max"}  # tripped through f-strings or events above
    fields = {field.name for field in msgspec.structs.fields(RiskLimits)} - by_reason

    assert {field for field in fields if f"{field}=" not in text and f'"{field}"' not in text} == set()
