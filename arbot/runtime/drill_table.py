"""The exercises of `arbot drill`: one row for each limit and each reason that can stop or undo an arb.

NOT_DRILLED names the reasons that cannot be provoked on the pretend venues, and why; a test compares both with the
engine's own lists, so that a new limit without an exercise is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arbot.domain.decisions import (
    ArbStranded,
    LimitLatched,
    OpportunityDeclined,
    OrderRefused,
    Reason,
    TransferMoved,
    TransferRefused,
    VenueHealthChanged,
)
from arbot.domain.events import TransferRequested, Verb
from arbot.domain.ids import VenueId
from arbot.domain.transfer import Network, TransferState
from arbot.runtime.drill import Deed, Exercise

_LEG2 = ("leg2-reject:rate=1.0",)
_NO_HEDGE = {"hedge_loss_max": "0.01", "hedge_slippage_bps": 100}  # at its worst price each would lose more than a cent
_SLOW = ("latency:ms=800",)
_KRAKEN = {"balances": {"USD": "100000", "BTC": "2"}}
_SMALL = {"balances": {"USD": "2000", "BTC": "0.03"}}
_POLLED = {name: {"adapter": name, "poll_interval_ms": 500} for name in ("kraken", "coinbase")}


def declined(reason: Reason) -> Callable[[object], bool]:
    """Return a test for an opportunity that was declined for this reason."""
    return lambda one: isinstance(one, OpportunityDeclined) and one.reason is reason


def refused(reason: Reason) -> Callable[[object], bool]:
    """Return a test for a reducing order that our own risk stopped for this reason."""
    return lambda one: isinstance(one, OrderRefused) and one.reason is reason


def transfer_refused(reason: Reason) -> Callable[[object], bool]:
    """Return a test for a transfer that was refused for this reason."""
    return lambda one: isinstance(one, TransferRefused) and one.reason is reason


def latched(reason: Reason) -> Callable[[object], bool]:
    """Return a test for a limit that latched."""
    return lambda one: isinstance(one, LimitLatched) and one.limit == reason.value


def stranded(one: object) -> bool:
    """Return whether an arb was left for a person."""
    return isinstance(one, ArbStranded)


def failed_transfer(one: object) -> bool:
    """Return whether a transfer of ours was given up before anything left."""
    return isinstance(one, TransferMoved) and one.after is TransferState.FAILED


def quarantined(one: object) -> bool:
    """Return whether a venue was put into quarantine."""
    return isinstance(one, VenueHealthChanged) and one.is_quarantined


def _limit(reason: Reason, how: str, faults: tuple[str, ...] = (), **limits: object) -> Exercise:
    return Exercise(reason.value, how, declined(reason), {"limits": limits}, faults)


def _operator(reason: Reason, verb: Verb, faults: tuple[str, ...] = ()) -> Exercise:
    return Exercise(
        reason.value, f"the operator says {verb.value}", declined(reason), faults=faults, deeds=(Deed(0.5, verb),)
    )


_SWINGS = tuple(  # whichever leg stands alone, and since when: one of them goes against it
    Deed(after_s, lever="shock", body={"base": "BTC", "bps": bps})
    for after_s, bps in ((12.0, -500), (20.0, 1_000), (28.0, -1_000), (36.0, 1_000))
)


def _closed(status: str) -> Deed:
    return Deed(0.5, lever="status", body={"venue": "coinbase", "symbol": "BTC/USD", "status": status})


_EVERY_DAY = [
    {
        "venue": "kraken",
        "starts_at": f"2026-01-0{day}T00:00:00Z",
        "ends_at": f"2026-01-0{day}T00:01:00Z",
        "weekly": True,
    }
    for day in range(1, 8)
]
_STABLE: Mapping[str, Mapping[str, Any]] = {
    "run": {"symbols": ["BTC/USD", "BTC/USDT", "USDT/USD"]},
    "strategy": {
        "name": "strategies.stablecoin",
        "params": {"edge_net_bps_min": "2", "coins": ["USDT"], "look_ms": 50},
    },
    "paper": {
        "venues": {
            name: {"balances": {"USD": "100000", "BTC": "2", "USDT": "100000"}, "maker_bps": "1", "taker_bps": "3"}
            for name in ("kraken", "coinbase")
        }
    },
}
_ONE_OF_EACH = """
[venues.kraken]
banks = ["the-bank"]
custodian = "the-custodian"
cloud = "the-cloud"

