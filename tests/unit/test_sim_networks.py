"""The chains between pretend venues: where money is at every moment, in virtual time."""

import random
from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.sim import chance
from arbot.sim.faults import FaultName, FaultPlan, parse_fault
from arbot.sim.fees import KRAKEN_TIERS
from arbot.sim.listing import instruments_of
from arbot.sim.model import TransferRefused, TransferStatus
from arbot.sim.networks import MINUTES, Chains
from arbot.sim.venue import SimVenue

D = Decimal
S = 1_000_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE


class World:
    """Two venues, the chains between them, and a clock that goes where it is told."""

    def __init__(self, *faults: str, seed: int = 7) -> None:
        self.now_ns = 0
        self.faults = FaultPlan(lambda name: chance.stream(seed, name))
        self.faults.arm([parse_fault(text) for text in faults], 0)
        self.chains = Chains(lambda name: chance.stream(seed, name), self.faults)
        self.venues = {}
        for name in ("here", "there"):
            instruments = instruments_of(name, "kraken", ("BTC/USD", "BTC/USDT"))
            venue = self.venues[name] = SimVenue(name, instruments, KRAKEN_TIERS, random.Random(name))
            venue.open_account("main", {"BTC": D(5), "USDT": D(1000)}, 0)
            self.chains.connect(venue)
        self.chains.advance(0)

    def send(self, address: str = "sim-there-btc-bitcoin-main", qty: str = "1", network: str = "bitcoin", asset="BTC"):
        """Withdraw from here."""
        return self.venues["here"].withdraw(
            "main", asset, D(qty), D("0.001"), self.now_ns, address=address, network=network
        )

    def run(self, duration_ns: int, step_ns: int = 10 * S) -> None:
        """Let time pass."""
        until_ns = self.now_ns + duration_ns
        while self.now_ns < until_ns:
            self.now_ns += step_ns
            self.chains.advance(self.now_ns)
            for venue in self.venues.values():
                venue.advance(self.now_ns)
                venue.check_invariants()

    def held(self, venue: str, asset: str = "BTC") -> Decimal:
        """Return what the account has."""
        return self.venues[venue].balances("main")[asset].total

    @property
    def fates(self) -> list[str]:
        """Return how each passage stands."""
        return [passage.fate for passage in self.chains.passages]


