"""What a replay assumes of each venue: from the config file to three modelled worlds."""

from __future__ import annotations

import random
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.backtest.result import Scenario
from arbot.backtest.scenario import balances, funding, measured_venues, models
from arbot.domain.errors import InvariantBroken, UserError
from arbot.settings.load import parse
from arbot.sim.fees import KRAKEN_TIERS
from arbot.sim.latency import Delay, FixedDelay, LognormalDelay, SampledDelay, sampled, slowed

D = Decimal
MS = 1_000_000

TEXT = """\
[run]
name = "test"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
request_timeout_ms = 3000
[venues.bitfinex]
adapter = "ccxt:bitfinex"
[paper.venues.kraken]
balances = { USD = 1000, BTC = "0.5" }
[paper.venues.bitfinex]
balances = { USD = 3000 }
taker_bps = 20
maker_bps = 10
"""


def settings(added="", text=TEXT):
    return parse(tomllib.loads(text + added, parse_float=D), base=Path("/nowhere"))


def model(scenario, venue="kraken", added="", measured=()):
    return models(settings(added), scenario, dict(measured))[venue]


def test_the_realistic_world_is_as_configured():
    """Latency, shares and limits come from [backtest], the time-out from the venue, and nobody competes."""
    found = model(Scenario.REALISTIC, added="[backtest]\nreject_share = 0.02\norders_burst = 5\n")
    assert (60 * MS, 250 * MS, 30 * MS) == (
        found.request.at_ns(0.5),
        round(found.request.at_ns(0.99), -3),
        found.answer.at_ns(0.7),
    )
    assert (0.02, 0.001, 5, 3000) == (
        found.reject_share,
        found.timeout_share,
        found.limit.burst,
        found.request_timeout_ms,
    )
    assert (D(1), 0.0, True) == (found.depth_share, found.rival_share, found.consumes)


def test_a_venue_may_differ():
    """What [backtest.venues.<name>] says holds there, and [backtest] elsewhere."""
    added = "[backtest.venues.bitfinex]\nlatency = 'fixed'\nrequest_ms = 200\norders_per_second = 1\n"
    found = models(settings(added), Scenario.REALISTIC, {})
    assert FixedDelay(ms=200.0) == found["bitfinex"].request
    assert LognormalDelay(p50_ms=60.0, p99_ms=250.0) == found["kraken"].request
    assert (D(1), D(10)) == (found["bitfinex"].limit.per_second, found["kraken"].limit.per_second)


def test_the_naive_world_is_instant_and_endless():
    """Nothing takes time, nothing is refused, limited or lost, and depth comes back; fees are paid all the same."""
    naive, real = model(Scenario.NAIVE), model(Scenario.REALISTIC)
    assert (0, 0) == (naive.request.at_ns(0.99), naive.answer.at_ns(0.99))
    assert (0.0, 0.0, None, False) == (naive.reject_share, naive.timeout_share, naive.limit, naive.consumes)
    assert real.fees == naive.fees


def test_the_pessimistic_world_is_worse_in_every_way():
    """Every delay is stretched at every draw, refusals are multiplied, and rivals take their share."""
    added = "[backtest]\nlatency_factor = 4\nreject_factor = 300\ndepth_share = 0.3\nrival_share = 0.1\n"
    bad, real = model(Scenario.PESSIMISTIC, added=added), model(Scenario.REALISTIC, added=added)
    for luck in (0.01, 0.5, 0.999):
        assert 4 * real.request.at_ns(luck) == bad.request.at_ns(luck)
        assert 4 * real.answer.at_ns(luck) == bad.answer.at_ns(luck)
    assert (1.0, 0.3) == (bad.reject_share, pytest.approx(bad.timeout_share))
    assert (D("0.3"), 0.1, real.fees, real.limit) == (bad.depth_share, bad.rival_share, bad.fees, bad.limit)


def test_fees_are_fixed_or_by_the_venues_own_table():
    """What the file says of fees holds; else the venue's public table, from the volume the account starts with."""
    found = models(settings("[backtest.venues.kraken]\nvolume_opening = 60000\n"), Scenario.REALISTIC, {})
    assert (KRAKEN_TIERS, D(60_000)) == (found["kraken"].fees.tiers, found["kraken"].fees.volume_opening)
    (only,) = found["bitfinex"].fees.tiers
    assert (D("0.001"), D("0.002")) == (only.maker, only.taker)


def test_unknown_fees_are_not_guessed():
    """A venue without a table of its own needs its fees in the file."""
    with pytest.raises(UserError, match=r"paper\.venues\.bitfinex\.taker_bps: no fees are known for ccxt:bitfinex"):
        models(settings(text=TEXT.replace("taker_bps = 20\nmaker_bps = 10\n", "")), Scenario.NAIVE, {})