[venues.coinbase]
banks = ["the-bank"]
custodian = "the-custodian"
cloud = "the-cloud"
"""
_MOVE = TransferRequested(
    source=VenueId("kraken"), target=VenueId("coinbase"), asset="BTC", network=Network("bitcoin"), qty=Decimal("0.01"),
    actor="drill", is_confirmed=True,
)  # fmt: skip
_QUICK = """
[networks.bitcoin]
chain = "bitcoin"
names = { kraken = "Bitcoin", coinbase = "bitcoin" }
minutes_p50 = "0.005"
minutes_p99 = "0.01"
"""
_LARGE = msgspec.structs.replace(_MOVE, qty=Decimal("0.1"))
_ALLOW = [
    {
        "venue": "coinbase",
        "asset": "BTC",
        "network": "bitcoin",
        "address": "sim-coinbase-btc-bitcoin-main",
        "key": "coinbase-btc",
    }
]


_HOME = {"venue": "kraken", "address": "sim-kraken-btc-bitcoin-main", "key": "kraken-btc"}


def _transfers(*, registry: bool = False, **table: Any) -> dict[str, dict[str, Any]]:
    """Return settings in which money may move; `table` is laid over [transfers]."""
    own = {"exposure": {"registry": "registry.toml"}} if registry else {}
    return {
        "transfers": {"enabled": True, "allow": _ALLOW} | table,
        "venues": _POLLED,
        "sim": {"chain_speed": 600},
        **own,
    }


def _transfer(reason: Reason, how: str, faults: tuple[str, ...] = (), **changes: Any) -> Exercise:
    """Return the exercise of a transfer that is asked for and refused; `changes` are of the transfer or of [transfers]."""
    asked = {name: value for name, value in changes.items() if name in TransferRequested.__struct_fields__}
    table = {name: value for name, value in changes.items() if name not in asked}
    deed = Deed(6.0, transfer=msgspec.structs.replace(_MOVE, **asked))
    return Exercise(reason.value, how, transfer_refused(reason), _transfers(**table), faults, (deed,))


_TRANSFERS = (
    _transfer(Reason.TRANSFERS_OFF, "transfers are off", enabled=False),
    _transfer(Reason.NOT_ALLOW_LISTED, "no address on the allow-list", allow=[_ALLOW[0] | _HOME]),
    _transfer(Reason.CONFIRMATION_NEEDED, "more than 10 needs a second yes", confirm_above=10, is_confirmed=False),
    _transfer(Reason.TRANSIT_VALUE, "no more than 10 may be in flight", transit_network_max=10),
    _transfer(Reason.NETWORK_MISMATCH, "an address on another network", allow=[_ALLOW[0] | {"network": "lightning"}]),
    _transfer(Reason.DEPOSITS_CLOSED, "Coinbase takes no coin now", ("wallet-closed:venue=coinbase",)),
    _transfer(Reason.BELOW_MINIMUM, "a satoshi is too little", qty=Decimal("0.00000001")),
    _transfer(
        Reason.TRANSFER_REPEATED, "a second withdrawal before the first has a name", ("withdraw-timeout",)
    )._replace(deeds=(Deed(6.0, transfer=_MOVE), Deed(6.5, transfer=_MOVE))),
    _transfer(Reason.VENUE_QUARANTINED, "Coinbase is in quarantine, and nothing more goes there")._replace(
        limit="quarantined_target", deeds=(Deed(5.0, Verb.QUARANTINE, "coinbase"), Deed(6.0, transfer=_MOVE))
    ),
    Exercise(
        "address_changed",
        "Coinbase has given out other addresses",
        failed_transfer,
        _transfers(),
        ("address-rotated:venue=coinbase",),
        (Deed(6.0, transfer=_MOVE),),
    ),
    Exercise(
        "transfer_overdue",
        "a transfer never arrives, and nearly all take less than a second",
        declined(Reason.TRANSFER_OVERDUE),
        _transfers(registry=True),
        ("transfer-stuck",),
        (Deed(6.0, transfer=_MOVE),),
        {"registry.toml": _QUICK},
        seconds=90.0,
    ),
    Exercise(
        "chain_exposure",
        "a hundredth of capital may be in flight on one chain",
        declined(Reason.CHAIN_EXPOSURE),
        {
            **_transfers(transit_network_max=100_000, transit_total_max=100_000, confirm_above=100_000),
            "exposure": {"chain_share_max": "0.01"},
        },
        ("transfer-stuck",),
        (Deed(6.0, transfer=_LARGE),),
    ),
)

EXERCISES: tuple[Exercise, ...] = (
    # how much
    _limit(Reason.NOTIONAL_PER_ARB, "an arb may be worth no more than 1", notional_per_arb_max=1),
    _limit(Reason.INVENTORY, "no more than 2,000 of an asset at a venue", inventory_notional_max=2_000),
    Exercise(
        "balance_short",
        "there is no coin at Coinbase to sell",
        declined(Reason.BALANCE_SHORT),
        {"paper": {"venues": {"coinbase": {"balances": {"USD": "100000", "BTC": "0"}}, "kraken": _KRAKEN}}},
    ),
    Exercise(
        "arbs_open",
        "one arb at a time, two symbols, and answers that take 0.8 s",
        declined(Reason.ARBS_OPEN),
        {"limits": {"arbs_open_max": 1}, "run": {"symbols": ["BTC/USD", "DOGE/USD"]}},
        _SLOW,
        seconds=90.0,
    ),
    _limit(Reason.ORDER_RATE, "three orders a minute are too few for a leg and its hedges", orders_per_minute_max=3),
    Exercise(
        "cool_down",
        "a route rests for a minute after an arb",
        declined(Reason.COOL_DOWN),
        {"execution": {"cool_down_ms": 60_000}},
    ),
    # what may be believed
    Exercise(
        "too_good_to_be_true",
        "an edge above 1 bps is not believed",
        declined(Reason.TOO_GOOD_TO_BE_TRUE),
        {"limits": {"edge_gross_bps_max": 1}, "news": {"edge_news_bps": 1, "mid_news_bps": 1}},
    ),
    _limit(Reason.BOOK_AGE_RECV, "a book is old after 50 ms of silence", book_age_recv_ms_max=50),
    _limit(Reason.BOOK_AGE_VENUE, "a book is old after 50 ms without a change", book_age_venue_ms_max=50),
    _limit(Reason.BOOK_SKEW, "two books may be 5 ms apart", book_skew_ms_max=5),
    Exercise(
        "no_edge",
        "an arb has to earn 400 bps",
        declined(Reason.NO_EDGE),
        {"strategy": {"params": {"edge_net_bps_min": "400"}}},
    ),
    Exercise(
        "clock_skew",
        "clocks may be 50 ms apart, and requests take 700 ms to arrive",
        declined(Reason.CLOCK_SKEW),
        {"limits": {"clock_skew_ms_max": 50}},
        ("latency:ms=700",),
    ),
    Exercise(
        "quote_mismatch",
        "books in dollars beside books in tether",
        declined(Reason.QUOTE_MISMATCH),
        {"run": _STABLE["run"], "paper": _STABLE["paper"]},
    ),
    Exercise(
        "fee_unknown",
        "venues tell their fees after their instruments, and answers take 700 ms",
        declined(Reason.FEE_UNKNOWN),
        faults=("latency:ms=700",),
    ),
    # losses
    Exercise(
        "hedge_loss",
        "a hedge may lose a cent, and every second leg is refused",
        refused(Reason.HEDGE_LOSS),
        {"execution": _NO_HEDGE | {"hedge_seconds_max": 5}},
        _LEG2,
    ),
    Exercise(
        "loss_day",
        "a day may lose 2; a leg is left alone, and prices go up and down by 5 percent and more",
        latched(Reason.LOSS_DAY),
        {"limits": {"loss_day_max": 2}, "execution": _NO_HEDGE | {"hedge_seconds_max": 5}, "venues": _POLLED},
        _LEG2,
        _SWINGS,
        seconds=90.0,
    ),
    Exercise(
        "drawdown",
        "profit may fall by 1 from its peak; likewise",
        latched(Reason.DRAWDOWN),
        {"limits": {"drawdown_max": 1}, "execution": _NO_HEDGE | {"hedge_seconds_max": 5}, "venues": _POLLED},
        _LEG2,
        _SWINGS,
        seconds=90.0,
    ),
    Exercise(
        "stranded",
        "a residual may be worked for 5 s at a cent of loss",
        stranded,
        {"execution": _NO_HEDGE | {"hedge_seconds_max": 5}},
        _LEG2,
        seconds=90.0,
    ),
    Exercise(
        "hedge_tries_max",
        "a residual gets one order, and there is no venue to take it",
        stranded,
        {"execution": {"hedge_tries_max": 1}},
        ("leg2-reject:rate=1.0", "latency:ms=300"),
        seconds=90.0,
    ),
    Exercise(
        "net_delta",
        "what one arb left alone is all that may be open",
        declined(Reason.NET_DELTA),
        {
            "limits": {"net_delta_notional_max": 2000, "arbs_open_max": 5},
            "execution": _NO_HEDGE | {"hedge_seconds_max": 15},
        },
        _LEG2,
        seconds=90.0,
    ),
    # venues
    Exercise(
        "instrument_closed",
        "Coinbase takes cancels only",
        declined(Reason.INSTRUMENT_CLOSED),
        {"venues": _POLLED},
        deeds=(_closed("cancel_only"),),
    ),
    Exercise(
        "venue_not_ready",
        "Kraken's sockets are closed every second",
        declined(Reason.VENUE_NOT_READY),
        faults=("ws-cut:venue=kraken,at_ms=4000,every_ms=1000",),
    ),
    Exercise(
        "not_reconciled",
        "5 dollars appear at Coinbase that nobody explains",
        declined(Reason.NOT_RECONCILED),
        {"venues": _POLLED},
        deeds=(Deed(0.5, lever="adjust", body={"venue": "coinbase", "asset": "USD", "amount": "5"}),),
    ),
    # the steamroller
    Exercise(
        "stress_budget",
        "a gap of the market may cost a cent",
        declined(Reason.STRESS_BUDGET),
        {"risk": {"budget_max": "0.01"}},
    ),
    *(
        Exercise(
            f"{kind}_loss_share",
            f"{words} may cost a hundredth of capital",
            declined(Reason.STRESS_BUDGET),
            {
                **(_STABLE if kind == "issuer" else {}),
                "risk": {f"{kind}_loss_share_max": "0.01"},
                **({} if kind in {"venue", "issuer"} else {"exposure": {"registry": "registry.toml"}}),
            },
            files={} if kind in {"venue", "issuer"} else {"registry.toml": _ONE_OF_EACH},
        )
        for kind, words in (
            ("venue", "a lost venue"),
            ("issuer", "an issuer's depeg"),
            ("bank", "a lost bank"),
            ("custodian", "a lost custodian"),
        )
    ),
    Exercise(
        "cloud_loss_share",
        "an hour without a cloud may cost a ten-thousandth of capital",
        declined(Reason.STRESS_BUDGET),
        {
            "risk": {"cloud_loss_share_max": "0.0001", "outage_bps": 10_000},
            "limits": {"notional_per_arb_max": 5_000},
            "paper": {"venues": {"kraken": _SMALL, "coinbase": _SMALL}},
        },
    ),
    Exercise(
        "tail_unpaid",
        "half of all legs are believed to fail",
        declined(Reason.TAIL_UNPAID),
        {"risk": {"leg_fail_prior": "0.5", "unwind_bps_prior": "400"}},
    ),
    _limit(Reason.COUNTERPARTY_SHARE, "a tenth of capital may be at one venue", counterparty_share_max="0.1"),
    Exercise(
        "price_is_news",
        "a gap of 2 bps is news",
        declined(Reason.PRICE_IS_NEWS),
        {"news": {"edge_news_bps": 2, "mid_news_bps": 1}},
    ),
    Exercise(
        "price_pinned",
        "a gap of 2 bps is news, and half of the depth is one large order",
        declined(Reason.PRICE_PINNED),
        {"news": {"edge_news_bps": 2, "mid_news_bps": 1, "pin_share": "0.2"}},
    ),
    Exercise(
        "venue_quarantined",
        "Kraken calls itself closed for maintenance",
        quarantined,
        {"venues": _POLLED},
        deeds=(Deed(0.5, lever="system", body={"venue": "kraken", "status": "maintenance"}),),
    ),
    Exercise(
        "quarantine",
        "somebody puts Coinbase into quarantine",
        declined(Reason.VENUE_QUARANTINED),
        deeds=(Deed(0.5, Verb.QUARANTINE, "coinbase"),),
    ),
    Exercise(
        "release",
        "Coinbase was in quarantine by hand, is released, and no withdrawal has been seen to work since",
        declined(Reason.COUNTERPARTY_SHARE),
        deeds=(Deed(0.5, Verb.QUARANTINE, "coinbase"), Deed(1.5, Verb.RELEASE, "coinbase")),
    ),
    Exercise(
        "unanswered_share",
        "a tenth of its answers may be missing",
        quarantined,
        {"health": {"unanswered_share_max": "0.1", "orders_min": 3}},
        ("request-lost:rate=0.5,every_ms=100",),
        seconds=90.0,
    ),
    Exercise(
        "ack_ms",
        "its answers may take 100 ms, and they take 300",
        quarantined,
        {"health": {"ack_ms_mean_max": 100, "ack_ms_tail_max": 100, "orders_min": 3}},
        ("latency:ms=300",),
    ),
    Exercise(
        "drops",
        "its streams may be lost once in ten minutes",
        quarantined,
        {"health": {"drops_max": 1}},
        ("ws-cut:venue=kraken,at_ms=4000,every_ms=2000",),
    ),
    Exercise(
        "withdrawals_closed",
        "nothing leaves Coinbase",
        declined(Reason.WITHDRAWALS_CLOSED),
        {"venues": _POLLED},
        ("wallet-closed:venue=coinbase",),
    ),
    Exercise(
        "maintenance",
        "a maintenance is announced for every day, and a day before one nothing is opened",
        declined(Reason.MAINTENANCE),
        {"health": {"maintenance_lead_s": 86_400, "maintenance": _EVERY_DAY}},
    ),
    Exercise(
        "depegged",
        "tether falls by 5 percent on all venues",
        declined(Reason.DEPEGGED),
        _STABLE,
        deeds=(Deed(1.0, lever="shock", body={"base": "USDT", "bps": -500}),),
    ),
    Exercise(
        "issuer_exposure",
        "a tenth of capital may be in coins of one issuer",
        declined(Reason.ISSUER_EXPOSURE),
        {**_STABLE, "exposure": {"issuer_share_max": "0.1"}},
    ),
    *(
        Exercise(
            f"{kind}_exposure",
            f"both venues stand on one {kind}, which may carry a tenth of capital",
            declined(Reason(f"{kind}_exposure")),
            {"exposure": {f"{kind}_share_max": "0.1", "registry": "registry.toml"}},
            files={"registry.toml": _ONE_OF_EACH},
        )
        for kind in ("bank", "custodian", "cloud")
    ),
    # money under way
    *_TRANSFERS,
    # people
    _operator(Reason.PAUSED, Verb.PAUSE),
    _operator(Reason.KILLED, Verb.KILL),
    _operator(Reason.DRAINING, Verb.DRAIN, _SLOW),
)

_QUOTES = "it pulls or keeps back a resting order; the scenario table of quotes trips it"
NOT_DRILLED: Mapping[str, str] = {
    "reject_share": "no pretend venue refuses sound orders; the scenario table of venue health trips it",
    Reason.BOOK_NOT_TRADABLE: "a book that failed its checks wakes nobody here; the scenario table of limits trips it",
    Reason.BALANCE_UNKNOWN: "the pretend venues always tell their balances",
    Reason.PRICE_UNKNOWN: "the pretend market prices every asset it lists",
    Reason.RATE_BUDGET: "a pretend account of the lowest tier would have to trade for minutes",
    Reason.MERGED_BOOK: "no pretend venue merges books; the scenario table of pegs trips it",
    Reason.NETWORK_FEE: "the pretend chains keep their fees; the scenario table of transfers trips it",
    Reason.TERMS_UNKNOWN: "the pretend venues tell what they take; the scenario table of transfers trips it",
    Reason.TAG_MISSING: "settings without the tag do not start; the scenario table of transfers trips it",
    Reason.WOULD_TAKE: _QUOTES,
    Reason.HEDGE_SHORT: _QUOTES,
    Reason.HEDGE_FAILED: _QUOTES,
    Reason.HEDGES_SPENT: _QUOTES,
    Reason.OWN_ORDER: _QUOTES,
    Reason.QUOTE_MOVED: _QUOTES,
    Reason.QUOTE_UNWANTED: _QUOTES,
}
