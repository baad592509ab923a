"""The config file as one frozen value: every table and key there is, with its default.

`load.load` is the way to get one. [limits] and [execution] are made from the engine's own types, so the file's names
and defaults are the engine's; the bounds come from `fields`. Nothing here holds a secret: keys are named by file.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.transfer import Network
from arbot.engine.config import (
    AllowedAddress,
    EngineConfig,
    ExecutionPolicy,
    ExposureCaps,
    HealthPolicy,
    MaintenanceRule,
    NewsPolicy,
    PegPolicy,
    RiskLimits,
    RiskPolicy,
    TransferLimits,
    TransferPolicy,
)
from arbot.notify.message import CHOICES, MONEY_CRITICAL
from arbot.ports import VenueConfig
from arbot.settings.fields import (
    AccountName,
    AssetName,
    FaultText,
    FilePath,
    Holding,
    HostName,
    HourOrEmpty,
    Moment,
    MomentOrEmpty,
    Number,
    RunName,
    Symbol,
    VenueName,
    bound_of,
    matching,
    moment_ns,
    one_of,
    strategy_name,
    within,
)
from arbot.settings.registry import load_registry


class Mode(StrEnum):
    """Where orders go."""

    PAPER = "paper"  # the venues' public books, pretend accounts
    LIVE = "live"
    DEMO = "demo"  # the real wire protocols, against simulators on loopback


class Table(BaseModel):
    """A table of the file: frozen, exact types, and no key that is not listed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


def _numbers(name: str, source: type[msgspec.Struct], **more: Any) -> type[Table]:
    """Return a table with the fields and defaults of an engine type, each within its bound, and `more` columns."""
    columns: dict[str, Any] = dict(more)
    for field in msgspec.structs.fields(source):
        if isinstance(field.default, bool):
            columns[field.name] = (bool, field.default)
            continue
        kind = Number if isinstance(field.default, Decimal) else int
        columns[field.name] = (
            Annotated[kind, AfterValidator(within(bound_of(field.name, field.default)))],
            field.default,
        )
    return create_model(name, __base__=Table, __doc__=source.__doc__, **columns)


_Limits = _numbers("Limits", RiskLimits)
_Execution = _numbers("Execution", ExecutionPolicy)

_Risk = _numbers("Risk", RiskPolicy)

_tuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
Symbols = Annotated[tuple[Symbol, ...], _tuple]
Faults = Annotated[tuple[FaultText, ...], _tuple]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
AdapterName = Annotated[
    str,
    AfterValidator(
        matching(
            r"kraken|coinbase|ccxt:[a-z0-9]+",
            "an adapter",
            'use "kraken", "coinbase", or "ccxt:<exchange id>" for any other',
        )
    ),
]


class Maintenance(Table):
    """[[health.maintenance]]: a time in which a venue will not be there, known beforehand."""

    venue: VenueName
    starts_at: Moment
    ends_at: Moment
    weekly: bool = False  # the same every seven days from then on


_Health = _numbers("Health", HealthPolicy, maintenance=(Annotated[tuple[Maintenance, ...], _tuple], ()))
_Pegs = _numbers("Pegs", PegPolicy)
_News = _numbers("News", NewsPolicy)
_Exposure = _numbers("Exposure", ExposureCaps, registry=(FilePath | None, None))  # a file that extends ours


class Run(Table):
    """[run]: what this process is."""

    name: RunName
    mode: Annotated[Mode, Field(strict=False)] = Mode.PAPER
    live: bool = False  # the second of three locks before live trading; the others are --live and the start-up check
    state_dir: FilePath = Path("state")
    ccy: AssetName = "USD"  # limits and profit are told in it
    symbols: Annotated[Symbols, Field(min_length=1)]
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class StoreTable(Table):
    """[store]: where the journal and its projections live."""

    url: Annotated[str, Field(repr=False)] = ""  # an SQLAlchemy URL; empty is SQLite in run.state_dir


