"""A daemon moves BTC between pretend venues through their real protocols, and finds out what goes wrong on the way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import TransferMoved, TransferRefused
from arbot.domain.events import TransferRequested
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import TRANSFER_LIFE, Network, TransferState
from arbot.journal.store import SqlStore
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, Report, ours_equal, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.sim.market import SeededSpec

QUIET = SeededSpec(jumps_per_minute=0.001)
WAIT_S = 30
ALLOW = [
    {
        "venue": "coinbase",
        "asset": "BTC",
        "network": "bitcoin",
        "address": "sim-coinbase-btc-bitcoin-main",
        "key": "coinbase-btc",
    },
    {
        "venue": "kraken",
        "asset": "BTC",
        "network": "bitcoin",
        "address": "sim-kraken-btc-bitcoin-main",
        "fee_max": "0.001",
    },
]
ROUTE = (VenueId("coinbase"), Asset("BTC"), Network("bitcoin"))
TRANSFERS = {
    "enabled": True,
    "confirm_above": "50000",
    "transit_network_max": "500000",
    "transit_total_max": "500000",
    "poll_seconds": 3,  # Kraken's counter of calls drains by one a second
    "allow": ALLOW,
}


class World:
    """The running daemon, the simulator behind it, and what the engine concluded about transfers."""

    def __init__(self, daemon: Daemon, process: SimProcess) -> None:
        self.daemon, self.process = daemon, process
        self.moves: list[str] = []
        self.refusals: list[str] = []
        self.alerts: list[str] = []
        daemon.observers.append(self._observe)

    def _observe(self, _envelope: Any, outcome: Any) -> None:
        self.alerts += [one.code for one in outcome.commands if isinstance(one, RaiseAlert)]
        for decision in outcome.decisions:
            if isinstance(decision, TransferMoved) and decision.before is not decision.after:
                self.moves.append(str(decision.after))
            elif isinstance(decision, TransferRefused):
                self.refusals.append(str(decision.reason))

    def ask(self, qty: str = "0.1", network: str = "bitcoin", way: tuple[str, str] = ("kraken", "coinbase")) -> None:
        """Ask for a transfer as a person would."""
        self.moves.clear()
        self.daemon.sequencer.submit(
            (
                TransferRequested(
                    source=VenueId(way[0]),
                    target=VenueId(way[1]),
                    asset="BTC",
                    network=Network(network),
                    qty=Decimal(qty),
                    actor="test",
                ),
            )
        )

    async def until(self, reached: Callable[[], object], what: str) -> None:
        """Wait for something, at most WAIT_S."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not reached():  # noqa: ASYNC110 - a condition over many things
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{what}: {self.moves} {self.refusals} {self.alerts}") from None

    async def ready(self) -> None:
        """Wait until both venues are reconciled and have told of their networks."""
        state = self.daemon.engine.state
        await self.until(
            lambda: all(
                state.venue(VenueId(name)).networks_ts_ns and state.venue(VenueId(name)).is_reconciled
                for name in ("kraken", "coinbase")
            ),
            "networks",
        )

    def is_all_listed(self) -> bool:
        """Whether the ledger knows every transfer that left from the source's own history."""
        transfers = self.daemon.engine.state.transfers.values()
        return all(one.is_listed or one.state is TransferState.FAILED for one in transfers)

    async def arm(self, *faults: str) -> None:
        """Arm faults of the simulator."""
        await self.process.pull("faults", {"faults": list(faults)})

    async def sent(self) -> int:
        """Return how many withdrawals Kraken has taken from us."""
        return sum(not one["is_deposit"] for one in (await self.process.books())["kraken"]["transfers"])


def follows(moves: list[str]) -> bool:
    """Whether each state may follow the one before it."""
    states = [TransferState(one) for one in moves]
    return all(after in TRANSFER_LIFE[before] for before, after in itertools.pairwise(states))


async def play(
    tmp_path: Path, story: Callable[[World], Awaitable[None]], **tables: Any
) -> tuple[Report, dict[str, dict[str, Decimal]], dict[str, dict[str, Decimal]]]:
    """Run a demo whose venues let money move, tell the story, and return (report, ledger, the venues' truth)."""
    changes = {"transfers": TRANSFERS, "sim": {"chain_speed": 2_000}, **tables}
    polls = {name: {"adapter": name, "poll_interval_ms": 2_500, "tier": "pro"} for name in ("kraken", "coinbase")}
    settings = demo(tmp_path, {"venues": polls, **changes})
    options = msgspec.structs.replace(sim_options(settings), market=QUIET, transfer_step_ms=100)
    failures: list[BaseException] = []
    async with SimProcess(settings, options) as process:

        @asynccontextmanager
        async def tell(daemon: Daemon) -> AsyncIterator[None]:
            async def work() -> None:
                try:
                    world = World(daemon, process)
                    await world.ready()
                    await story(world)
                    await world.until(world.is_all_listed, "the source's history")
                except BaseException as error:  # noqa: BLE001 - handed to the test below
                    failures.append(error)
                daemon.drain("test", "the story is told")

            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                yield

        report = await asyncio.wait_for(run_daemon(process.settings(), Options(duration_s=70.0, services=(tell,))), 90)
        truth = await process.truth()
    if failures:
        raise failures[0]
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        assert store.verify() == ()
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
    finally:
        store.close()
    return report, ours, truth


