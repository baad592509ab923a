"""Does the peg guard flap? Whatever a coin does, its state changes no oftener than its rate crosses the bands."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.ids import Asset
from arbot.domain.registry import AssetEntry, Registry
from arbot.engine.config import HealthPolicy, PegPolicy
from tests.support.engine_world import World, an_instrument

BAND, RETURN = Decimal(100), Decimal(40)
POLICY = PegPolicy(peg_return_s=5)
steps = st.lists(st.tuples(st.integers(-250, 250), st.integers(1, 8)), min_size=1, max_size=40)


def median(numbers: list[int]) -> int:
    """Return the middle one of three."""
    return sorted(numbers)[1]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_changes_are_bounded_by_crossings_of_the_bands(path: list[tuple[int, int]]) -> None:
    """Change state at most once per crossing from within the narrow band to outside the wide one, and back."""
    usdt = an_instrument("kraken", "USDT/USD", tick_size=Decimal("0.0001"), price_decimals=4)
    registry = Registry(assets={Asset("USDT"): AssetEntry(peg="USD")})
    world = World(("kraken",), instruments=(usdt,), registry=registry, pegs=POLICY)
    changes, looks = 0, []
    for bps, seconds in path:
        mid = 1 + Decimal(bps).scaleb(-4)
        tick = Decimal("0.0001")
        world.line(f"kraken book bid {mid - tick}x9 ask {mid + tick}x9")
        changes += sum(1 for word in world.line(f"wait {seconds}s") if word.endswith("its peg"))
        looks += [bps] * seconds
    middles = [abs(median(looks[i - 2 : i + 1])) for i in range(2, len(looks))]
    crossings, is_off = 0, False
    for away in middles:
        if (not is_off and away > BAND) or (is_off and away <= RETURN):
            is_off, crossings = not is_off, crossings + 1

    assert changes <= crossings
    assert world.engine.state.pegs[Asset("USDT")].is_off or not middles or middles[-1] <= BAND


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["status down", "status online", "balances"]), max_size=60))
def test_a_venue_is_let_out_no_oftener_than_the_wait_allows(words: list[str]) -> None:
    """Let a venue out at most once per recovery time, however often it says that it is well again."""
    world, outs = World(("kraken", "coinbase"), health=HealthPolicy(recovery_s=60, probe_s=10)), []
    for word in words:
        said = world.line(f"kraken {word}") + world.line("wait 20s")
        outs += [world.now_ns] * said.count("kraken let out")
    wait_ns = world.engine.state.config.health.recovery_s * 1_000_000_000

    assert all(later - earlier >= wait_ns for earlier, later in pairwise(outs))
