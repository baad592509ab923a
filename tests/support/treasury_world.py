"""Two pretend venues that are connected by pretend chains, and our gateways to both, for tests of transfers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from arbot.domain.events import MovementState, TransferReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import ApprovedTransfer, Network, TransferId, TransferIntent
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.sim.faults import parse_fault
from arbot.sim.model import RegisteredAddress
from arbot.sim.serve import SimOptions, SimServer, VenueOptions, serve
from arbot.venues.factory import make_gateway

BTC, BITCOIN = Asset("BTC"), Network("bitcoin")
ADAPTERS = {"kraken": "kraken", "coinbase": "coinbase", "bitstamp": "ccxt:bitstamp"}
NAMES: dict[str, dict[Network, str]] = {
    "kraken": {BITCOIN: "Bitcoin", Network("ethereum"): "Ethereum", Network("tron"): "Tron"},
    "coinbase": {BITCOIN: "bitcoin", Network("ethereum"): "ethereum", Network("tron"): "tron"},
    "bitstamp": {BITCOIN: "bitcoin", Network("ethereum"): "ethereum"},
}
ADDRESSES = {name: f"sim-{name}-btc-bitcoin-main" for name in ADAPTERS}
KEYS = (
    RegisteredAddress(asset="BTC", key="to-coinbase", address=ADDRESSES["coinbase"], fee=Decimal("0.0002")),
    RegisteredAddress(asset="BTC", key="to-bitstamp", address=ADDRESSES["bitstamp"], fee=Decimal("0.0002")),
    RegisteredAddress(asset="BTC", key="elsewhere", address="bc1-somebody-elses", fee=Decimal("0.0002")),
    RegisteredAddress(
        asset="BTC", key="unproved", address=ADDRESSES["coinbase"], fee=Decimal("0.0002"), is_verified=False
    ),
)
WAIT_S = 15


class World:
    """The venues, our gateways, and what the venues themselves know."""

    def __init__(self, server: SimServer, gateways: Mapping[str, Any], clock: SystemClock) -> None:
        self.server, self.gateways, self.clock = server, gateways, clock
        self._count = 0

    def approved(self, source: str, target: str, **changes: Any) -> ApprovedTransfer:
        """Return an approved transfer of 0.5 BTC; built here as the risk engine would."""
        self._count += 1
        plain: dict[str, Any] = {
            "transfer": TransferId(f"1-t{self._count}"),
            "source": VenueId(source),
            "target": VenueId(target),
            "asset": BTC,
            "network": BITCOIN,
            "address": ADDRESSES[target],
            "key": f"to-{target}" if source == "kraken" else "",
            "qty": Decimal("0.5"),
            "fee_max": Decimal("0.001"),
            "requested_ts_ns": self.clock.now_ns(),
            "actor": "test",
        }
        return ApprovedTransfer(intent=TransferIntent(**(plain | changes)), rules=())

    def total(self, venue: str, asset: str = "BTC") -> Decimal:
        """Return what a venue itself says it owes us."""
        return self.server.venues[venue].balances("main")[asset].total

    def sent(self, venue: str) -> int:
        """Return how many withdrawals a venue itself has taken from us."""
        return len(self.server.venues[venue].transfers("main", deposits=False))

    def arm(self, *faults: str) -> None:
        """Arm faults as the command line writes them."""
        self.server.faults.arm([parse_fault(text) for text in faults], self.clock.now_ns())

    async def reported(self, venue: str, *, deposits: bool, state: MovementState) -> TransferReported:
        """Return the newest line of a venue's history in a direction, as soon as it is in that state."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = [one for one in await self.gateways[venue].fetch_transfers(0) if (one.qty > 0) is deposits]
                if found and found[-1].state is state:
                    return found[-1]
                await asyncio.sleep(0.1)


@asynccontextmanager
async def treasury_world(*names: str, speed: float = 100_000, faults: tuple[str, ...] = ()) -> AsyncIterator[World]:
    """Serve venues whose keys may withdraw, and gateways to them."""
    clock = SystemClock()
    options = SimOptions(
        venues=tuple(
            VenueOptions(
                name=name,
                flavour=name,
                rate_tier="unmetered",
                can_withdraw=True,
                withdraw_keys=KEYS if name == "kraken" else (),
            )
            for name in names or ("kraken", "coinbase")
        ),
        chain_speed=speed,
        transfer_step_ms=50,
        faults=faults,
    )
    async with serve(options, clock) as server:
        gateways = {}
        for name, one in server.running.items():
            config = VenueConfig(
                venue=VenueId(name),
                adapter=ADAPTERS[name],
                symbols=("BTC/USD", "ETH/USD"),
                tier="pro",
                request_timeout_ms=1_000,
                networks=NAMES[name],
                **one.urls,
            )
            gateways[name] = make_gateway(config, Credentials(Secret(one.keys.key), Secret(one.keys.secret)), clock)
        try:
            yield World(server, gateways, clock)
        finally:
            for gateway in gateways.values():
                await gateway.close()