class Http(Table):
    """[http]: the loopback page for health, metrics and the operator."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8787  # 0 takes any free port; state_dir/daemon.json says which
    allow_remote: bool = False  # bind may then be another address; it has no TLS, so put a proxy before it
    hosts: Annotated[
        tuple[HostName, ...], _tuple
    ] = ()  # names beside loopback and bind under which it may be asked: a VPN, a container
    token_file: FilePath | None = None  # mode 0600, yours to choose; none: a new token in state_dir for every run
    read_only: bool = False  # nothing can be asked for, token or not: every POST is refused


class Venue(Table):
    """[venues.<name>]: one venue account."""

    adapter: AdapterName
    symbols: Symbols = ()  # empty: all of run.symbols
    key_file: FilePath | None = None
    book_depth: Annotated[int, Field(ge=1, le=5_000)] = 100
    tier: str = "intermediate"
    rest_url: str = ""
    ws_public_url: str = ""
    ws_private_url: str = ""
    request_timeout_ms: Milliseconds = 5_000
    frame_age_ms_max: Milliseconds = 5_000
    poll_interval_ms: Annotated[int, Field(ge=100, le=3_600_000)] = 15_000

    def adapter_name(self) -> str:
        """Return the venue's name as the adapter has it: what the registry calls it, whatever the file does."""
        return self.adapter.removeprefix("ccxt:")


PAPER_MAKER_BPS, PAPER_TAKER_BPS = Decimal(25), Decimal(40)  # Kraken's first tier, read 2026-11


class PretendAccount(Table):
    """[paper.venues.<name>]: what a pretend account starts with and pays."""

    balances: Annotated[dict[AssetName, Holding], Field(min_length=1)]
    maker_bps: Annotated[Number, Field(ge=-100, le=1_000)] | None = None  # below zero is a rebate; without both: in
    taker_bps: Annotated[Holding, Field(le=1_000)] | None = None  # the demo the venue's own tiers, on paper 25 and 40

    def rates_bps(self) -> tuple[Decimal, Decimal] | None:
        """Return (maker, taker) when the file says both or one of them, else None for the venue's own schedule."""
        if self.maker_bps is None and self.taker_bps is None:
            return None
        maker = PAPER_MAKER_BPS if self.maker_bps is None else self.maker_bps
        return maker, PAPER_TAKER_BPS if self.taker_bps is None else self.taker_bps


class Paper(Table):
    """[paper]: pretend accounts, used in the modes paper and demo."""

    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 120  # from decision to arrival at the pretend venue (paper)
    venues: dict[VenueName, PretendAccount] = {}


class StrategyTable(Table):
    """[strategy]: which plug-in proposes, and its own parameters."""

    name: Annotated[str, AfterValidator(strategy_name)] = (
        "strategies.cross_venue"  # a dotted name, or a path to a .py file
    )
    lot_method: Literal["", "fifo", "lifo", "hifo", "lofo"] = ""  # of its orders only; empty: the standing order holds
    params: dict[str, Any] = {}


class Allow(Table):
    """[[transfers.allow]]: the one address at a venue to which an asset may be sent over a network."""

    venue: VenueName  # the target: it has to give out this very address when asked
    asset: AssetName
    network: Annotated[str, AfterValidator(matching(r"[a-z][a-z0-9_-]{0,31}", "a network", "use the registry's name"))]
    address: Annotated[str, Field(min_length=1)]
    tag: str = ""  # memo, payment id: needed where the registry says so
    key: str = ""  # the source's own name of this address (Kraken sends to registered ones only)
    fee_max: Annotated[Number, Field(ge=0)] = Decimal(
        0
    )  # in the asset: what a source that tells no fee (Coinbase, Bitstamp) may take; 0 = unknown


_TransferLimits = _numbers("TransferLimits", TransferLimits)


class Transfers(_TransferLimits):  # type: ignore[valid-type, misc]
    """[transfers]: whether money may leave a venue, where to, within what bounds. Off: a key that can withdraw is refused."""

    enabled: bool = False
    allow: Annotated[tuple[Allow, ...], _tuple] = ()


