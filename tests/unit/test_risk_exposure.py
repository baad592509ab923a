"""What stands on what, what each disaster would cost, and every cap and budget at its edge: sized down, then refused."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from arbot.domain.decisions import ArbOpened, LimitLatched, OpportunityDeclined, Reason
from arbot.domain.events import AccountSnapshotReceived
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Balance
from arbot.domain.registry import AssetEntry, NetworkEntry, NodeKind, Registry, VenueEntry
from arbot.domain.transfer import Network, TransferId, TransferIntent, TransferState
from arbot.engine.config import EngineConfig, ExposureCaps, RiskLimits, RiskPolicy
from arbot.engine.risk.exposure import cap_lines, is_judged, room, table_of
from arbot.engine.risk.losses import loss_open
from arbot.engine.risk.stress import stress_lines
from arbot.engine.state import Transfer
from arbot.engine.watching import VenueHealth
from tests.support.engine_world import World

KRAKEN, COINBASE = VenueId("kraken"), VenueId("coinbase")
USD, BTC = Asset("USD"), Asset("BTC")
EDGE = ("kraken book bid 100.0x2 ask 100.1x2", "coinbase book bid 101.0x1 ask 101.2x3")
BANKED = Registry(
    venues={
        KRAKEN: VenueEntry(entity="one", banks=("first",), custodian="vault", cloud="east"),
        COINBASE: VenueEntry(entity="two", banks=("first",), custodian="vault", cloud="east"),
    },
    assets={USD: AssetEntry(is_fiat=True)},
)
COINED = Registry(assets={Asset("BTC"): AssetEntry(issuer="mint", loss_share=Decimal("0.5"))})
RICH = {"BTC": "10", "USD": "10000"}  # at each of the two venues: 22,000 in all, at about 100 a coin


def look(world: World) -> ArbOpened | OpportunityDeclined:
    """Show the edge and return what became of it."""
    for line in EDGE:
        world.line(line)
    found = [one for one in world.log[-1][1].decisions if isinstance(one, (ArbOpened, OpportunityDeclined))]
    assert len(found) == 1
    return found[0]


def in_flight(
    world: World, qty: str, asset: str = "BTC", network: str = "bitcoin", stage: TransferState = TransferState.BROADCAST
) -> Transfer:
    """Let so much be on its way from Kraken to Coinbase, taken off the one and not yet at the other."""
    intent = TransferIntent(
        transfer=TransferId("1-t1"), source=KRAKEN, target=COINBASE, asset=Asset(asset), network=Network(network),
        address="a", qty=Decimal(qty), requested_ts_ns=world.now_ns, actor="test",
    )  # fmt: skip
    sent = Transfer(
        intent=intent, state=stage, since_ns=world.now_ns, requested_ts_ns=world.now_ns,
        qty_sent=Decimal(qty), debited=Decimal(qty),
    )  # fmt: skip
    state = world.engine.state
    state.transfers[sent.id] = state.unsettled[sent.id] = sent
    state.venue(KRAKEN).totals[Asset(asset)] -= Decimal(qty)
    state.version += 1
    return sent


def exposures(world: World) -> dict[tuple[str, str], Decimal]:
    """Return every exposure, rounded to whole dollars."""
    return {
        (line.node[0].value, line.node[1]): line.value.quantize(Decimal(1)) for line in cap_lines(world.engine.state)
    }


REFUSALS = {
    "a venue": (Reason.COUNTERPARTY_SHARE, {"limits": RiskLimits(counterparty_share_max=Decimal("0.49"))}),
    "an issuer": (
        Reason.ISSUER_EXPOSURE,
        {"registry": COINED, "exposure": ExposureCaps(issuer_share_max=Decimal("0.05"))},
    ),
    "a bank": (Reason.BANK_EXPOSURE, {"registry": BANKED}),
    "a custodian": (
        Reason.CUSTODIAN_EXPOSURE,
        {
            "registry": BANKED,
            "exposure": ExposureCaps(bank_share_max=Decimal(1), custodian_share_max=Decimal("0.05")),
            "risk": RiskPolicy(bank_loss_share_max=Decimal(1)),
        },
    ),
    "a cloud region": (
        Reason.CLOUD_EXPOSURE,
        {
            "registry": BANKED,
            "exposure": ExposureCaps(bank_share_max=Decimal(1), cloud_share_max=Decimal("0.99")),
            "risk": RiskPolicy(bank_loss_share_max=Decimal(1)),
        },
    ),
    "a gap": (Reason.STRESS_BUDGET, {"risk": RiskPolicy(budget_max=Decimal("0.4"))}),
    "a gap's share": (Reason.STRESS_BUDGET, {"risk": RiskPolicy(gap_loss_share_max=Decimal("0.00002"))}),
    "a larger gap": (
        Reason.STRESS_BUDGET,
        {"risk": RiskPolicy(gap_bps=Decimal(9_000), gap_loss_share_max=Decimal("0.0003"))},
    ),
    "a lost venue": (Reason.STRESS_BUDGET, {"risk": RiskPolicy(venue_loss_share_max=Decimal("0.4"))}),
    "a fallen issuer": (
        Reason.STRESS_BUDGET,
        {
            "registry": COINED,
            "exposure": ExposureCaps(issuer_share_max=Decimal(1)),
            "risk": RiskPolicy(issuer_loss_share_max=Decimal("0.02")),
        },
    ),
    "a fallen bank": (
        Reason.STRESS_BUDGET,
        {
            "registry": BANKED,
            "exposure": ExposureCaps(bank_share_max=Decimal(1)),
            "risk": RiskPolicy(bank_loss_share_max=Decimal("0.8")),
        },
    ),
    "a fallen custodian": (
        Reason.STRESS_BUDGET,
        {
            "registry": BANKED,
            "exposure": ExposureCaps(bank_share_max=Decimal(1)),
            "risk": RiskPolicy(bank_loss_share_max=Decimal(1), custodian_loss_share_max=Decimal("0.05")),
        },
    ),
    "a region that is out": (
        Reason.STRESS_BUDGET,
        {"risk": RiskPolicy(outage_bps=Decimal(5_000), cloud_loss_share_max=Decimal("0.0002"))},
    ),
    "a dear tail": (Reason.TAIL_UNPAID, {"risk": RiskPolicy(tail_price=Decimal("0.5"))}),
    "legs that fail": (
        Reason.TAIL_UNPAID,
        {"risk": RiskPolicy(leg_fail_prior=Decimal("0.5"), unwind_bps_prior=Decimal(900))},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_cap_and_budget_trips(case: str) -> None:
    """Decline with the reason, and with a value and a limit that say by how much."""
    reason, parts = REFUSALS[case]
    said = look(World(**parts))  # type: ignore[arg-type]

    assert isinstance(said, OpportunityDeclined)
    assert reason == said.reason
    assert said.limit > 0
    assert said.value > 0


def test_every_number_of_risk_and_exposure_trips() -> None:
    """Name every limit of [risk] and [exposure] in this file or in that of the evidence."""
    with open(__file__, encoding="utf-8") as here:  # noqa: PTH123 - one read of ourselves
        text = here.read()
    beliefs = {"latency_ms_prior", "prior_legs", "evidence_half_life_legs"}  # they stop nothing: test_risk_evidence.py
    fields = {field.name for kind in (RiskPolicy, ExposureCaps) for field in msgspec.structs.fields(kind)} - beliefs

    assert {field for field in fields if f"{field}=" not in text} == set()


def test_a_budget_sizes_down_before_it_refuses() -> None:
    """Open half of what the books offer when the gap's budget leaves half, and say what it adds to the worst case."""
    said = look(World(risk=RiskPolicy(budget_max=Decimal("2.6"), outage_bps=Decimal(500))))

    assert isinstance(said, ArbOpened)
    assert Decimal("0.5") == said.qty
    assert Decimal("0.5") * 101 * Decimal("0.05") == said.stress_loss  # the dearer leg is the worse one to stand on
    assert said.tail_bps == Decimal("1.5")  # 2 legs x 0.02 x 25 bps, and a thousandth of 500


