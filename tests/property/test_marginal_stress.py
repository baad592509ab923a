"""The marginal stress loss of an arb is what the table moves by when the arb is really opened."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.decisions import ArbOpened
from arbot.domain.events import BooksMoved
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.order import Side
from arbot.domain.registry import AssetEntry, NodeKind, Registry, VenueEntry
from arbot.domain.units import ZERO
from arbot.engine.config import ExecutionPolicy, ExposureCaps, RiskLimits, RiskPolicy
from arbot.engine.risk.stress import Leg, marginals, stress_lines, worst
from arbot.engine.risk.tail import leg_of
from tests.support.engine_world import World

CLOUDS = st.sampled_from(["", "east", "west"])
REGISTRIES = st.builds(
    lambda kraken, coinbase, bank, issuer, share: Registry(
        venues={
            VenueId("kraken"): VenueEntry(cloud=kraken, banks=("a", bank), custodian="c"),
            VenueId("coinbase"): VenueEntry(cloud=coinbase, banks=(bank,), loss_share=Decimal("0.36")),
        },
        assets={Asset("USD"): AssetEntry(issuer=issuer, is_fiat=not issuer, loss_share=share)},
        share_max={(NodeKind.CUSTODIAN, "unknown"): Decimal(1)},
    ),
    kraken=CLOUDS,
    coinbase=CLOUDS,
    bank=st.sampled_from(["a", "b"]),
    issuer=st.sampled_from(["", "mint"]),
    share=st.decimals(min_value="0.05", max_value="0.4", places=2),
)
QTY = st.integers(min_value=1, max_value=40)


@settings(max_examples=40, deadline=None)
@given(registry=REGISTRIES, ask_qty=QTY, bid_qty=QTY, is_second=st.booleans())
def test_the_table_moves_by_the_marginal(registry: Registry, ask_qty: int, bid_qty: int, is_second: bool) -> None:
    """Open an arb and find each scenario dearer by its marginal times the quantity, to the last digit."""
    world = World(
        registry=registry, limits=ROOMY, exposure=CAPS, risk=BUDGETS, execution=ExecutionPolicy(cool_down_ms=1)
    )
    state, kraken, coinbase = world.engine.state, *(one.id for one in world.instruments.values())
    if is_second:  # the balances are no longer what they were at first, and a residual is carried
        world.line("kraken book bid 100.0x2 ask 100.1x2")
        world.line("coinbase book bid 101.0x1 ask 101.2x3")
        for line in ("kraken filled 1 @100.1 fee 0.001 BTC", "coinbase filled 1 @101.0"):
            world.line(line)
        world.line("wait 1s")
    world.market.set(kraken, world.now_ns, "100.0x2", f"100.1x{ask_qty}")
    world.market.set(coinbase, world.now_ns, f"101.0x{bid_qty}", "101.2x3")
    state.note_rates()
    state.version += 1
    before = losses(world)
    world.give(BooksMoved(instruments=(coinbase,)))
    (arb,) = (one for one in world.log[-1][1].decisions if isinstance(one, ArbOpened))
    after = losses(world)
    added = marginals(
        state, (leg(world, arb.buy, Side.BUY, arb.buy_price), leg(world, arb.sell, Side.SELL, arb.sell_price))
    )

    assert {(one.scenario, one.node): one.unit * arb.qty for one in added} == {
        key: loss - before.get(key, ZERO) for key, loss in after.items() if loss != before.get(key, ZERO)
    }
    assert worst(added) * arb.qty == arb.stress_loss


def leg(world: World, instrument: InstrumentId, side: Side, price: Decimal) -> Leg:
    """Return a leg of one unit of base."""
    return leg_of(world.engine.state.instruments[instrument], side, price)


def losses(world: World) -> Mapping[tuple[str, str], Decimal]:
    """Return the loss of every scenario at every node."""
    return {(line.scenario, line.node): line.loss for line in stress_lines(world.engine.state)}


ROOMY = RiskLimits(
    notional_per_arb_max=Decimal(4_000),
    net_delta_notional_max=Decimal(50_000),
    arbs_open_max=9,
    counterparty_share_max=Decimal(1),
)
ALL = Decimal(1)
CAPS = ExposureCaps(issuer_share_max=ALL, bank_share_max=ALL, custodian_share_max=ALL, cloud_share_max=Decimal(2))
BUDGETS = RiskPolicy(
    gap_loss_share_max=ALL,
    venue_loss_share_max=ALL,
    issuer_loss_share_max=ALL,
    bank_loss_share_max=ALL,
    custodian_loss_share_max=ALL,
    cloud_loss_share_max=ALL,
)