class Sim(Table):
    """[sim]: the simulators of the mode demo."""

    seed: Annotated[int, Field(ge=0)] = 7
    market: FilePath | None = None  # a folder of recorded books; without it the market comes from the seed
    map: dict[VenueName, str] = {}  # our venue -> the venue in the recording
    speed: Annotated[Number, Field(gt=0, le=1_000)] = Decimal(1)  # of a recorded market against the clock
    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 20
    chain_speed: Annotated[Number, Field(gt=0, le=1_000_000)] = Decimal(60)  # of pretend chains against real ones
    faults: Faults = ()  # what the simulators do wrong: "ws-cut" or "ws-cut:every_ms=9000"; `arbot demo --help` lists them


class Tape(Table):
    """[tape]: whether the daemon records the market data it sees, and how."""

    record: bool = False
    dir: FilePath = Path("tape")
    rotate_s: Annotated[int, Field(ge=1, le=3_600)] = 60  # a file is closed this often; a kill loses what is open
    with_trades: bool = True  # trade prints too


LatencyModel = Literal["fixed", "lognormal", "measured"]
ModelMs = Annotated[Number, Field(ge=0, le=60_000)]
Share = Annotated[Number, Field(ge=0, le=1)]
PerSecond = Annotated[Number, Field(ge=Decimal("0.01"), le=10_000)]
Burst = Annotated[int, Field(ge=3, le=10_000)]  # an arb needs room for a leg, a hedge and a cancel
Factor = Annotated[Number, Field(ge=1, le=1_000)]
Minutes = Annotated[Number, Field(ge=0, le=100_000)]


class Rebalance(Table):
    """[rebalance]: where `arbot rebalance plan` wants money to lie, and what it assumes where our journal says nothing."""

    shares: dict[VenueName, dict[AssetName, Share]] = {}  # of all we have of an asset; the rest is spread evenly
    tolerance_share: Share = Decimal("0.25")  # of what is wanted at a venue, either way
    horizon_h: Annotated[Number, Field(gt=0, le=8_760)] = Decimal(24)  # what is left lying is priced so far ahead
    missed_bps_per_h: Annotated[Holding, Field(le=1_000)] = Decimal("0.5")  # of value in the wrong place (assumption)
    slippage_bps: Annotated[Holding, Field(le=1_000)] = Decimal(5)  # a trade of a plan, beyond the touch (assumption)
    volatility_year: Annotated[Number, Field(gt=0, le=20)] = Decimal("1.2")  # of a price under stress (assumption)
    volatility: dict[AssetName, Holding] = {}  # the same for assets that differ


class Tax(Table):
    """[tax]: which units go first when something is given up, how lots are pooled, and who keeps which account's coins."""

    lot_method: Literal["fifo", "lifo", "hifo", "lofo"] = (
        "fifo"  # a change goes into the journal as a standing order before the first order of the next run
    )
    pool: Literal["account", "universal", "until-2025"] = "account"
    custody: dict[AccountName, Literal["broker", "self"]] = {}  # "self": no U.S. digital asset broker; else "broker"
    allocation_completed: MomentOrEmpty = ""  # when the allocation of 2025 stood in the books; empty: at its import
    country: Literal["us", "uk", "de", "ca", "au"] = "us"  # whose rules the daemon's own figures of the year follow
    count_every_h: Annotated[Number, Field(ge=0, le=168)] = Decimal(6)  # those figures for the metrics; 0: never

    @property
    def allocation_completed_ns(self) -> int:
        """That moment in ns since the epoch, 0 where the file says none."""
        return moment_ns(self.allocation_completed) if self.allocation_completed else 0


class BacktestVenue(Table):
    """[backtest.venues.<name>]: where one venue differs from [backtest], and its 30-day volume at the start."""

    latency: LatencyModel | None = None  # without these four: as [backtest] says
    request_ms: ModelMs | None = None
    request_ms_p99: ModelMs | None = None
    answer_ms: ModelMs | None = None
    orders_per_second: PerSecond | None = None  # without these two: as [backtest] says
    orders_burst: Burst | None = None
    volume_opening: Holding = Decimal(0)  # in quote; picks the row of the venue's own fee table


class Deposit(Table):
    """[[backtest.deposits]]: money from outside that arrives during the replay."""

    after_s: Annotated[int, Field(ge=0, le=10_000_000_000)]  # from the first moment that is traded
    venue: VenueName
    asset: AssetName
    qty: Annotated[Number, Field(gt=0)]