@pytest.mark.parametrize(
    ("usd", "most"), [("1250", "500"), ("2500", "1000"), ("5000", "1000")], ids=["5,000", "10,000", "20,000"]
)
def test_the_shipped_budgets_let_little_capital_trade_smaller(usd: str, most: str) -> None:
    """Size the first arb of an account of two venues by a tenth of its capital, up to the limit in money; refuse none."""
    coins = str(Decimal(usd) / 100)
    world = World(balances={"USD": usd, "BTC": coins})
    for line in ("kraken book bid 100.0x20 ask 100.1x20", "coinbase book bid 101.0x20 ask 101.2x20"):
        world.line(line)
    (said,) = [one for one in world.log[-1][1].decisions if isinstance(one, (ArbOpened, OpportunityDeclined))]

    assert isinstance(said, ArbOpened)
    assert Decimal(most) * Decimal("0.98") <= said.qty * 101 <= Decimal(most) * Decimal("1.02")


def test_a_venues_cap_sizes_down_with_its_payouts() -> None:
    """Open as usual, then less, then nothing as the venue's payouts falter."""
    sizes = []
    for factor in ("1", "0.669", "0.6"):
        world = World()
        world.engine.state.health[COINBASE] = VenueHealth(cap_factor=Decimal(factor))
        said = look(world)
        sizes.append(said.qty if isinstance(said, ArbOpened) else said.reason)

    assert sizes == [Decimal(1), Decimal("0.3"), Reason.COUNTERPARTY_SHARE]


