"""The planner chooses the cheapest way, says what every other would cost, and refuses what cannot be."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from arbot.domain.errors import UserError
from arbot.treasury import plan as planning
from arbot.treasury import proof
from arbot.treasury.answer import Plan
from arbot.treasury.plan import PlanUnsound, make, request_key
from arbot.treasury.problem import Holding, Rebound, Target, Transit, bands, prices
from arbot.treasury.steps import Action
from arbot.treasury.ways import Method
from arbot.treasury.words import told
from tests.support.rebalance_world import holdings, market, methods, policy, route, sent, situation

D = Decimal


def choice(plan: Plan, named: str) -> str:
    """Return why a way could not mend the first gap, or "" when it could."""
    return next(
        one.hindered for one in plan.gaps[0].choices if f"{one.method.value} {one.network or one.via}".strip() == named
    )


def test_the_cheapest_network_is_taken() -> None:
    """Send by the network whose fee and risk are least, to the near edge of the band and no further."""
    plan = make(situation())

    assert {("BTC", "lightning"): D("0.55")} == {key: round(qty, 5) for key, qty in sent(plan).items()}


@pytest.mark.parametrize("shut", [{"is_open": False, "closed_why": "under maintenance"}, {"is_allowed": False}])
def test_a_closed_or_forbidden_network_moves_the_plan_to_the_next(shut: dict[str, object]) -> None:
    """Go by bitcoin when lightning is closed or not on the allow-list, and say why lightning was not taken."""
    plan = make(situation(routes=(route("lightning", **shut), route("bitcoin"))))

    assert ["transfer bitcoin"] == methods(plan)
    assert choice(plan, "transfer lightning") in (
        "under maintenance",
        "no entry of transfers.allow sends BTC to coinbase by lightning",
    )


def test_a_long_tail_moves_large_transfers_to_trading_back() -> None:
    """Prefer the losing trade now to a network on which one transfer in a hundred takes ten weeks."""
    slow = policy(risk_lambda=D("0.05"), missed_bps_per_h=D(20))
    usual = situation(routes=(route("bitcoin"),), policy=slow)
    jammed = situation(routes=(route("bitcoin", minutes_p99=D(100_000)),), policy=slow)

    assert ["transfer bitcoin"] == methods(make(usual))
    assert ["trade back USD"] == methods(make(jammed))[:1]


def test_a_stuck_coin_is_never_sent_again() -> None:
    """Trade back or wait while coins of the same name are stuck, and print the price of each."""
    stuck = Transit(source="kraken", target="coinbase", asset="BTC", network="bitcoin", qty=D("0.5"), is_stuck=True)
    plan = make(situation(transits=(stuck,), policy=policy(missed_bps_per_h=D(50))))
    priced = {one.method: one.cost.total for one in plan.gaps[0].choices}

    assert {} == sent(plan)
    assert ["trade back USD"] == methods(plan)
    assert priced[Method.TRADE_BACK] < priced[Method.LEAVE]
    assert "stuck" in choice(plan, "transfer lightning")


def test_a_stuck_network_carries_nothing_else() -> None:
    """Use the other network while another coin is stuck on the first."""
    stuck = Transit(source="coinbase", target="kraken", asset="USD", network="lightning", qty=D(10), is_stuck=True)

    assert ["transfer bitcoin"] == methods(make(situation(transits=(stuck,))))


def test_what_is_under_way_counts_at_its_target() -> None:
    """Plan nothing when the coins that lack are on their way."""
    coming = Transit(source="kraken", target="coinbase", asset="BTC", network="bitcoin", qty=D("0.8"))

    assert () == make(situation(holdings=holdings(btc=("1", "0.2")), transits=(coming,))).steps


def test_waiting_is_taken_when_arbs_come_the_other_way() -> None:
    """Wait when our own arbs carry bitcoin to coinbase anyway and earn by it."""
    rebound = Rebound(asset="BTC", source="kraken", target="coinbase", value_per_h=D(10_000), cost_bps=D(-5))
    plan = make(situation(rebounds=(rebound,), policy=policy(missed_bps_per_h=D("0.5")), transfers_enabled=False))

    assert ["wait USD"] == methods(plan)
    assert D(0) > plan.cost.spread


def test_money_is_converted_when_the_coin_itself_cannot_go() -> None:
    """Sell dollars for bitcoin, send it and sell it again when dollars have no way of their own and waiting is dear."""
    plan = make(
        situation(
            holdings=holdings(btc=("1", "1"), usd=("130000", "10000")),
            routes=(route("lightning"),),
            policy=policy(missed_bps_per_h=D(60)),
        )
    )
    actions = [(step.action, step.venue, step.is_later) for step in plan.steps]

    assert "convert lightning" in methods(plan)
    assert (Action.BUY, "kraken", False) in actions
    assert (Action.SELL, "coinbase", True) in actions


def test_caps_on_value_in_flight_count_stressed_prices() -> None:
    """Send by both networks what one may not carry alone, each within its cap at stressed prices."""
    tight = policy(transit_network_max=D(20_000), transit_total_max=D(60_000))
    plan = make(situation(policy=tight))
    flown = sent(plan)

    assert {("BTC", "lightning"), ("BTC", "bitcoin")} == set(flown)
    assert all(qty * 64_005 < 20_000 for qty in flown.values())


def test_a_venue_takes_no_more_than_its_share() -> None:
    """Leave the rest when the target would hold more than its share of all capital."""
    rich = situation(
        holdings=holdings(usd=("10000", "130000")), policy=policy(venue_share_max=D("0.6"), missed_bps_per_h=D("0.5"))
    )
    whole = sum(one.qty * prices(rich)[one.asset] for one in rich.holdings)
    end = proof.final(rich, make(rich).steps, ())

    assert end["coinbase", "USD"] + end["coinbase", "BTC"] * 64_005 <= whole * D("0.6")


def test_a_named_target_is_reached() -> None:
    """Bring what --target asks for within a hundredth, whatever it costs, and put the rest elsewhere."""
    plan = make(
        situation(targets=(Target(venue="coinbase", asset="BTC", qty=D("1.5")),), policy=policy(missed_bps_per_h=D(0)))
    )
    end = proof.final(situation(), plan.steps, ())

    assert abs(end["coinbase", "BTC"] - D("1.5")) <= D("0.02")


def test_what_cannot_be_says_which_bound_and_what_to_do() -> None:
    """Name target, number, the networks that are shut and the remedy when a target cannot be reached."""
    closed = situation(
        targets=(Target(venue="coinbase", asset="BTC", qty=D("1.9")),),
        routes=(route("bitcoin", is_open=False, closed_why="coinbase does not take BTC by bitcoin now"),),
        markets=(market("kraken"), market("coinbase", is_open=False)),
    )
    with pytest.raises(UserError) as refused:
        make(closed)
    mistakes = [str(mistake) for mistake in refused.value.mistakes]

    assert any("target: BTC at coinbase" in text and "does not take BTC by bitcoin" in text for text in mistakes)
    assert all("->" in text for text in mistakes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": (Target(venue="coinbase", asset="BTC", qty=D(3)),)}, "come to 3, and there are 2.0"),
        ({"targets": (Target(venue="bitstamp", asset="BTC", qty=D(1)),)}, "no such venue"),
        ({"markets": (market("kraken", bid="65000", ask="64000"),)}, "are no book"),
        ({"holdings": (*holdings(), Holding(venue="kraken", asset="BTC", qty=D(1)))}, "there twice"),
        ({"holdings": (*holdings(), Holding(venue="kraken", asset="DOGE", qty=D(1)))}, "no market here quotes it"),
        ({"policy": policy(shares={"kraken": {"BTC": D("0.7")}, "coinbase": {"BTC": D("0.7")}})}, "come to 1.4"),
        ({"routes": (route("bitcoin", minutes_p99=D(1)),)}, "half take longer"),
    ],
)
def test_a_situation_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    """Say what is wrong with a situation instead of planning for it."""
    with pytest.raises(UserError, match=said):
        make(situation(**change))


def test_wanted_shares_move_the_bands() -> None:
    """Want what [rebalance] shares say, and spread evenly what they leave open."""
    wanted = {
        (band.venue, band.asset): band.wanted
        for band in bands(situation(policy=policy(shares={"kraken": {"BTC": D("0.75")}})))
    }

    assert D("1.5") == wanted["kraken", "BTC"]
    assert D("0.5") == wanted["coinbase", "BTC"]
    assert D(70_000) == wanted["kraken", "USD"]


def test_minimum_withdrawals_are_kept() -> None:
    """Send at least the network's minimum or nothing."""
    little = holdings(btc=("1.26", "0.74"))
    plan = make(
        situation(
            holdings=little, routes=(route("lightning", qty_min=D("0.3")),), policy=policy(missed_bps_per_h=D(50))
        )
    )

    assert all(qty >= D("0.3") for qty in sent(plan).values())


