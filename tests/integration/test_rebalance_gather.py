"""A situation comes from the journal's newest words, our own fills, what is under way, and the daemon's books."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.domain.commands import SubmitTransfer
from arbot.domain.decisions import Outcome, TransferMoved
from arbot.domain.errors import UserError
from arbot.domain.events import (
    AccountSnapshotReceived,
    FeesLoaded,
    InstrumentsLoaded,
    NetworksReported,
    TimerFired,
)
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.transfer import ApprovedTransfer, NetworkTerms, TransferIntent, TransferState
from arbot.domain.units import Amount
from arbot.journal.queries import StoredFill
from arbot.journal.store import SqlStore
from arbot.settings.load import parse
from arbot.settings.model import Settings
from arbot.treasury.gather import gather
from arbot.treasury.plan import make
from arbot.treasury.problem import Situation
from arbot.treasury.told import learned
from tests.support.accounting import T0_NS, Scribe, a_fill, an_intent, opened, order_name
from tests.support.stores import a_run

D = Decimal
HOUR_NS = 3_600_000_000_000
VENUES = {"kraken": ("2.5", "80000"), "coinbase": ("0.5", "90000")}


def config(tmp_path: Path) -> Settings:
    """Return a config that allows bitcoin to be sent to coinbase."""
    entry = {"venue": "coinbase", "asset": "BTC", "network": "bitcoin", "address": "bc1q", "key": "cb"}
    document = {
        "run": {"name": "t", "mode": "demo", "symbols": ["BTC/USD"], "state_dir": str(tmp_path)},
        "venues": {name: {"adapter": name} for name in VENUES},
        "paper": {"venues": {name: {"balances": {"USD": 1}} for name in VENUES}},
        "transfers": {"enabled": True, "allow": [entry], "transit_network_max": 100_000, "transit_total_max": 100_000},
        "rebalance": {"missed_bps_per_h": "2", "shares": {"kraken": {"BTC": "0.6"}}},
    }
    return parse(document, base=tmp_path)


def instrument(venue: str) -> Instrument:
    """Return bitcoin in dollars at a venue."""
    return Instrument(
        id=f"BTC/USD@{venue}",
        venue=venue,
        symbol="BTC/USD",
        venue_symbol="BTC/USD",
        base="BTC",
        quote="USD",
        tick_size=D("0.1"),
        qty_step=D("0.00000001"),
        price_decimals=1,
        qty_decimals=8,
        qty_min=D("0.0001"),
    )


def terms(can_withdraw: bool = True, fee: str = "0.0001") -> tuple[NetworkTerms, ...]:
    """Return what a venue says of bitcoin."""
    return (
        NetworkTerms(
            asset="BTC", network="bitcoin", can_deposit=True, can_withdraw=can_withdraw, fee=D(fee), qty_min=D("0.001")
        ),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Open a store in which both venues have told everything, and an arb has traded."""
    opened_store = a_run(f"sqlite:///{tmp_path}/arbot.sqlite")
    scribe = Scribe()
    for venue, (btc, usd) in VENUES.items():
        snapshot = AccountSnapshotReceived(
            venue=venue, balances=(Balance(asset="BTC", total=D(btc)), Balance(asset="USD", total=D(usd)))
        )
        told = (
            InstrumentsLoaded(venue=venue, instruments=(instrument(venue),)),
            FeesLoaded(venue=venue, fees=(FeeRate(instrument=f"BTC/USD@{venue}", maker=D("0.001"), taker=D("0.002")),)),
            NetworksReported(venue=venue, networks=terms(fee="0.5")),
            NetworksReported(venue=venue, networks=terms()),
            snapshot,
        )
        opened_store.commit([scribe.record(event) for event in told])
    legs = [
        an_intent(1, leg, venue=venue, instrument=f"BTC/USD@{venue}", side=side)
        for leg, (venue, side) in enumerate((("coinbase", Side.BUY), ("kraken", Side.SELL)))
    ]
    opened_store.commit([scribe.record(TimerFired(key=""), opened(*legs))])
    opened_store.commit([
        scribe.filled(
            client_order_id=order_name(1, leg), venue=venue, instrument=f"BTC/USD@{venue}", side=side,
            trade_id=f"T-{leg}", venue_order_id=f"O-{leg}", price=D(price), fee=Amount(D(1), "USD"),
        )
        for leg, (venue, side, price) in enumerate((("coinbase", Side.BUY, 60_000), ("kraken", Side.SELL, 60_100)))
    ])  # fmt: skip
    yield opened_store
    opened_store.close()


