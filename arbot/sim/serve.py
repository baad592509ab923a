"""Pretend venues, running: the one entry for `arbot sim serve`, `arbot demo` and tests.

    async with serve(SimOptions(seed=7), clock) as server:
        print(server.describe())

Everything random comes from the seed; time comes from the clock given. The market is driven by a task of the context:
a broken invariant in it ends the body with that error.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import web

from arbot.domain.errors import Mistake, UserError
from arbot.domain.units import ZERO, bps_to_rate, fmt
from arbot.ports import Clock
from arbot.sim import chance
from arbot.sim.faults import FaultPlan, parse_fault
from arbot.sim.fees import FeeTier
from arbot.sim.latency import Latency, LatencyModel
from arbot.sim.listing import FLAVOURS, instruments_of
from arbot.sim.market import Market, SeededMarket, SeededSpec
from arbot.sim.model import RegisteredAddress
from arbot.sim.networks import Chains
from arbot.sim.recorded import RecordedMarket, RecordedSpec, recorded_venues, symbols_of
from arbot.sim.venue import SimVenue
from arbot.sim.wire import tls
from arbot.sim.wire.admin import Admin
from arbot.sim.wire.desk import Desk
from arbot.sim.wire.server import WIRES, KeyPair, Site, WireOptions

ACCOUNT = "main"
TICK_S = 0.004
DEFAULT_BALANCES = {"USD": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(40), "DOGE": Decimal(500_000)}
DEFAULT_PLAYERS = {"kraken": "kraken", "coinbase": "bitfinex", "bitstamp": "gemini"}
"""Which recorded venue plays a pretend one unless told otherwise: USD books beside USD books."""


class VenueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One pretend venue. `flavour` is a row of `listing.FLAVOURS` and says which protocol it speaks.

    `volume_opening` None takes the flavour's; `rates_bps` (maker, taker) stand for its tiers at any volume;
    `withdraw_keys` are the addresses that the customer has registered for withdrawals, where a venue wants that.
    """

    name: str
    flavour: str
    balances: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(DEFAULT_BALANCES))
    volume_opening: Decimal | None = None
    rates_bps: tuple[Decimal, Decimal] | None = None
    rate_tier: str = "intermediate"
    can_withdraw: bool = False
    withdraw_keys: tuple[RegisteredAddress, ...] = ()
    port: int = 0


DEFAULT_VENUES = (
    VenueOptions(name="kraken", flavour="kraken"),
    VenueOptions(name="coinbase", flavour="coinbase"),
)


class SimOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a server is told. With `recorded` its symbols come from the recording, and `symbols` is not read.

    With `tls_directory` the venues speak https and wss under a self-made certificate that is written there.
    `mapping` goes from our venue to a recorded one; venues it leaves out take DEFAULT_PLAYERS. `faults` as
    `faults.parse_fault` reads them.
    """

    seed: int = 7
    venues: tuple[VenueOptions, ...] = DEFAULT_VENUES
    symbols: tuple[str, ...] = ("BTC/USD", "ETH/USD")
    market: SeededSpec = SeededSpec()
    recorded: Path | None = None
    mapping: dict[str, str] = {}
    speed: Decimal = Decimal(1)
    loop: bool = False
    latency: Latency = Latency()
    faults: tuple[str, ...] = ()
    chain_speed: float = 60.0  # how much faster than real ones the chains between the venues run
    transfer_step_ms: int = 2_000  # how long a withdrawal stays in each state before it is sent out
    rows_grouped_share: float = 0.3
    admin_port: int = 0
    tls_directory: Path | None = None


class RunningVenue(msgspec.Struct, frozen=True):
    """A venue that is being served."""

    options: VenueOptions
    venue: SimVenue
    site: Site
    urls: Mapping[str, str]
    keys: KeyPair


class SimServer:
    """What `serve` gives: the venues, the levers, and what a customer needs to know."""

    def __init__(self, options: SimOptions, running: Mapping[str, RunningVenue], levers: Admin, admin_url: str) -> None:
        self.options = options
        self.running = running
        self.market = levers.market
        self.faults = levers.faults
        self.chains = levers.chains
        self.admin_url = admin_url
        self._admin = levers

    @property
    def venues(self) -> dict[str, SimVenue]:
        """The venues themselves, by name."""
        return {name: one.venue for name, one in self.running.items()}

    def truth(self) -> dict[str, object]:
        """Return what the venues know, as GET /truth does; proves the invariants. Raises: InvariantBroken."""
        return self._admin.truth()

    def describe(self) -> dict[str, object]:
        """Return addresses, keys and market: the one JSON line of `arbot sim serve --json`."""
        return {
            "seed": self.options.seed,
            "admin_url": self.admin_url,
            "market": self.market.describe(),
            "faults": list(self.options.faults),
            "certificate": str(self.options.tls_directory / tls.CERTIFICATE) if self.options.tls_directory else "",
            "venues": {
                name: {
                    "flavour": one.options.flavour,
                    **one.urls,
                    "key": one.keys.key,
                    "secret": one.keys.secret,
                    "account": ACCOUNT,
                    "symbols": list(one.venue.instruments),
                    "balances": {asset: fmt(total) for asset, total in one.options.balances.items()},
                }
                for name, one in self.running.items()
            },
        }


@asynccontextmanager
async def serve(options: SimOptions, clock: Clock) -> AsyncIterator[SimServer]:
    """Serve pretend venues until the context ends. Raises: UserError for options that cannot be."""
    check(options)
    rng_of = _streams(options.seed)
    started_ns = clock.now_ns()
    symbols = symbols_of(_recorded(options)) if options.recorded else options.symbols
    venues = {one.name: _venue(one, symbols, options, started_ns) for one in options.venues}
    market: Market = (
        RecordedMarket(venues, _recorded(options))
        if options.recorded
        else SeededMarket(venues, rng_of, _spec_for(options.market, symbols))
    )
    market.start(started_ns)
    faults = FaultPlan(rng_of)
    faults.arm((parse_fault(text) for text in options.faults), started_ns)
    chains = Chains(rng_of, faults, options.chain_speed)
    for venue in venues.values():
        chains.connect(venue)
    admin = Admin(venues, market, faults, clock, chains)
    sites: list[Site] = []
    certificate = tls.write_certificate(options.tls_directory, started_ns) if options.tls_directory else None
    try:
        running: dict[str, RunningVenue] = {}
        for one in options.venues:
            desk = Desk(venues[one.name], clock, faults, LatencyModel(options.latency, rng_of(f"latency/{one.name}")))
            app = web.Application()
            wire = WIRES[one.flavour]
            wire_options = WireOptions(one.rate_tier, options.rows_grouped_share, one.can_withdraw)
            keys = wire.mount(app, desk, rng_of(f"wire/{one.name}"), ACCOUNT, wire_options)
            sites.append(Site(app))
            host = await sites[-1].start(one.port, None if certificate is None else tls.server_context(certificate))
            urls = wire.urls(host) if certificate is None else tls.secured(wire.urls(host))
            running[one.name] = RunningVenue(one, venues[one.name], sites[-1], urls, keys)
        admin_app = web.Application()
        admin.mount(admin_app)
        sites.append(Site(admin_app))
        admin_url = f"http://{await sites[-1].start(options.admin_port)}"
        server = SimServer(options, running, admin, admin_url)
        async with asyncio.TaskGroup() as group:
            driver = group.create_task(_drive(market, venues, chains, clock))
            try:
                yield server
            finally:
                driver.cancel()
    finally:
        for site in reversed(sites):
            await site.stop()


async def _drive(market: Market, venues: Mapping[str, SimVenue], chains: Chains, clock: Clock) -> None:
    while True:
        now_ns = clock.now_ns()
        market.advance(now_ns)
        chains.advance(now_ns)
        for venue in venues.values():
            venue.advance(now_ns)
        await clock.sleep(TICK_S)


def check(options: SimOptions) -> None:
    """Find every mistake in the options at once. Raises: UserError."""
    mistakes: list[Mistake] = []
    names = [one.name for one in options.venues]
    if len(set(names)) != len(names) or not names:
        mistakes.append(Mistake("venues", "names must be given and differ", "name each venue once"))
    for one in options.venues:
        if one.flavour not in WIRES:
            mistakes.append(Mistake(f"venues.{one.name}", f"no pretend {one.flavour!r}", f"one of {', '.join(WIRES)}"))
            continue
        known = FLAVOURS[one.flavour].instruments
        unknown = [symbol for symbol in options.symbols if symbol not in known and options.recorded is None]
        if unknown:
            told = f"{one.flavour} does not list {', '.join(unknown)}"
            mistakes.append(Mistake(f"venues.{one.name}", told, f"use {', '.join(known)}"))
    mistakes += [
        Mistake("mapping", f"no venue {name!r}", f"one of {', '.join(names)}")
        for name in options.mapping
        if name not in names
    ]
    for text in options.faults:
        try:
            fault = parse_fault(text)
        except UserError as error:
            mistakes.extend(error.mistakes)
            continue
        if fault.venue and fault.venue not in names:
            mistakes.append(Mistake(f"fault {fault.name}", f"no venue {fault.venue!r}", f"one of {', '.join(names)}"))
    if mistakes:
        raise UserError(*mistakes)


def _streams(seed: int) -> Callable[[str], random.Random]:
    return lambda name: chance.stream(seed, name)


def _recorded(options: SimOptions) -> RecordedSpec:
    directory = options.recorded
    if directory is None:
        raise UserError(Mistake("market", "no recording is given", "give a directory of recorded books"))
    known = recorded_venues(directory)
    mapping = {one.name: options.mapping.get(one.name, DEFAULT_PLAYERS[one.flavour]) for one in options.venues}
    missing = {name: there for name, there in mapping.items() if there not in known}
    if missing:
        raise UserError(
            *(
                Mistake(f"mapping.{name}", f"{there} is not recorded in {directory.name}", f"one of {', '.join(known)}")
                for name, there in missing.items()
            ),
        )
    return RecordedSpec(directory=directory, mapping=mapping, speed=options.speed, loop=options.loop)


def _spec_for(spec: SeededSpec, symbols: tuple[str, ...]) -> SeededSpec:
    """Return the spec with only the prices that are traded. Raises: UserError for an asset without a price."""
    assets = {asset for symbol in symbols for asset in symbol.split("/")}
    lacking = sorted(assets - set(spec.prices) - set(spec.quote_rates))
    if lacking:
        raise UserError(Mistake("market", f"no starting price for {', '.join(lacking)}", "add it to market.prices"))
    prices = {asset: price for asset, price in spec.prices.items() if asset in assets}
    return msgspec.structs.replace(spec, prices=prices)


def _venue(one: VenueOptions, symbols: tuple[str, ...], options: SimOptions, now_ns: int) -> SimVenue:
    flavour = FLAVOURS[one.flavour]
    venue = SimVenue(
        one.name,
        instruments_of(one.name, one.flavour, symbols),
        flavour.tiers if one.rates_bps is None else (FeeTier(ZERO, *(bps_to_rate(bps) for bps in one.rates_bps)),),
        chance.stream(options.seed, "venue", one.name),
        msgspec.structs.replace(flavour.policy, transfer_step_ms=options.transfer_step_ms),
    )
    volume = flavour.volume_opening if one.volume_opening is None else one.volume_opening
    venue.open_account(ACCOUNT, one.balances, now_ns, volume)
    venue.withdraw_keys.update({(address.asset, address.key): address for address in one.withdraw_keys})
    return venue