def test_the_same_balances_ask_for_the_same_transfer() -> None:
    """Keep the request key while balances stand, whatever prices do, and change it once they move."""
    one, other = situation(), situation(markets=(market("kraken", bid="63000", ask="63010"), market("coinbase")))
    moved = situation(holdings=holdings(btc=("1.7", "0.3")))

    assert request_key(one, route("bitcoin")) == request_key(other, route("bitcoin"))
    assert request_key(one, route("bitcoin")) != request_key(moved, route("bitcoin"))
    assert request_key(one, route("bitcoin")) != request_key(one, route("lightning"))


def test_a_withdrawal_that_trades_must_fund_is_marked() -> None:
    """Say of a withdrawal whether the money for it is there, or comes by trades of the same plan."""
    plan = make(
        situation(
            holdings=holdings(btc=("0", "1"), usd=("200000", "10000")),
            routes=(route("lightning"),),
            policy=policy(missed_bps_per_h=D(60)),
        )
    )
    sends = [step for step in plan.steps if step.action is Action.SEND]

    assert [False] == [step.is_funded for step in sends]


def test_a_plan_that_does_not_hold_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise when the proof finds anything, rather than show or mend the plan."""
    monkeypatch.setattr(planning.proof, "violations", lambda *_: ("step 1: lacks BTC",))

    with pytest.raises(PlanUnsound, match="lacks BTC"):
        make(situation())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qty": D(5)}, "lacks BTC at kraken"),
        ({"qty": D("0.555555555")}, "no multiple"),
        ({"fee": D(0)}, "its fee is"),
        ({"network": "tron"}, "no such network"),
        ({"qty": D("0.00001")}, "below the minimum"),
    ],
)
def test_the_proof_finds_what_a_plan_breaks(change: dict[str, object], said: str) -> None:
    """Name every rule that a tampered step breaks."""
    given = situation(routes=(route("lightning", qty_min=D("0.001")),))
    step = msgspec.structs.replace(make(given).steps[0], **change)
    found = proof.violations(given, prices(given), bands(given), (step,), {"kraken": D(10**9), "coinbase": D(10**9)})

    assert any(said in text for text in found)


def test_words_name_every_alternative_with_its_price() -> None:
    """Print each way with money and times, and mark what is taken."""
    lines = list(told(make(situation())))

    assert any(
        "-> transfer by lightning" in line and "USD  about 5 min, p99 60 min, takes 0.55" in line for line in lines
    )
    assert any("   transfer by bitcoin" in line and "about 54 min, p99 4 h" in line for line in lines)
    assert any("   trade back against USD" in line and "now" in line for line in lines)
    assert any("   leave it" in line and "for 24 h" in line for line in lines)


def test_nothing_to_do_is_said() -> None:
    """Say in words that everything lies where it should."""
    lines = list(told(make(situation(holdings=holdings(btc=("1", "1"))))))

    assert ["Everything lies where it should, within the tolerance: there is nothing to do."] == lines
