"""What legs teach: a planted rate comes back, the old fades, and a restart forgets nothing."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.events import LegEvidence, StandingRestored
from arbot.domain.ids import InstrumentId
from arbot.engine.config import RiskPolicy
from arbot.engine.risk.evidence import Belief, belief, believed, fading, note
from arbot.journal.codec import decode, encode
from tests.support.engine_world import World

KRAKEN, COINBASE = InstrumentId("BTC/USD@kraken"), InstrumentId("BTC/USD@coinbase")


def an_arb(world: World, *, fails: bool) -> None:
    """Open an arb after a rest. Coinbase's leg sells at 101, or is refused and bought back at a loss there."""
    world.line("wait 2s")
    world.line("coinbase book bid 99.0x1 ask 101.2x3")
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    opened = world.line("coinbase book bid 101.0x1 ask 101.2x3")
    assert opened == ["kraken buy 1 @100.1", "coinbase sell 1 @101"]
    world.line("wait 100ms")
    world.line("kraken filled 1 @100.1")
    if not fails:
        assert "flat 0.9" in world.line("coinbase filled 1 @101.0")
        return
    world.line("coinbase rejected other")
    assert any(word.startswith("flat") for word in world.line("coinbase filled 1 @100.9 fee 0.101 USD"))


def told(world: World, instrument: InstrumentId) -> Belief:
    """Return what the world's engine believes."""
    return belief(world.engine.state, instrument)


def test_nothing_seen_is_the_prior() -> None:
    """Believe what the config says as long as no leg was seen."""
    prior = believed(RiskPolicy(), LegEvidence(instrument=KRAKEN))

    assert (Decimal("0.02"), Decimal(25)) == (prior.fail, prior.unwind_bps)
    assert abs(prior.latency_ms - 250) < Decimal("0.001")


def test_the_engine_learns_from_its_own_arbs() -> None:
    """Count the refused leg against its venue alone, the loss of closing it, and the time that legs took."""
    world = World()
    for fails in (False, True, False, False):
        an_arb(world, fails=fails)
    seen = {one.instrument: one for one in world.engine.standing().evidence}

    assert Decimal(0) == seen[KRAKEN].failed
    assert abs(seen[COINBASE].failed - 1) < Decimal("0.01")
    assert abs(seen[COINBASE].unwind_bps - Decimal("0.1") / 101 * 10_000) < Decimal(
        "0.1"
    )  # sold at 100.9 instead of 101
    assert told(world, KRAKEN).latency_ms < 250
    assert told(world, COINBASE).fail > told(world, KRAKEN).fail


def test_a_planted_rate_comes_back() -> None:
    """Believe near one in five after 400 legs of which every fifth failed, whatever the prior was."""
    world = World()
    for number in range(400):
        note(world.engine.state, COINBASE, legs=Decimal(1), failed=Decimal(number % 5 == 0))

    assert abs(told(world, COINBASE).fail - Decimal("0.2")) < Decimal("0.02")
    assert told(world, KRAKEN).fail == Decimal("0.02")


def test_a_leg_counts_half_after_the_half_life() -> None:
    """Let one failure fade to a half after as many good legs as the half-life says."""
    world = World(risk=RiskPolicy(evidence_half_life_legs=50))
    note(world.engine.state, KRAKEN, legs=Decimal(1), failed=Decimal(1))
    for _ in range(50):
        note(world.engine.state, KRAKEN, legs=Decimal(1))

    assert abs(world.engine.state.evidence[KRAKEN].failed - Decimal("0.5")) < Decimal("1E-6")
    assert abs(fading(RiskPolicy(evidence_half_life_legs=1)) - Decimal("0.5")) < Decimal("1E-20")


def test_evidence_survives_a_restart() -> None:
    """Believe the same after the standing went through the store's encoding into a new engine."""
    world = World()
    an_arb(world, fails=True)
    again = World(epoch=2)
    again.give(decode(encode(world.engine.standing()), StandingRestored))

    assert told(world, COINBASE) == told(again, COINBASE)
    assert again.engine.standing().evidence == world.engine.standing().evidence


def test_a_route_that_fails_has_to_pay_more() -> None:
    """Decline an edge as unpaid once failing legs have raised the tail above it, with the edge and what it needed."""
    world = World()
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    assert world.line("coinbase book bid 100.34x1 ask 101.2x3")[:1] == ["kraken buy 1 @100.1"]
    poor = World()
    for _ in range(60):
        note(
            poor.engine.state,
            COINBASE,
            legs=Decimal(1),
            failed=Decimal("0.2"),
            unwinds=Decimal(1),
            unwind_bps=Decimal(25),
        )
    poor.line("kraken book bid 100.0x2 ask 100.1x2")

    assert poor.line("coinbase book bid 100.34x1 ask 101.2x3") == ["declined tail_unpaid"]
    (declined,) = poor.log[-1][1].decisions
    assert declined.value < declined.limit  # type: ignore[union-attr]