def test_every_account_needs_its_balances():
    """A live config without pretend accounts is told so for each venue."""
    assert {"kraken": {"USD": D(1000), "BTC": D("0.5")}, "bitfinex": {"USD": D(3000)}} == balances(settings())
    live = (
        TEXT.split("[paper", maxsplit=1)[0]
        .replace('name = "test"', 'name = "test"\nmode = "live"\nlive = true')
        .replace('adapter = "', 'key_file = "k"\nadapter = "')
    )
    with pytest.raises(UserError) as caught:
        balances(settings(text=live))
    assert ["paper.venues.kraken", "paper.venues.bitfinex"] == [m.where for m in caught.value.mistakes]


def test_measured_times_are_divided_and_add_up():
    """A measured time there and back is divided as request_ms and answer_ms are; both parts of one draw are one time."""
    added = "[backtest.venues.kraken]\nlatency = 'measured'\n"
    sample = (90 * MS, 120 * MS, 900 * MS)
    assert ("kraken",) == measured_venues(settings(added))
    found = model(Scenario.REALISTIC, added=added, measured={"kraken": sample})
    for luck, whole in ((0.0, 90 * MS), (0.5, 120 * MS), (1.0, 900 * MS)):
        assert abs(found.request.at_ns(luck) + found.answer.at_ns(luck) - whole) <= 1
    assert 80 * MS == found.request.at_ns(0.5)


def test_without_measurements_a_measured_latency_is_a_broken_promise():
    """Whoever asks for models of measured venues has to bring the measurements."""
    with pytest.raises(InvariantBroken):
        model(Scenario.REALISTIC, added="[backtest]\nlatency = 'measured'\n")


def test_money_moves_as_the_file_says():
    """Deposits and rebalancing are taken over with their units; without an interval nothing is rebalanced."""
    deposit = "[[backtest.deposits]]\nafter_s = 60\nvenue = 'kraken'\nasset = 'USD'\nqty = 5\n"
    rebalance = "[backtest]\nrebalance_every_h = 0.5\ntransfer_fee = { BTC = '0.0005' }\n"
    plain, moving = (funding(settings(added), random.Random(1)) for added in (deposit, rebalance))
    assert ([60_000_000_000], None) == ([one.after_ns for one in plain._deposits], plain._rebalancing)
    assert (1_800_000_000_000, {"BTC": D("0.0005")}) == (moving._rebalancing.every_ns, moving._rebalancing.fees)
    assert 1_800_000_000_000 == moving._rebalancing.delay.at_ns(0.5)


# --- delays -----------------------------------------------------------------------------------------------------------

DELAYS = [Delay(), FixedDelay(ms=5.0), LognormalDelay(p50_ms=10, p99_ms=80), sampled([7 * MS, 3 * MS, 50 * MS])]


@pytest.mark.parametrize("delay", DELAYS, ids=[type(delay).__name__ for delay in DELAYS])
def test_a_delay_is_a_quantile_function(delay):
    """More luck is never a shorter delay, both ends are finite, a factor stretches each, and a draw costs one number."""
    lucks = [0.0, 0.001, 0.25, 0.5, 0.75, 0.999, 1.0]
    found = [delay.at_ns(luck) for luck in lucks]
    assert sorted(found) == found
    assert [pytest.approx(2.5 * ns, abs=1) for ns in found] == [slowed(delay, 2.5).at_ns(luck) for luck in lucks]
    one, other = random.Random(5), random.Random(5)
    assert delay.draw_ns(one) == delay.at_ns(other.random())
    assert one.random() == other.random()


def test_drawn_delays_have_the_quantiles_they_were_made_of():
    """Of 20000 draws half lie below p50 and 99 in 100 below p99; a sample gives back its own middle."""
    chance = random.Random(11)
    drawn = sorted(LognormalDelay(p50_ms=60, p99_ms=250).draw_ns(chance) / MS for _ in range(20_000))
    assert 60 == pytest.approx(drawn[10_000], rel=0.03)
    assert 250 == pytest.approx(drawn[19_800], rel=0.08)
    assert (20, 15, 30) == tuple(sampled([10, 30, 20]).at_ns(luck) for luck in (0.5, 0.25, 1.0))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (LognormalDelay, {"p50_ms": 0, "p99_ms": 5}),
        (LognormalDelay, {"p50_ms": 6, "p99_ms": 5}),
        (SampledDelay, {"sample_ns": ()}),
        (SampledDelay, {"sample_ns": (2, 1)}),
    ],
)
def test_a_delay_of_nonsense_is_refused(kind: type[msgspec.Struct], numbers):
    """A middle above the tail, and a sample that is empty or unsorted, are broken promises."""
    with pytest.raises(InvariantBroken):
        kind(**numbers)
