"""Which settings a sweep asks: a grid of values, or random draws, each laid over the config file and checked like it.

A key is written as in the file, dotted: `limits.notional_per_arb_max`. Two short forms are understood: what [strategy] does
not have is looked for in its params (`strategy.edge_net_bps_min`), and what a venue does not have in its pretend account
(`venues.kraken.taker_bps` is `paper.venues.kraken.taker_bps`). Values are TOML; what is not TOML is a text.

    k=1,2,5         these values                     k=2..10      any number between, evenly (--random)
    k=log:0.5..50   any number between, evenly by its logarithm (--random)
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from fnmatch import fnmatch
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from arbot.backtest.result import Scenario
from arbot.backtest.scenario import balances, chance_of, models
from arbot.backtest.stock import Listed
from arbot.backtest.sweep_pass import Candidate
from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.units import ZERO, fmt
from arbot.engine.config import EngineConfig
from arbot.engine.risk.tail import route_tail_bps
from arbot.engine.state import State
from arbot.engine.strategy import Strategy
from arbot.market.books import Books
from arbot.settings.defaults import DEMO
from arbot.settings.load import load, parse
from arbot.settings.model import PretendAccount, Settings, StrategyTable, Venue
from arbot.sim.fees import tier_index
from arbot.sim.latency import Delay, FixedDelay
from arbot.sim.replayed import ways

GRID_MAX = 100_000
KERNEL_STRATEGY = "strategies.cross_venue"
KERNEL_KEYS = (
    "strategy.params.edge_net_bps_min",
    "paper.venues.*.taker_bps",
    "paper.venues.*.balances.*",
    "backtest.latency",
    "backtest.request_ms",
    "backtest.request_ms_p99",
    "backtest.answer_ms",
    "backtest.venues.*.latency",
    "backtest.venues.*.request_ms",
    "backtest.venues.*.request_ms_p99",
    "backtest.venues.*.answer_ms",
    "backtest.venues.*.volume_opening",
    "execution.cool_down_ms",
    "execution.depth_max",
    "execution.hedge_loss_max",
    "execution.hedge_retry_ms",
    "execution.hedge_seconds_max",
    "execution.hedge_slippage_bps",
    "execution.hedge_tries_max",
    "limits.arbs_open_max",
    "limits.book_age_recv_ms_max",
    "limits.book_age_venue_ms_max",
    "limits.book_skew_ms_max",
    "limits.drawdown_max",
    "limits.edge_gross_bps_max",
    "limits.inventory_notional_max",
    "limits.loss_day_max",
    "limits.net_delta_notional_max",
    "limits.notional_per_arb_max",
    "limits.orders_per_minute_max",
)
"""What the compiled pass can vary. A sweep over anything else goes through the full engine, setting by setting."""

_FORMS = "write k=1,2,5 or, with --random, k=2..10 or k=log:1..50"
DRAWS = 256  # of each delay: then the same luck comes round again
_HALF = 0.5
_OF_NO_EFFECT = ("run.name", "run.state_dir", "run.log_format", "run.log_level", "store", "http", "tape", "sim")
_RANGE = re.compile(r"(log:)?(-?[0-9.]+)\.\.(-?[0-9.]+)")

Key = tuple[str, ...]


class Span(msgspec.Struct, frozen=True):
    """Any number from `low` to `high`. Both whole: whole numbers only."""

    low: Decimal
    high: Decimal
    is_log: bool

    def draw(self, chance: Random) -> object:
        """Return a number: whole, or of four digits."""
        if self.is_log:
            drawn = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = chance.uniform(float(self.low), float(self.high))  # a place to look at, not an amount
        if self.low == int(self.low) and self.high == int(self.high):
            return round(drawn)
        rounded = Decimal(f"{drawn:.4g}")
        return min(max(rounded, self.low), self.high)


class Axis(msgspec.Struct, frozen=True):
    """A key and what it may be."""

    key: Key
    told: str  # as the user wrote the key
    values: tuple[object, ...] = ()
    span: Span | None = None


class Base(msgspec.Struct, frozen=True):
    """The config that is varied: its document, where relative paths count from, and how mistakes name it."""

    document: dict[str, Any]
    folder: Path
    source: str


class Point(msgspec.Struct, frozen=True):
    """One setting of a sweep: what was varied, in words, the whole document, and what it says."""

    values: dict[str, str]
    document: dict[str, Any]
    settings: Settings


def read_base(config: Path | None, folder: Path) -> Base:
    """Return the config to vary: of a file, or the demo's. Raises: UserError with every mistake of the file."""
    if config is None:
        return Base(deepcopy({table: dict(keys) for table, keys in DEMO.items()}), folder, "the demo's settings")
    load(config)  # so that a mistake in the file is told as one, with its line
    document = tomllib.loads(config.read_text(encoding="utf-8"), parse_float=Decimal)
    return Base(document, config.parent.resolve(), str(config))