def test_a_transfer_counts_once() -> None:
    """Count coins in flight at their target and on their chain, not at their source, and capital stays what it was."""
    registry = Registry(networks={Network("bitcoin"): NetworkEntry(chain="bitcoin")})
    world = World(registry=registry)
    for line in ("kraken book bid 99.9x1 ask 100.1x1", "coinbase book bid 99.9x1 ask 100.1x1"):
        world.line(line)
    before = table_of(world.engine.state).whole
    in_flight(world, "4")
    found = exposures(world)

    assert before == table_of(world.engine.state).whole == Decimal(22_000)
    assert (10_600, 11_400) == (found["venue", "kraken"], found["venue", "coinbase"])
    assert found["chain", "bitcoin"] == 400
    halt = [line for line in stress_lines(world.engine.state) if line.scenario == "chain_halt"]
    assert [round(line.loss, 1) for line in halt] == [Decimal("60.0")]  # 15 % a day, for the day that 1 in 100 takes


STAGES = {  # stage, its id on the network, where it stuck: who may lose it
    "requested": (TransferState.REQUESTED, "", TransferState.UNKNOWN, "kraken"),
    "no answer": (TransferState.UNKNOWN, "", TransferState.UNKNOWN, "kraken"),
    "accepted": (TransferState.ACCEPTED, "", TransferState.UNKNOWN, "kraken"),
    "accepted, with an id on the network": (TransferState.ACCEPTED, "0x1", TransferState.UNKNOWN, "coinbase"),
    "broadcast": (TransferState.BROADCAST, "0x1", TransferState.UNKNOWN, "coinbase"),
    "done, says the source": (TransferState.CONFIRMED, "", TransferState.UNKNOWN, "coinbase"),
    "stuck before it left": (TransferState.STUCK, "", TransferState.ACCEPTED, "kraken"),
    "stuck on the network": (TransferState.STUCK, "", TransferState.BROADCAST, "coinbase"),
}


@pytest.mark.parametrize("case", STAGES)
def test_what_is_in_flight_counts_where_it_can_be_lost(case: str) -> None:
    """Count 400 at the source until the network has it, then at the target and on the chain: once at either time."""
    stage, tx_id, stuck_from, holder = STAGES[case]
    registry = Registry(
        venues={KRAKEN: VenueEntry(custodian="here"), COINBASE: VenueEntry(custodian="there")},
        networks={Network("bitcoin"): NetworkEntry(chain="bitcoin")},
    )
    world = World(registry=registry)
    for line in ("kraken book bid 99.9x1 ask 100.1x1", "coinbase book bid 99.9x1 ask 100.1x1"):
        world.line(line)
    sent = in_flight(world, "4", stage=stage)
    sent.tx_id, sent.stuck_from = tx_id, stuck_from
    found = exposures(world)
    expected = {"kraken": (11_000, 11_000, 11_000, 11_000, 0), "coinbase": (10_600, 11_400, 10_600, 11_400, 400)}
    nodes = (
        ("venue", "kraken"), ("venue", "coinbase"), ("custodian", "here"), ("custodian", "there"), ("chain", "bitcoin"),
    )  # fmt: skip

    assert expected[holder] == tuple(found.get(node, 0) for node in nodes)
    assert table_of(world.engine.state).whole == Decimal(22_000)