class Backtest(Table):
    """[backtest]: the modelled world of a replay. Starting balances and fixed fees are those of [paper.venues.<name>]."""

    seed: Annotated[int, Field(ge=0)] = 7
    latency: LatencyModel = (
        "lognormal"  # "fixed": request_ms; "lognormal": with request_ms_p99; "measured": our journal
    )
    request_ms: ModelMs = Decimal(60)  # half of the requests are at the venue after so long
    request_ms_p99: ModelMs = Decimal(250)
    answer_ms: ModelMs = Decimal(30)  # from the venue's deed to our knowledge of it
    latency_run: str = ""  # the run whose journal is measured; empty: all runs in the store
    reject_share: Share = Decimal("0.005")  # orders the venue refuses for no reason of ours
    timeout_share: Share = Decimal("0.001")  # answers that are lost; the order is carried out all the same
    orders_per_second: PerSecond = Decimal(10)
    orders_burst: Burst = 20
    latency_factor: Factor = Decimal(3)  # pessimistic: every delay times this
    depth_share: Annotated[Number, Field(ge=Decimal("0.01"), le=1)] = Decimal("0.5")  # pessimistic: of a level is left
    rival_share: Share = Decimal("0.25")  # pessimistic: orders that find the best level taken by somebody else
    reject_factor: Factor = Decimal(3)  # pessimistic: reject_share and timeout_share times this
    sample_s: Annotated[int, Field(ge=1, le=86_400)] = 60  # the equity is noted this often
    deposits: Annotated[tuple[Deposit, ...], _tuple] = ()
    rebalance_every_h: Annotated[Number, Field(ge=0, le=10_000)] = Decimal(0)  # 0: balances stay where trading put them
    transfer_minutes: Minutes = Decimal(30)  # half of the transfers have arrived after so long
    transfer_minutes_p99: Minutes = Decimal(120)
    transfer_fee: dict[AssetName, Holding] = {}  # per transfer, in the asset itself
    venues: dict[VenueName, BacktestVenue] = {}


Told = Annotated[str, AfterValidator(one_of(CHOICES))]
Ids = Annotated[tuple[int, ...], _tuple]


class Notify(Table):
    """[notify]: who is told what, straight from the daemon. Addresses are secrets: each stands in a file of mode 0600."""

    events: Annotated[tuple[Told, ...], _tuple] = tuple(kind.value for kind in MONEY_CRITICAL)
    webhook_url_file: FilePath | None = None  # holds one https address
    webhook_secret_file: FilePath | None = None  # signs what the webhook is sent (HMAC-SHA256)
    telegram_token_file: FilePath | None = None  # holds the token of a bot
    telegram_chat_id: int = 0  # the chat it writes to
    telegram_verbs: bool = False  # whether status, pause, resume, halt, flatten and kill may come from a chat
    telegram_verb_chats: Ids = ()  # from these chats only,
    telegram_verb_users: Ids = ()  # and there from these users only
    telegram_api_url: str = "https://api.telegram.org"  # https, or loopback: for a Bot API server of one's own
    apprise_urls_file: FilePath | None = None  # an apprise address a line; needs the extra "notify"
    dedupe_s: Annotated[int, Field(ge=0, le=86_400)] = 900  # the same is told once in this time, with a count
    per_minute_max: Annotated[int, Field(ge=1, le=60)] = 10  # of messages a channel; the last carries all that wait
    queue_max: Annotated[int, Field(ge=1, le=10_000)] = 200  # messages that wait for a channel
    daily_summary_at: HourOrEmpty = ""  # a time of day in UTC, such as "06:00"; empty: no summary