def parse_axes(texts: Sequence[str], *, is_random: bool) -> tuple[Axis, ...]:
    """Return the axes of some `--grid` options. Raises: UserError with every one that cannot be read."""
    axes: list[Axis] = []
    mistakes: list[Mistake] = []
    for text in texts:
        told, _, values = (part.strip() for part in text.partition("="))
        try:
            axis = _axis(told, values)
        except ValueError as error:
            mistakes.append(Mistake(f"--grid {text}", str(error), _FORMS))
            continue
        if axis.span is not None and not is_random:
            mistakes.append(Mistake(f"--grid {text}", "a range needs --random: a grid has values", _FORMS))
        if any(axis.key == other.key for other in axes):
            mistakes.append(Mistake(f"--grid {text}", "this key is varied twice", "name it once, with all its values"))
        axes.append(axis)
    if mistakes:
        raise UserError(*mistakes)
    return tuple(axes)


def _axis(told: str, values: str) -> Axis:
    if not told or not values:
        raise ValueError("it is not key=value,value,...")
    key = _full_key(tuple(part.strip() for part in told.split(".")))
    if found := _RANGE.fullmatch(values):
        low, high = Decimal(found[2]), Decimal(found[3])
        if low >= high or (found[1] and low <= 0):
            raise ValueError("a range goes up, and by logarithm from above zero")
        return Axis(key, told, span=Span(low, high, bool(found[1])))
    listed = [part.strip() for part in values.split(",")]
    if not all(listed) or len(set(listed)) < len(listed):
        raise ValueError("a value is empty or stands there twice")
    return Axis(key, told, values=tuple(_value(part) for part in listed))


def _full_key(key: Key) -> Key:
    """Return a key as the file has it."""
    if len(key) == 2 and key[0] == "strategy" and key[1] not in StrategyTable.model_fields:
        return ("strategy", "params", key[1])
    account = set(PretendAccount.model_fields) - set(Venue.model_fields)
    if len(key) >= 3 and key[0] == "venues" and key[2] in account:
        return ("paper", *key)
    return key


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"x = {text}", parse_float=Decimal)["x"]
    except tomllib.TOMLDecodeError:
        return text


def grid(axes: Sequence[Axis]) -> Iterator[tuple[object, ...]]:
    """Return every combination of values. Raises: UserError when there are more than GRID_MAX."""
    count = math.prod(len(axis.values) for axis in axes)
    if count > GRID_MAX:
        raise UserError(
            Mistake("--grid", f"{count} settings are too many", f"give at most {GRID_MAX}, or draw some with --random")
        )
    return itertools.product(*(axis.values for axis in axes))


def draws(axes: Sequence[Axis], count: int, seed: int) -> Iterator[tuple[object, ...]]:
    """Return up to `count` unlike combinations, the same for the same seed; fewer where there are not so many."""
    chance = Random(seed)  # noqa: S311 - of a search, not a secret
    seen: dict[str, tuple[object, ...]] = {}
    for _ in range(20 * count):
        drawn = tuple(axis.span.draw(chance) if axis.span else chance.choice(axis.values) for axis in axes)
        seen.setdefault(repr(drawn), drawn)
        if len(seen) == count:
            break
    return iter(seen.values())