def test_too_much_on_one_chain_stops_new_arbs() -> None:
    """Refuse while more is in flight than the chain's cap; and, with the cap off, while its halt would cost too much."""
    registry = Registry(networks={Network("bitcoin"): NetworkEntry(chain="bitcoin")})
    for parts, reason in (
        ({"exposure": ExposureCaps(chain_share_max=Decimal("0.01"))}, Reason.CHAIN_EXPOSURE),
        ({"risk": RiskPolicy(chain_loss_share_max=Decimal("0.002"))}, Reason.STRESS_BUDGET),
    ):
        world = World(registry=registry, **parts)  # type: ignore[arg-type]
        in_flight(world, "4")
        said = look(world)

        assert isinstance(said, OpportunityDeclined)
        assert reason == said.reason


def test_what_is_not_known_has_no_cap_unless_the_registry_says_so() -> None:
    """Let two venues with unknown banks trade, and stop them when the file caps the unknown."""
    fiat = {USD: AssetEntry(is_fiat=True)}
    capped = Registry(assets=fiat, share_max={(NodeKind.BANK, "unknown"): Decimal("0.5")})

    assert isinstance(look(World(registry=Registry(assets=fiat))), ArbOpened)
    said = look(World(registry=capped))
    assert isinstance(said, OpportunityDeclined)
    assert said.reason is Reason.BANK_EXPOSURE


def test_venues_of_one_entity_share_a_cap() -> None:
    """Count two venues of one owner as one."""
    owner = VenueEntry(entity="same")
    said = look(World(registry=Registry(venues={KRAKEN: owner, COINBASE: owner})))

    assert isinstance(said, OpportunityDeclined)
    assert (Reason.COUNTERPARTY_SHARE, Decimal(1)) == (said.reason, said.value)


def test_room_is_what_a_node_still_takes() -> None:
    """Return the cap less what stands on a node, and none where no cap applies."""
    world = World()
    look(world)
    state = world.engine.state

    assert room(state, (NodeKind.BANK, "unknown")) is None
    left = room(state, (NodeKind.VENUE, "kraken"))
    assert left is not None
    assert Decimal("0.75") * table_of(state).whole - table_of(state).exposure[NodeKind.VENUE, "kraken"] == left


def test_an_open_residual_counts_with_its_present_loss() -> None:
    """Latch the day's loss when a stranded leg's price falls, at the next snapshot and not before, and ignore its gains."""
    world = World(limits=RiskLimits(loss_day_max=Decimal(8)))
    for line in (
        *EDGE,
        "kraken filled 1 @100.1",
        "coinbase rejected other",
        "operator halt",
        "coinbase rejected other",
    ):
        world.line(line)
    snapshot = AccountSnapshotReceived(
        venue=KRAKEN, balances=(Balance(asset=BTC, total=Decimal(11)), Balance(asset=USD, total=Decimal("9899.9")))
    )
    losses = []
    for bid in ("120.0", "95.0", "90.0"):
        for venue in ("kraken", "coinbase"):
            world.line(f"{venue} book bid {bid}x1 ask {bid}x1")
        world.give(snapshot)
        losses.append(loss_open(world.engine.state))
    latched = [one.limit for _, outcome in world.log for one in outcome.decisions if isinstance(one, LimitLatched)]

    assert losses == [Decimal(0), Decimal("5.1"), Decimal("10.1")]
    assert latched == ["loss_day"]


def test_the_issuer_of_ones_own_unit_is_capped_only_by_name() -> None:
    """Who counts in tether may hold nothing else; a line of the registry caps it all the same."""
    registry = Registry(assets={Asset("USDT"): AssetEntry(issuer="tether", peg="USD")})
    node = (NodeKind.ISSUER, "tether")
    named = msgspec.structs.replace(registry, share_max={node: Decimal("0.5")})

    def judged(ccy: str, known: Registry) -> bool:
        return is_judged(EngineConfig(ccy=Asset(ccy), venues=(), instruments=(), registry=known), node)

    assert [False, True, True] == [judged("USDT", registry), judged("USD", registry), judged("USDT", named)]