async def test_money_moves_and_a_lost_answer_moves_it_once(tmp_path: Path):
    """State by state to credited; then an answer is lost: unknown, found in the history, and never sent again."""

    async def story(world: World) -> None:
        await world.arm("congestion:count=1,factor=10")  # long enough for its states to be seen
        world.ask()
        await world.until(lambda: "credited" in world.moves, "the first transfer")
        assert "accepted" == world.moves[0]
        assert {"broadcast", "confirmed"} & set(world.moves)
        assert follows(world.moves)
        assert 1 == await world.sent()

        await world.arm("withdraw-cut:count=1")
        world.ask("0.2")
        await world.until(lambda: "credited" in world.moves, "the transfer whose answer was lost")
        assert "unknown" == world.moves[0]
        assert 2 == await world.sent()

    report, ours, truth = await play(tmp_path, story)
    assert report.ending.is_clean
    assert ours_equal(ours, truth)


async def test_what_is_not_as_it_should_be_is_refused_or_found(tmp_path: Path):
    """A rotated address and another network are refused before anything leaves; a half that is missing is found."""

    async def story(world: World) -> None:
        await world.arm("address-rotated:venue=coinbase,ms=1500")
        await asyncio.sleep(0.1)
        world.ask("0.05")
        await world.until(lambda: "failed" in world.moves, "the refusal of a rotated address")
        assert "address_changed" in world.alerts
        await asyncio.sleep(1.5)

        world.ask("0.05", network="tron")
        await world.until(lambda: "network_mismatch" in world.refusals, "the refusal of another network")
        assert 0 == await world.sent()

        await world.arm("credit-less:count=1")  # the target may well credit it before the source tells its transaction
        world.ask("0.3")
        await world.until(lambda: "transfer_short" in world.alerts, "the half that is missing")
        assert "stuck" == world.moves[-1]
        assert 1 == await world.sent()

    report, ours, truth = await play(tmp_path, story)
    assert report.ending.failure is None
    assert ours_equal(ours, truth)


async def test_a_transfer_that_never_arrives_is_overdue(tmp_path: Path):
    """Later than its route allows it is stuck, an alarm is raised, and the next one of its asset is refused."""
    registry = tmp_path / "registry.toml"
    registry.write_text(
        '[networks.bitcoin]\nchain = "bitcoin"\nminutes_p50 = "0.1"\nminutes_p99 = "0.15"\n'
        'names = { kraken = "Bitcoin", coinbase = "bitcoin" }\n'
    )

    async def story(world: World) -> None:
        await world.arm("transfer-stuck")
        world.ask()
        await world.until(lambda: "stuck" in world.moves, "the alarm")
        assert "transfer_overdue" in world.alerts
        world.ask("0.05")
        await world.until(lambda: "transfer_overdue" in world.refusals, "the refusal of another")
        assert 1 == await world.sent()

    report, ours, truth = await play(tmp_path, story, exposure={"registry": str(registry)})
    assert report.ending.failure is None
    assert ours_equal(ours, truth)


async def test_a_source_that_tells_no_fee_sends_for_what_was_granted(tmp_path: Path):
    """Coinbase tells no fee: it sends for what the allow-list grants, its fee is booked as it was, and is then known."""

    async def story(world: World) -> None:
        world.ask(way=("coinbase", "kraken"))
        await world.until(lambda: "credited" in world.moves, "the transfer from Coinbase")
        await world.until(world.is_all_listed, "Coinbase's history")
        (transfer,) = world.daemon.engine.state.transfers.values()
        await world.until(lambda: world.daemon.engine.state.network_fees.get(ROUTE), "the lesson")
        assert Decimal("0.001") == transfer.intent.fee_max
        assert 0 < transfer.fee_paid <= transfer.intent.fee_max
        assert transfer.fee_paid == world.daemon.engine.state.network_fees[ROUTE].fee

    report, ours, truth = await play(tmp_path, story)
    assert report.ending.is_clean
    assert ours_equal(ours, truth)