class Settings(Table):
    """A whole config file. The methods give what other layers take."""

    run: Run
    store: StoreTable = StoreTable()
    http: Http = Http()
    venues: Annotated[dict[VenueName, Venue], Field(min_length=2)]
    paper: Paper = Paper()
    limits: _Limits = _Limits()  # type: ignore[valid-type]
    execution: _Execution = _Execution()  # type: ignore[valid-type]
    exposure: _Exposure = _Exposure()  # type: ignore[valid-type]
    risk: _Risk = _Risk()  # type: ignore[valid-type]
    health: _Health = _Health()  # type: ignore[valid-type]
    pegs: _Pegs = _Pegs()  # type: ignore[valid-type]
    news: _News = _News()  # type: ignore[valid-type]
    strategy: StrategyTable = StrategyTable()
    transfers: Transfers = Transfers()
    sim: Sim = Sim()
    tape: Annotated[Tape, Field(validate_default=True)] = {}  # type: ignore[assignment]  # its path counts from the file
    backtest: Backtest = Backtest()
    rebalance: Rebalance = Rebalance()
    tax: Tax = Tax()
    notify: Notify = Notify()

    def engine_config(self) -> EngineConfig:
        """Return what the engine is told."""
        return EngineConfig(
            ccy=Asset(self.run.ccy),
            venues=tuple(VenueId(name) for name in self.venues),
            instruments=tuple(
                instrument_id(symbol, config.venue) for config in self.venue_configs() for symbol in config.symbols
            ),
            limits=RiskLimits(**self.limits.model_dump()),  # type: ignore[attr-defined]
            execution=ExecutionPolicy(**self.execution.model_dump()),  # type: ignore[attr-defined]
            health=HealthPolicy(**self.health.model_dump(exclude={"maintenance"})),  # type: ignore[attr-defined]
            maintenance=tuple(
                MaintenanceRule(
                    venue=VenueId(row.venue),
                    from_ns=moment_ns(row.starts_at),
                    until_ns=moment_ns(row.ends_at),
                    is_weekly=row.weekly,
                )
                for row in self.health.maintenance  # type: ignore[attr-defined]
            ),
            pegs=PegPolicy(**self.pegs.model_dump()),  # type: ignore[attr-defined]
            news=NewsPolicy(**self.news.model_dump()),  # type: ignore[attr-defined]
            transfers=self.transfer_policy(),
            registry=load_registry(self.exposure.registry),  # type: ignore[attr-defined]
            exposure=ExposureCaps(**self.exposure.model_dump(exclude={"registry"})),  # type: ignore[attr-defined]
            risk=RiskPolicy(**self.risk.model_dump()),  # type: ignore[attr-defined]
            lot_method=self.strategy.lot_method,
        )

    def transfer_policy(self) -> TransferPolicy:
        """Return what the engine is told of transfers."""
        table = self.transfers.model_dump(exclude={"enabled", "allow"})
        return TransferPolicy(
            is_enabled=self.transfers.enabled,
            limits=TransferLimits(**table),
            allow=tuple(
                AllowedAddress(
                    venue=VenueId(row.venue),
                    asset=Asset(row.asset),
                    network=Network(row.network),
                    address=row.address,
                    tag=row.tag,
                    key=row.key,
                    fee_max=row.fee_max,
                )
                for row in self.transfers.allow
            ),
        )

    def venue_configs(self) -> tuple[VenueConfig, ...]:
        """Return what each venue's adapter is told, in the order of the file."""
        networks = load_registry(self.exposure.registry).networks  # type: ignore[attr-defined]
        return tuple(
            VenueConfig(
                venue=VenueId(name),
                adapter=venue.adapter,
                symbols=venue.symbols or self.run.symbols,
                book_depth=venue.book_depth,
                tier=venue.tier,
                rest_url=venue.rest_url,
                ws_public_url=venue.ws_public_url,
                ws_private_url=venue.ws_private_url,
                request_timeout_ms=venue.request_timeout_ms,
                frame_age_ms_max=venue.frame_age_ms_max,
                poll_interval_ms=venue.poll_interval_ms,
                networks={
                    network: entry.names.get(name) or entry.names[venue.adapter_name()]
                    for network, entry in networks.items()
                    if name in entry.names or venue.adapter_name() in entry.names
                },
            )
            for name, venue in self.venues.items()
        )

    def store_url(self) -> str:
        """Return the SQLAlchemy URL of the store."""
        return self.store.url or f"sqlite:///{self.run.state_dir / 'arbot.sqlite'}"

    def simulates_venues(self) -> bool:
        """Return whether this process serves its own simulators: the demo, unless its venues name other URLs."""
        return self.run.mode is Mode.DEMO and not any(venue.rest_url for venue in self.venues.values())