def points(base: Base, axes: Sequence[Axis], combinations: Iterator[tuple[object, ...]]) -> tuple[Point, ...]:
    """Return the settings of a sweep, each checked like a file. Raises: UserError with the mistakes of the first wrong one."""
    made = []
    for values in combinations:
        document = deepcopy(base.document)
        for axis, value in zip(axes, values, strict=True):
            _put(document, axis, value)
        told = {axis.told: _shown(value) for axis, value in zip(axes, values, strict=True)}
        try:
            settings = parse(document, base=base.folder, source=base.source)
        except UserError as error:
            at = ", ".join(f"{key}={value}" for key, value in told.items())
            raise UserError(*(one._replace(where=f"{one.where} (at {at})") for one in error.mistakes)) from error
        made.append(Point(told, document, settings))
    return tuple(made)


def _put(document: dict[str, Any], axis: Axis, value: object) -> None:
    table = document
    for step in axis.key[:-1]:
        below = table.setdefault(step, {})
        if not isinstance(below, dict):
            raise UserError(Mistake(f"--grid {axis.told}", f"{step} is not a table", "name a key of the config file"))
        table = below
    table[axis.key[-1]] = value


def _shown(value: object) -> str:
    return fmt(value) if isinstance(value, Decimal) else str(value)


def shares_scan(settings: Settings, axes: Sequence[Axis]) -> bool:
    """Return whether one compiled pass can judge all settings that differ in these keys only."""
    return settings.strategy.name == KERNEL_STRATEGY and all(
        any(fnmatch(".".join(axis.key), known) for known in KERNEL_KEYS) for axis in axes
    )


def digest_of(settings: Settings) -> str:
    """Return a digest of all of a setting that can change what a backtest comes to."""
    document = settings.model_dump(mode="json")
    for place in _OF_NO_EFFECT:
        table, _, key = place.partition(".")
        if key:
            document[table].pop(key, None)
        else:
            document.pop(table, None)
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()


Measured = Mapping[VenueId, tuple[int, ...]]
LoadStrategy = Callable[[str, Mapping[str, object], Path], Strategy]


def candidate(
    settings: Settings, streams: Sequence[Listed], measured: Measured, load_strategy: LoadStrategy, folder: Path
) -> Candidate:
    """Return a setting as the compiled pass takes it: the latencies of a full replay, and the fee tier at the start. Raises: UserError."""
    worlds, seed = models(settings, Scenario.REALISTIC, measured), settings.backtest.seed
    strategy = load_strategy(settings.strategy.name, settings.strategy.params, folder)
    fees = {
        venue: model.fees.tiers[tier_index(model.fees.tiers, model.fees.volume_opening)].taker
        for venue, model in worlds.items()
    }
    config = settings.engine_config()
    return Candidate(
        config=config,
        edge_net_bps_min=strategy.edge_net_bps_min,
        tail_bps=_tail_bps(config, [listed.instrument for listed in streams]),
        taker={listed.instrument.id: fees[listed.instrument.venue] for listed in streams},
        request_ns={venue: _draws_ns(model.request, seed, venue) for venue, model in worlds.items()},
        answer_ns={venue: _draws_ns(model.answer, seed, venue) for venue, model in worlds.items()},
        balances=balances(settings),
    )


def _tail_bps(config: EngineConfig, instruments: Sequence[Instrument]) -> Decimal:
    """Return what an edge pays for its tail before anything was learned: the least of all routes, to open rather too many."""
    state = State(config, Books())
    return min(
        (
            route_tail_bps(state, buy, sell)
            for buy, sell in permutations(instruments, 2)
            if buy.base == sell.base and buy.quote == sell.quote and buy.venue != sell.venue
        ),
        default=ZERO,
    )


@lru_cache(maxsize=4_096)  # settings share most of them
def _draws_ns(delay: Delay, seed: int, venue: VenueId) -> tuple[int, ...]:
    """Return what the first orders to a venue take in a full replay of that seed; later ones begin again."""
    if isinstance(delay, FixedDelay):
        return (delay.at_ns(_HALF),)
    return tuple(delay.at_ns(luck) for luck in ways(chance_of(seed, venue), DRAWS))