def gathered(store: SqlStore, tmp_path: Path) -> Situation:
    """Return the situation two hours after the start, without a daemon."""
    return gather(config(tmp_path), store, None, targets=(), now_ns=T0_NS + 2 * HOUR_NS)


def test_the_newest_word_of_each_venue_counts(store: SqlStore, tmp_path: Path) -> None:
    """Take networks, fees and steps as told last, the ledger's balances and our last prices, and plan with them."""
    found = gathered(store, tmp_path)
    holdings = {(one.venue, one.asset): one.qty for one in found.holdings}
    allowed = {(one.source, one.target): one.is_allowed for one in found.routes}

    assert D("2.4") == holdings["kraken", "BTC"]
    assert {D("0.0001")} == {one.fee for one in found.routes}
    assert {("kraken", "coinbase"): True, ("coinbase", "kraken"): False} == allowed
    assert {D(60_000), D(60_100)} == {one.bid for one in found.markets}
    assert D("0.6") == found.policy.shares["kraken"]["BTC"]
    assert any("our last price of 60100" in note for note in found.notes)
    assert [("BTC", "bitcoin")] == [
        (step.asset, step.network) for step in make(msgspec.structs.replace(found, rebounds=())).steps
    ]


def test_what_arbs_carried_is_learned(store: SqlStore, tmp_path: Path) -> None:
    """Count value an hour from the venue that sold to the venue that bought, and what it earned."""
    (rebound,) = gathered(store, tmp_path).rebounds

    assert ("BTC", "kraken", "coinbase") == (rebound.asset, rebound.source, rebound.target)
    assert D("3002.5") == round(rebound.value_per_h, 3)
    assert rebound.cost_bps < 0


def test_a_transfer_under_way_is_found(store: SqlStore, tmp_path: Path) -> None:
    """Count our own transfer at its target until it is credited, and see that it is stuck."""
    intent = TransferIntent(
        transfer="1-t1", source="kraken", target="coinbase", asset="BTC", network="bitcoin", address="bc1q",
        qty=D("0.4"), requested_ts_ns=T0_NS, actor="me",
    )  # fmt: skip
    news = TransferMoved(transfer="1-t1", before=TransferState.REQUESTED, after=TransferState.STUCK, qty_sent=D("0.4"))
    scribe = Scribe()
    scribe.step = 100
    begun = Outcome((SubmitTransfer(approved=ApprovedTransfer(intent, ("all",))),), (news,))
    store.commit([scribe.record(TimerFired(key=""), begun)])
    (transit,) = gathered(store, tmp_path).transits

    assert ("coinbase", D("0.4"), True) == (transit.target, transit.qty, transit.is_stuck)


def test_old_words_on_networks_are_noted(store: SqlStore, tmp_path: Path) -> None:
    """Say how old a venue's word is when the daemon would no longer believe it."""
    found = gathered(store, tmp_path)

    assert any("kraken told of its networks 119 min ago" in note for note in found.notes)


def test_an_empty_store_is_told(tmp_path: Path) -> None:
    """Say what to do when no venue has told anything."""
    empty = a_run(f"sqlite:///{tmp_path}/arbot.sqlite")
    try:
        with pytest.raises(UserError, match="no venue has told any"):
            gathered(empty, tmp_path)
    finally:
        empty.close()


def test_what_capital_earned_is_what_waiting_misses() -> None:
    """Learn what money misses from twenty arbs, and nothing from fewer."""
    worth = {"BTC": D(60_000), "USD": D(1)}

    def stored(number: int, side: Side, price: int) -> StoredFill:
        venue = "coinbase" if side is Side.BUY else "kraken"
        fill = a_fill(venue=venue, side=side, price=D(price), fee=Amount(D(0), "USD"))
        return StoredFill(
            seq=number, ts_ns=T0_NS, arb_id=f"1-{number}", purpose=None, fill=msgspec.structs.replace(fill)
        )

    fills = [
        stored(number, side, price) for number in range(20) for side, price in ((Side.BUY, 60_000), (Side.SELL, 60_100))
    ]
    many = learned(fills, worth, capital=D(100_000), now_ns=T0_NS + 10 * HOUR_NS)
    few = learned(fills[:38], worth, capital=D(100_000), now_ns=T0_NS + 10 * HOUR_NS)

    assert D("2") == many.missed_bps_per_h  # 20 arbs x 10 USD in 10 h on 100,000
    assert D(0) == few.missed_bps_per_h
    assert D(12_000) == many.rebounds[0].value_per_h
