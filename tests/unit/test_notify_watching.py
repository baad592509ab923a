"""What a person is told that no step says by itself: an arb unhedged for too long, and how cheap it is to tell."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from arbot.domain.decisions import ArbState
from arbot.engine.config import ExecutionPolicy
from arbot.notify.message import Message
from arbot.runtime.clock import NS_PER_S, VirtualClock
from arbot.runtime.notifying import _tell_unhedged


@dataclass
class Arb:
    """As much of an arb as is looked at."""

    id: str
    state: ArbState
    unhedged_since_ns: int
    assets: tuple[str, ...] = ("BTC", "USDT")


@dataclass
class World:
    """As much of a daemon as is looked at."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    unfinished: dict[str, Arb] = field(default_factory=dict)

    @property
    def wiring(self) -> Any:
        return self

    engine = state = wiring

    @property
    def config(self) -> Any:
        return self

    @property
    def execution(self) -> ExecutionPolicy:
        return ExecutionPolicy(leg_deadline_ms=1_000, hedge_seconds_max=10)

    def residual(self, arb: Arb, asset: str) -> Decimal:
        return Decimal("-0.25") if asset == "BTC" else Decimal(0)

    def begin(self, name: str, state: ArbState) -> None:
        self.unfinished[name] = Arb(name, state, self.clock.now_ns())


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def tell(self, message: Message) -> None:
        self.messages.append(message)


async def test_an_arb_that_stays_unhedged_is_told() -> None:
    """Tell of it after legs and hedging had their time, not before, and not of one that is stranded: that was told."""
    world, told = World(), Told()
    world.begin("7-1", ArbState.HEDGING)
    world.begin("7-2", ArbState.STRANDED)
    began_ns = world.clock.now_ns()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_tell_unhedged(world, told))  # type: ignore[arg-type]
        await world.clock.run_for(11, step_s=0.5)
        assert [] == told.messages
        await world.clock.run_for(2, step_s=0.5)
        watching.cancel()

    (message,) = told.messages
    assert "unhedged" == message.code
    assert message.is_critical
    assert message.text.startswith("arb 7-1 is hedging with -0.25 BTC, unhedged since 2023-11-14 22:13:20 UTC")
    assert 11 * NS_PER_S < world.clock.now_ns() - began_ns


async def test_a_hedged_arb_is_left_alone() -> None:
    """Say nothing once the residual is gone."""
    world, told = World(), Told()
    world.begin("7-1", ArbState.HEDGING)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_tell_unhedged(world, told))  # type: ignore[arg-type]
        await world.clock.run_for(9, step_s=0.5)
        world.unfinished["7-1"].unhedged_since_ns = 0
        await world.clock.run_for(20, step_s=0.5)
        watching.cancel()

    assert [] == told.messages
