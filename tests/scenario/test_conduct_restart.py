"""A restart forgives nothing: what a venue, a coin or a gap was held for before the process ended, it is held for after."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.events import StandingRestored, TransferReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import AssetEntry, Registry
from arbot.engine import health
from arbot.engine.config import HealthPolicy, NewsPolicy, PegPolicy, RiskLimits
from arbot.journal.codec import decode, encode
from tests.support.engine_world import MS, World, an_instrument, play

S = 1_000 * MS
KRAKEN, USDT = VenueId("kraken"), Asset("USDT")
CHEAP, DEAR = "kraken book bid 100.0x2 ask 100.1x2", "coinbase book bid 101.0x1 ask 101.2x3"
LOOSE = RiskLimits(edge_gross_bps_max=Decimal(5_000), arbs_open_max=9, notional_per_arb_max=Decimal(200))
PEGGED = Registry(assets={USDT: AssetEntry(issuer="tether", peg="USD", loss_share=Decimal("0.01"))})


def restarted(before: World, **parts: object) -> World:
    """Return the next run's world, told what the last one left in the store before it is told anything else."""
    told = decode(encode(before.engine.standing()), StandingRestored)
    return World(epoch=2, standing=told, now_ns=before.now_ns + S, **parts)  # type: ignore[arg-type]


def declined(world: World) -> OpportunityDeclined:
    """Return the last refusal."""
    return [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, OpportunityDeclined)][-1]


def test_a_restart_keeps_shrunk_caps_until_a_new_withdrawal_works() -> None:
    """Trust a venue after a restart with no more than before; a withdrawal that counted already does not count again."""
    before = World()
    play(before, "kraken networks BTC closed, USD closed\nwait 1s\nkraken networks BTC open, USD open")
    play(before, "wait 1s\nkraken paid out 1 BTC")
    assert Decimal("0.25") == health.cap_factor(before.engine.state, KRAKEN)
    counted = next(e.event for e, _ in reversed(before.log) if isinstance(e.event, TransferReported))

    world = restarted(before)
    world.give(counted)
    assert Decimal("0.25") == health.cap_factor(world.engine.state, KRAKEN)

    play(world, "wait 1s\nkraken paid out 1 BTC")
    assert Decimal("0.5") == health.cap_factor(world.engine.state, KRAKEN)


def test_a_restart_keeps_a_quarantine_and_its_whole_wait() -> None:
    """Give a venue in quarantine no arbs after a restart until it was well for all of its wait, seen by the new process."""
    policy = HealthPolicy(orders_min=2, recovery_s=60, recovery_s_max=240, probe_s=10)
    before = World(health=policy)
    play(before, "kraken status down -> kraken quarantined\nwait 50s")

    world = restarted(before, health=policy)
    play(
        world,
        f"""
        {CHEAP}
        {DEAR}             -> declined venue_quarantined
        wait 30s
        kraken balances
        kraken balances
        wait 25s
        {DEAR}             -> declined venue_quarantined
        wait 10s           -> kraken let out
        {DEAR}             -> kraken buy 1 @100.1; coinbase sell 1 @101
        """,
    )
    assert Reason.VENUE_QUARANTINED is declined(world).reason
    assert ["venue_released"] == [c.code for _, o in world.log for c in o.commands if isinstance(c, RaiseAlert)]


def test_a_relapse_after_a_restart_doubles_the_wait() -> None:
    """Remember that a venue has been in quarantine: the next time lasts longer, whichever process sees it."""
    policy = HealthPolicy(orders_min=2, recovery_s=60, recovery_s_max=240, probe_s=10)
    before = World(health=policy)
    play(before, "kraken status down -> kraken quarantined\nkraken status online\nkraken balances\nkraken balances")
    play(before, "wait 70s -> kraken let out")

    world = restarted(before, health=policy)
    play(world, "kraken status down -> kraken quarantined")

    assert 120 == world.engine.state.health[KRAKEN].wait_s


def test_a_restart_keeps_a_coin_off_its_peg() -> None:
    """Open nothing in a coin that was off its peg until it has held it again for the whole time, as before the restart."""
    parts = {
        "registry": PEGGED,
        "pegs": PegPolicy(peg_return_s=10),
        "balances": {"BTC": "10", "USDT": "500", "USD": "9"},
    }
    coins = {"tick_size": Decimal("0.0001"), "price_decimals": 4}
    listed = (an_instrument("kraken", "BTC/USDT"), an_instrument("coinbase", "BTC/USDT"),
              an_instrument("coinbase", "USDT/USD", **coins), an_instrument("coinbase", "BTC/USD"))  # fmt: skip
    before = World(instruments=listed, **parts)  # type: ignore[arg-type]
    before.line("coinbase book USDT/USD bid 0.9499x100 ask 0.9501x100")
    assert ["USDT off its peg"] == before.line("wait 3s")

    world = restarted(before, instruments=listed, **parts)
    world.line("coinbase book USDT/USD bid 0.9999x1000 ask 1.0001x1000")
    world.line("coinbase book BTC/USD bid 100.5x1 ask 100.6x1")
    edge = ("kraken book BTC/USDT bid 100.0x2 ask 100.1x2", "coinbase book BTC/USDT bid 101.0x1 ask 101.2x3")
    assert [[], ["declined depegged"]] == [_of_takers(world.line(line)) for line in edge]
    assert ["USDT on its peg"] == world.line("wait 15s")
    assert ["kraken buy 1 @100.1", "coinbase sell 1 @101"] == _of_takers(world.line(edge[0]))


def test_a_restart_does_not_take_the_same_news_again() -> None:
    """Leave a gap alone that was taken before the restart, also while its venues are still to come; take it once they met."""
    parts = {"limits": LOOSE, "news": NewsPolicy(news_look_ms=1_000)}
    before = World(**parts)  # type: ignore[arg-type]
    gap = ("kraken book bid 100.0x2 ask 100.1x1 100.2x1", "coinbase book bid 105.0x1 ask 105.2x3")
    assert [[], ["kraken buy 1 @100.1", "coinbase sell 1 @105"]] == [before.line(line) for line in gap]

    world = restarted(before, **parts)
    world.line("wait 5s")
    assert [[], ["declined price_is_news"]] == [world.line(line) for line in gap]
    world.line("coinbase book bid 100.0x1 ask 100.2x3")
    world.line("wait 2s")
    assert ["kraken buy 1 @100.1", "coinbase sell 1 @105"] == world.line(gap[1])


def test_a_standing_told_before_its_venues_is_not_forgotten_by_a_look() -> None:
    """Keep what was taken when the timer fires before any instrument is loaded: an unlisted one is only one gone."""
    before = World(limits=LOOSE)
    for line in ("kraken book bid 100.0x2 ask 100.1x1 100.2x1", "coinbase book bid 105.0x1 ask 105.2x3"):
        before.line(line)
    world = World(limits=LOOSE, standing=before.engine.standing(), now_ns=before.now_ns + S, is_loaded=False)
    world.line("wait 60s")

    assert before.engine.standing().news == world.engine.standing().news


def _of_takers(words: list[str]) -> list[str]:
    """Return words without what books of unlike quotes have to say."""
    return [word for word in words if word != "declined quote_mismatch"]
