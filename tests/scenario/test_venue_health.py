"""A venue that is not well gets no new arbs, earns them back slowly, and never keeps an open arb from being worked off."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.events import OrderAccepted, OrderSent, VenueStatusReported
from arbot.domain.ids import Asset, VenueId, VenueOrderId
from arbot.domain.transfer import MaintenanceWindow, VenueStatus
from arbot.engine import health
from arbot.engine.config import HealthPolicy, MaintenanceRule, RiskLimits
from tests.support.engine_world import MS, START_NS, World, play

S = 1_000 * MS
QUICK = HealthPolicy(orders_min=2, recovery_s=60, recovery_s_max=240, probe_s=10)


def declined(world: World) -> OpportunityDeclined:
    """Return the last refusal."""
    return [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, OpportunityDeclined)][-1]


def alerts(world: World) -> list[str]:
    """Return the codes of all alerts."""
    return [c.code for _, outcome in world.log for c in outcome.commands if isinstance(c, RaiseAlert)]


@pytest.mark.parametrize("status", ["maintenance", "cancel_only", "post_only", "down"])
def test_a_status_that_takes_no_orders_quarantines_at_once(status: str) -> None:
    """Refuse new arbs from the status on, also after it is online again, until it was well for long enough."""
    world = World(health=QUICK)
    play(
        world,
        f"""
        kraken book bid 100.0x2 ask 100.1x2
        kraken status {status}                     -> kraken quarantined
        coinbase book bid 101.0x1 ask 101.2x3      -> declined venue_quarantined
        wait 300s                                                                  // it still says so
        kraken balances
        kraken balances
        coinbase book bid 101.0x1 ask 101.2x3      -> declined venue_quarantined
        kraken status online
        kraken balances
        kraken balances
        wait 30s
        coinbase book bid 101.0x1 ask 101.2x3      -> declined venue_quarantined
        wait 40s                                   -> kraken let out
        coinbase book bid 101.0x1 ask 101.2x3      -> kraken buy 1 @100.1; coinbase sell 1 @101
        """,
    )
    assert ["venue_quarantined", "venue_released"] == alerts(world)


def test_online_and_limit_only_are_well() -> None:
    """Trade with a venue that takes limit orders: ours are nothing else."""
    play(
        World(health=QUICK),
        """
        kraken status limit_only
        kraken book bid 100.0x2 ask 100.1x2
        coinbase book bid 101.0x1 ask 101.2x3      -> kraken buy 1 @100.1; coinbase sell 1 @101
        """,
    )


def test_refusals_quarantine_and_the_reason_carries_its_numbers() -> None:
    """Quarantine a venue that refuses most orders, and tell the seconds in it against those it has to be well for."""
    world = World(health=QUICK)
    for _ in range(2):
        world.line("kraken book bid 100.0x2 ask 100.1x2")
        world.line("coinbase book bid 101.0x1 ask 101.2x3")
        world.line("kraken rejected other")
        world.line("coinbase expired")
        world.line("wait 1s")
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    refused = declined(world)

    assert Reason.VENUE_QUARANTINED is refused.reason
    assert (Decimal(1), Decimal(60)) == (refused.value, refused.limit)
    assert world.engine.state.health[VenueId("kraken")].why == ("it refused 1.00 of 2 orders (0.5)",)


def test_refusals_that_are_our_own_doing_are_not_the_venues_fault() -> None:
    """Keep a venue in good standing that refuses for funds."""
    world = World(health=QUICK)
    for _ in range(3):
        world.line("kraken book bid 100.0x2 ask 100.1x2")
        world.line("coinbase book bid 101.0x1 ask 101.2x3")
        world.line("kraken rejected insufficient_funds")
        world.line("coinbase expired")
        world.line("wait 1s")

    assert not health.is_quarantined(world.engine.state, VenueId("kraken"))


def answers(world: World, count: int, ack_ms: int) -> None:
    """Have so many arbs missed whose orders at kraken were acknowledged after so long."""
    for _ in range(count):
        world.line("kraken book bid 100.0x2 ask 100.1x2")
        world.line("coinbase book bid 101.0x1 ask 101.2x3")
        mine = [one for one in world.intents if one.venue == "kraken"][-1].client_order_id
        world.give(OrderSent(client_order_id=mine))
        world.line("coinbase expired")
        world.line(f"wait {ack_ms}ms")
        world.give(OrderAccepted(client_order_id=mine, venue_order_id=VenueOrderId("V")))
        world.line("kraken expired")
        world.line("wait 1s")


def test_slow_answers_quarantine() -> None:
    """Quarantine a venue whose answers take longer than the limit in the geometric mean, as in March 2020."""
    world = World(health=HealthPolicy(orders_min=3, ack_ms_mean_max=500))
    answers(world, 2, 100)
    assert health.ack_ms_mean(world.engine.state.health[VenueId("kraken")]) == 100
    answers(world, 3, 2_000)

    assert health.is_quarantined(world.engine.state, VenueId("kraken"))
    assert "in the mean (500)" in world.engine.state.health[VenueId("kraken")].why[0]


def test_a_slow_tail_quarantines() -> None:
    """Quarantine a venue of which one answer in twenty takes too long, though the mean is fine."""
    world = World(health=HealthPolicy(orders_min=3, ack_ms_tail_max=1_000))
    answers(world, 3, 50)
    answers(world, 1, 2_000)

    assert "in the tail (1000)" in world.engine.state.health[VenueId("kraken")].why[0]


def test_old_answers_are_forgotten() -> None:
    """Judge by recent answers: what is older than the window no longer counts."""
    world = World(health=HealthPolicy(orders_min=2, orders_forget_s=30))
    answers(world, 1, 100)
    world.line("wait 60s")
    answers(world, 1, 200)

    assert [200] == [answer.ack_ms for answer in world.engine.state.health[VenueId("kraken")].answers]


def test_streams_that_flap_quarantine() -> None:
    """Quarantine a venue whose streams are lost again and again."""
    world = World(health=HealthPolicy(drops_max=2))
    play(
        world,
        """
        kraken down
        kraken up
        kraken down
        kraken up
        kraken down       -> kraken quarantined
        """,
    )


def test_each_relapse_doubles_the_wait() -> None:
    """Wait 60 s after the first time, 120 after the second, never more than the most."""
    world, waits = World(health=QUICK), []
    for _ in range(4):
        world.line("kraken status down")
        waits.append(world.engine.state.health[VenueId("kraken")].wait_s)
        world.line("kraken status online")
        world.line("kraken balances")
        world.line("kraken balances")
        assert ["kraken let out"] == world.line(f"wait {waits[-1] + 15}s")

    assert [60, 120, 240, 240] == waits


def test_it_is_not_let_out_without_a_sign_of_life() -> None:
    """Keep a venue in quarantine that answers no question about balances, and ask again and again."""
    world = World(health=QUICK)
    world.line("kraken status down")
    world.line("kraken status online")
    assert [] == world.line("wait 600s")
    world.line("kraken balances")

    assert ["kraken let out"] == world.line("kraken balances")


def test_maintenance_stops_new_arbs_beforehand() -> None:
    """Open nothing from the lead on, quarantine when it begins, and let out only after recovery (Kraken, January 2018)."""
    window = MaintenanceWindow(from_ns=START_NS + 1_000 * S, until_ns=START_NS + 8_200 * S, reason="upgrade")
    world = World(health=QUICK)
    world.give(VenueStatusReported(venue=VenueId("kraken"), status=VenueStatus.ONLINE, windows=(window,)))
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    assert world.line("wait 99s") == []
    assert len(world.line("coinbase book bid 101.0x1 ask 101.2x3")) == 2
    world.line("kraken filled 1 @100.1")
    assert ["flat 0.9"] == world.line("coinbase filled 1 @101")
    world.line("wait 2s")
    assert ["declined maintenance"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")
    assert (Decimal(899), Decimal(900)) == (declined(world).value, declined(world).limit)
    assert ["kraken quarantined"] == world.line("wait 900s")
    world.line("wait 7200s")
    world.line("kraken balances")
    world.line("kraken balances")
    assert ["declined venue_quarantined"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")

    assert ["kraken let out"] == world.line("wait 70s")


def test_weekly_maintenance_comes_back() -> None:
    """Repeat a configured window every seven days, and no sooner."""
    rule = MaintenanceRule(
        venue=VenueId("kraken"), from_ns=START_NS - 3_600 * S, until_ns=START_NS - 1_800 * S, is_weekly=True
    )
    world = World(health=QUICK, maintenance=(rule,))
    window = health.next_window(world.engine.state, VenueId("kraken"))

    assert window is not None
    assert START_NS - 3_600 * S + health.WEEK_NS == window.from_ns
    assert [] == world.line("wait 600000s")
    assert ["kraken quarantined"] == world.line("wait 1300s")


def test_a_quarantined_venues_open_arb_still_unwinds() -> None:
    """Hedge or unwind on the sick venue when no other takes it: quarantine forbids new arbs only."""
    play(
        World(health=QUICK),
        """
        kraken book bid 100.0x2 ask 100.1x2
        coinbase book bid 101.0x1 ask 101.2x3      -> kraken buy 1 @100.1; coinbase sell 1 @101
        kraken filled 1 @100.1
        kraken status cancel_only                  -> kraken quarantined
        coinbase silent
        wait 2500ms
        coinbase rejected other                    -> kraken sell 1 @99.9 unwind
        kraken filled 1 @100.0                     -> flat -0.1
        """,
    )


def test_a_residual_goes_to_a_healthy_venue_first() -> None:
    """Prefer a third venue that is well to the second one that is not."""
    play(
        World(("kraken", "coinbase", "bitstamp"), health=QUICK, limits=RiskLimits(arbs_open_max=1)),
        """
        kraken book bid 100.0x2 ask 100.1x2
        coinbase book bid 101.0x1 ask 101.2x3      -> kraken buy 1 @100.1; coinbase sell 1 @101
        kraken filled 1 @100.1
        bitstamp book bid 100.9x3 ask 101.3x3      -> declined arbs_open
        coinbase status post_only                  -> coinbase quarantined
        coinbase rejected other                    -> bitstamp sell 1 @100.9 hedge
        bitstamp filled 1 @100.9                   -> flat 0.8
        """,
    )


CLOSED = HealthPolicy(network_silence_s=600)


@pytest.mark.parametrize(("venue", "asset"), [("kraken", "BTC"), ("coinbase", "USD")])
def test_money_that_cannot_leave_sets_no_price(venue: str, asset: str) -> None:
    """Refuse an arb that would bring to a venue what cannot leave it; bringing what can is allowed."""
    world = World(health=CLOSED)
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    world.line(f"{venue} networks {asset} closed, ETH open")
    assert ["declined withdrawals_closed"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")
    assert (Decimal(0), Decimal(1)) == (declined(world).value, declined(world).limit)
    world.line(f"{venue} networks {asset} open")
    assert world.line("coinbase book bid 101.0x1 ask 101.2x3") == ["kraken buy 1 @100.1", "coinbase sell 1 @101"]


@pytest.mark.parametrize(("venue", "asset"), [("kraken", "USD"), ("coinbase", "BTC")])
def test_an_arb_that_takes_out_what_is_locked_is_let_through(venue: str, asset: str) -> None:
    """Sell the locked coin there, or spend the locked dollars there: what comes in for them can leave."""
    world = World(health=CLOSED)
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    other = {"USD": "BTC", "BTC": "USD"}[asset]
    world.line(f"{venue} networks {asset} closed, {other} open")

    assert world.line("coinbase book bid 101.0x1 ask 101.2x3") == ["kraken buy 1 @100.1", "coinbase sell 1 @101"]


def test_a_venue_that_told_and_falls_silent_counts_as_closed() -> None:
    """Refuse ten hours before the announcement: FTX told nothing more from 11:37 on, and admitted it at 21:51."""
    world = World(health=CLOSED)
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    world.line("coinbase networks USD open, BTC open")
    world.line("wait 601s")

    assert ["declined withdrawals_closed"] == world.line("coinbase book bid 101.0x1 ask 101.2x3")
    assert health.cap_factor(world.engine.state, VenueId("coinbase")) == 0


def test_a_venue_that_never_told_is_a_matter_of_the_config() -> None:
    """Allow it by default, refuse it when `require_network_status` says so."""
    expected = {
        False: ["kraken buy 1 @100.1", "coinbase sell 1 @101"],
        True: ["declined withdrawals_closed"],
    }
    for require, words in expected.items():
        world = World(health=HealthPolicy(require_network_status=require))
        world.line("kraken book bid 100.0x2 ask 100.1x2")
        assert words == world.line("coinbase book bid 101.0x1 ask 101.2x3")


def test_caps_fall_at_once_and_come_back_one_withdrawal_at_a_time() -> None:
    """Halve when most assets are closed, take all when all are; give back a quarter per withdrawal begun since (Bybit)."""
    world, kraken = World(health=CLOSED), VenueId("kraken")
    factors = []
    for line in (
        "networks BTC open, USD open, ETH open",
        "networks BTC closed, USD closed, ETH open",
        "networks BTC closed, USD closed, ETH closed",
        "paid out 1 BTC",  # but nothing is open
        "networks BTC open, USD open, ETH open",
        "paid out 1 BTC",
        "paid out 1 BTC",
        "paid out 1 BTC",
        "paid out 1 BTC",
        "paid out 1 BTC",
    ):
        world.line("wait 1s")
        world.line(f"kraken {line}")
        factors.append(str(health.cap_factor(world.engine.state, kraken)))

    assert ["1", "0.5", "0", "0", "0", "0.25", "0.50", "0.75", "1.00", "1.00"] == factors
    assert alerts(world).count("caps_shrunk") == 2
    assert alerts(world).count("caps_returned") == 4


def test_an_asset_left_out_of_the_report_grows_old() -> None:
    """Take what a venue no longer lists for closed after the silence, though it goes on telling of other assets."""
    world = World(health=CLOSED)
    world.line("kraken networks BTC open, USD open")
    world.line("wait 400s")
    world.line("kraken networks USD open")
    world.line("wait 400s")
    world.line("kraken balances")
    state = world.engine.state

    assert [False, True] == [health.can_leave(state, VenueId("kraken"), Asset(asset)) for asset in ("BTC", "USD")]