def test_a_transfer_leaves_is_confirmed_and_arrives_once():
    """Debited at once, confirmed half-way, credited at the end, with one transaction id."""
    world = World()
    sent = world.send()
    assert (D("3.999"), D(5)) == (world.held("here"), world.held("there"))
    world.run(20 * S)
    (passage,) = world.chains.passages
    (deposit,) = world.venues["there"].transfers("main", deposits=True)[-1:]
    assert (TransferStatus.SETTLED, TransferStatus.PENDING) == (sent.status, deposit.status)
    world.run(passage.delay_ns * 6 // 10)
    assert (TransferStatus.SUCCESS, TransferStatus.PENDING, D(5)) == (sent.status, deposit.status, world.held("there"))
    world.run(passage.delay_ns)
    assert (TransferStatus.SUCCESS, D(6), sent.txid) == (deposit.status, world.held("there"), deposit.txid)
    assert ["credited"] == world.fates


@pytest.mark.parametrize(
    ("address", "network", "asset"),
    [
        ("bc1-nobodys", "bitcoin", "BTC"),
        ("sim-there-usdt-ethereum-main", "tron", "USDT"),
        ("sim-there-btc-bitcoin-main", "ethereum", "USDT"),
    ],
)
def test_what_goes_to_nobody_is_gone(address, network, asset):
    """An unknown address, the right one on another network, or of another asset: the money never comes back."""
    world = World()
    before = world.held("there", asset)
    world.send(address, "10" if asset == "USDT" else "1", network, asset)
    world.run(12 * HOUR, MINUTE)
    assert ["lost"] == world.fates
    assert before == world.held("there", asset)


def test_an_unknown_network_is_refused():
    """A network the asset does not move on is refused before anything leaves."""
    world = World()
    with pytest.raises(TransferRefused, match="unknown_network"):
        world.send(network="tron")
    assert D(5) == world.held("here")


def test_delays_are_heavy_tailed_and_seeded():
    """Half of the delays are below the network's median, some are many times it, and the seed decides them all."""

    def delays(seed):
        world = World(seed=seed)
        for _ in range(400):
            world.send(qty="0.001")
        world.run(20 * S)
        return [passage.delay_ns for passage in world.chains.passages]

    first, again, other = delays(7), delays(7), delays(8)
    p50_ns, p99_ns = (round(minutes * MINUTE) for minutes in MINUTES["bitcoin"])
    assert first == again != other
    assert 150 < sum(delay < p50_ns for delay in first) < 250
    assert max(first) > p99_ns
    assert max(first) - p50_ns > 3 * (p50_ns - min(first))


@pytest.mark.parametrize(
    ("fault", "fate", "here", "there"),
    [
        ("transfer-stuck", "stuck", "3.999", "5"),
        ("transfer-returned", "returned", "5", "5"),
        ("credit-less:factor=0.5", "credited", "3.999", "5.5"),
        ("credit-twice:ms=1", "credited", "3.999", "6"),
        ("credit-twice:ms=999999999", "credited", "3.999", "7"),
        ("txid-replaced", "credited", "3.999", "6"),
        ("transfer-stuck:asset=ETH", "credited", "3.999", "6"),
        ("transfer-stuck:network=tron", "credited", "3.999", "6"),
    ],
)
def test_each_fault_ends_as_it_says(fault, fate, here, there):
    """Every fault of a passage leaves exactly the balances it should."""
    world = World(fault)
    world.send()
    world.run(12 * HOUR, MINUTE)
    assert ([fate], D(here), D(there)) == (world.fates, world.held("here"), world.held("there"))


def test_congestion_stretches_the_same_delay():
    """With the same luck a jammed chain takes as many times as long as it is told to."""
    plain, jammed = World(), World("congestion:factor=20")
    for world in (plain, jammed):
        world.send()
        world.run(20 * S)
    ratio = jammed.chains.passages[0].delay_ns / plain.chains.passages[0].delay_ns
    assert 19.99 < ratio < 20.01


def test_a_closed_wallet_credits_when_it_opens():
    """What arrives while deposits are closed waits, and is credited afterwards."""
    world = World("wallet-closed:venue=there,asset=BTC,ms=86400000")
    world.send()
    world.run(23 * HOUR, MINUTE)
    assert D(5) == world.held("there")
    world.run(2 * HOUR, MINUTE)
    assert D(6) == world.held("there")


def test_a_replaced_transaction_has_another_id_at_both_ends():
    """The source and the target show the new id."""
    world = World("txid-replaced")
    sent = world.send()
    world.run(20 * S)
    first = sent.txid
    world.run(12 * HOUR, MINUTE)
    (deposit,) = world.venues["there"].transfers("main", deposits=True)[-1:]
    assert first != sent.txid == deposit.txid


def test_a_reversal_waits_for_the_money():
    """A credit is taken back only when the account can pay it: a balance never falls below zero."""
    world = World("credit-twice:ms=7200000")
    world.send()
    while world.held("there") < 7:
        world.run(MINUTE, MINUTE)
    world.venues["there"].adjust("main", "BTC", D("-6.5"), world.now_ns)
    world.run(4 * HOUR, MINUTE)
    assert D("0.5") == world.held("there")
    world.venues["there"].adjust("main", "BTC", D(1), world.now_ns)
    world.run(MINUTE)
    assert D("0.5") == world.held("there")


def test_standing_faults_hold_for_their_time():
    """A standing fault begins and ends by the clock, and is counted once."""
    world = World("withdrawals-frozen:venue=here,at_ms=60000,ms=60000", "maintenance:venue=here,at_ms=0,ms=30000")
    here = world.venues["here"]
    seen = []
    for _ in range(13):
        seen.append((here.is_frozen(), here.status_word()))
        world.run(10 * S)
    assert [6, 12] == [at for at in range(1, 13) if seen[at][0] != seen[at - 1][0]]
    assert ["maintenance"] * 3 + ["online"] * 10 == [word for _, word in seen]
    assert {"withdrawals-frozen@here": 1, "maintenance@here": 1} == world.faults.hits()


def test_faults_of_transfers_are_written_like_all_others():
    """Asset, network and factor are keys of a fault; a factor of nothing is a mistake."""
    fault = parse_fault("credit-less:venue=there,asset=BTC,network=bitcoin,factor=0.98")
    assert (FaultName.CREDIT_LESS, "BTC", "bitcoin", 0.98) == (fault.name, fault.asset, fault.network, fault.factor)
    with pytest.raises(UserError, match="factor"):
        parse_fault("congestion:factor=0")
