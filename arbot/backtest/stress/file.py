"""The format of a disaster: backtests/disasters/NAME.toml as one frozen value, or every mistake in it at once.

Moments are TOML date-times in UTC. A path is a list of [moment, number]; between two points a price moves evenly in its
logarithm, other paths jump. What the sources do not say and somebody had to choose stands in `assumptions`, and is printed
with every result. [[axes]] makes a family: every combination of one option per axis is played, each option being a part
of the file (more events, other prices) laid over the rest.
"""

from __future__ import annotations

import datetime as dt
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from arbot.backtest.stress.kinds import KINDS, missing
from arbot.domain.errors import Mistake, UserError
from arbot.settings.fields import AssetName, Holding, Number, Symbol, VenueName, mistake
from arbot.settings.model import Table

NS_PER_US = 1_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _moment(value: object) -> int:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise mistake(f"{value!r} is not a moment", "write it as 2022-11-08T11:37:00Z")
    return (value - EPOCH) // dt.timedelta(microseconds=1) * NS_PER_US


def _points(value: object) -> object:
    if isinstance(value, (list, tuple)) and all(isinstance(one, (list, tuple)) and len(one) == 2 for one in value):
        return tuple(tuple(one) for one in value)
    raise mistake("it is not a path", "write [[2022-11-08T11:37:00Z, 1.05], ...]")


def _rising(points: tuple[tuple[int, Decimal], ...]) -> tuple[tuple[int, Decimal], ...]:
    if any(late[0] < early[0] for early, late in itertools.pairwise(points)):
        raise mistake("its moments go back", "put the points into the order of time")
    if any(number <= 0 for _, number in points):
        raise mistake("a point is not positive", "prices and factors are above zero")
    return points


Moment = Annotated[int, BeforeValidator(_moment)]
Point = tuple[Moment, Number]
Path_ = Annotated[tuple[Point, ...], BeforeValidator(_points), AfterValidator(_rising), Field(min_length=1)]
_tuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
Texts = Annotated[tuple[str, ...], _tuple]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]


class Asset(Table):
    """[assets.NAME]: the world's price in the reporting currency, and who stands behind it."""

    price: Path_
    volatility: Annotated[Number, Field(ge=0, le=10)] = Decimal(0)  # a year, of the seeded noise between the points
    jumps: bool = False  # the price stays until the next point instead of moving to it
    issuer: str = ""
    peg: str = ""
    is_fiat: bool = False
    loss_share: Share = Decimal(1)  # of its worth, in the worst case assumed of its issuer


class Venue(Table):
    """[venues.NAME]: one venue's account and books. Paths are factors on `spread_bps` and `level_notional`."""

    symbols: Annotated[tuple[Symbol, ...], _tuple, Field(min_length=1)]
    balances: Annotated[dict[AssetName, Holding], Field(min_length=1)]
    maker_bps: Holding = Decimal(10)
    taker_bps: Holding = Decimal(10)
    spread_bps: Positive = Decimal(2)
    level_notional: Positive = Decimal(5_000)
    level_bps: Positive = Decimal(3)
    premium: dict[AssetName, Path_] = Field(default_factory=dict)  # local price over the world's, by base asset
    spread: Path_ | None = None
    depth: Path_ | None = None
    merges: dict[AssetName, AssetName] = Field(
        default_factory=dict
    )  # quote -> the coin that its balances and prices really are
    entity: str = ""
    banks: Texts = ()
    custodian: str = ""
    cloud: str = ""
    loss_share: Share = Decimal(1)


class NetworkFile(Table):
    """[networks.NAME]: a chain or rail and the transfers of one asset over it."""

    asset: AssetName
    chain: str = ""
    fee: Holding = Decimal(0)
    minutes_p50: Positive = Decimal(30)
    minutes_p99: Positive = Decimal(240)


class Grid(Table):
    """[grid]: where nothing else is said, books are shown in short sessions. [[fine]] shows them all the time."""

    every_s: Annotated[int, Field(ge=1)] = 1_800
    length_s: Annotated[int, Field(ge=1)] = 12
    step_ms: Annotated[int, Field(ge=1)] = 1_000


class Fine(Table):
    """[[fine]]: a time during which books are shown all the time."""

    at: Moment
    until: Moment
    step_ms: Annotated[int, Field(ge=1)] = 1_000


class Pennies(Table):
    """[pennies]: ordinary gaps. At a step one opens with `chance`, on one venue and asset, for `steps` steps."""

    chance: Share = Decimal("0.05")
    bps_min: Positive = Decimal(24)
    bps_max: Positive = Decimal(60)
    steps: Annotated[int, Field(ge=1)] = 2


class Gap(Table):
    """[[gaps]]: one gap at a known moment: `asset` is `bps` dearer at `venue`."""

    at: Moment
    until: Moment
    venue: VenueName
    asset: AssetName
    bps: Number


class Event(Table):
    """[[events]]: something that happens. `kind` says what, kinds.py which other keys it needs."""

    at: Moment
    kind: str
    until: Moment | None = None
    venue: str = ""
    venues: Texts = ()
    asset: str = ""
    network: str = ""
    source: str = ""
    target: str = ""
    qty: Positive | None = None
    share: Share | None = None
    factor: Positive | None = None
    every_h: Positive | None = None
    code: str = ""
    status: str = ""
    text: str = ""

    def places(self) -> tuple[str, ...]:
        """Return the venues it happens to."""
        return self.venues or ((self.venue,) if self.venue else ())


class Watch(Table):
    """[watch]: the exposure that the picture shows: a venue, an issuer, or a network."""

    kind: Literal["venue", "issuer", "network"]
    node: str


class Option(Table):
    """One choice of an axis: its name, and the parts of the file it lays over the rest."""

    name: str
    over: dict[str, Any] = Field(default_factory=dict)


class Axis(Table):
    """[[axes]]: something that is varied."""

    name: str
    options: Annotated[tuple[Option, ...], _tuple, Field(min_length=1)]


class Disaster(Table):
    """The whole file."""

    name: str = ""
    title: str
    about: str
    sources: Annotated[tuple[str, ...], _tuple, Field(min_length=1)]
    assumptions: Texts = ()
    protections: Annotated[tuple[str, ...], _tuple, Field(min_length=1)]
    budget: Literal["gap", "venue", "issuer", "chain", "cloud"] = (
        "gap"  # the stress case of [risk] that it is an instance of
    )
    bounded: str = ""  # why nobody could have lost twice the budget here, with whatever off; empty: they could
    first: Moment
    last: Moment
    quiet_until: Moment | None = (
        None  # before it nothing was wrong: what safety cost on the quiet part is measured there
    )
    announcement: Moment | None = None
    headline: str = ""
    watch: Watch
    ccy: AssetName = "USD"
    seed: Annotated[int, Field(ge=0)] = 7
    strategy: str = "strategies.cross_venue"
    config: dict[str, dict[str, Any]] = Field(
        default_factory=dict
    )  # tables of the config file that this world needs otherwise
    grid: Grid = Grid()
    fine: Annotated[tuple[Fine, ...], _tuple] = ()
    pennies: Pennies = Pennies()
    gaps: Annotated[tuple[Gap, ...], _tuple] = ()
    assets: Annotated[dict[AssetName, Asset], Field(min_length=1)]
    venues: Annotated[dict[VenueName, Venue], Field(min_length=2)]
    networks: dict[str, NetworkFile] = Field(default_factory=dict)
    events: Annotated[tuple[Event, ...], _tuple] = ()
    axes: Annotated[tuple[Axis, ...], _tuple] = ()
    variant: str = ""


def load(path: Path) -> tuple[Disaster, ...]:
    """Return every variant of a disaster file, one where it has no axes. Raises: UserError with every mistake."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise UserError(Mistake(str(path), f"cannot be read: {error.strerror}", "name a disaster file")) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(Mistake(str(path), f"not TOML: {error}", "mend the place named above")) from error
    return parse(document, path.stem)


def parse(document: Mapping[str, Any], name: str) -> tuple[Disaster, ...]:
    """Return every variant of a parsed file. Raises: UserError with every mistake, each told once."""
    mistakes: dict[Mistake, None] = {}
    found = []
    for variant, whole in _variants(document):
        try:
            one = Disaster.model_validate({**whole, "name": name, "variant": variant})
        except ValidationError as error:
            mistakes |= dict.fromkeys(_told(detail, name) for detail in error.errors(include_url=False))
            continue
        wrong = [Mistake(f"{name}: {where}", what, remedy) for where, what, remedy in _contradictions(one)]
        mistakes |= dict.fromkeys(wrong)
        found.append(one)
    if mistakes:
        raise UserError(*mistakes)
    return tuple(found)


def _variants(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, document) of every combination of options; a file whose axes are no axes is told as it is."""
    axes = document.get("axes", [])
    try:
        choices = [[(option["name"], option.get("over", {})) for option in axis["options"]] for axis in axes]
    except (TypeError, KeyError):
        choices = []
    for chosen in itertools.product(*choices):
        whole = dict(document)
        for _, over in chosen:
            whole = _laid_over(whole, over)
        yield ", ".join(name for name, _ in chosen), whole


def _laid_over(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables merged key by key; the lists of events, gaps and fine times are added to."""
    result = dict(below)
    for key, value in over.items():
        present = result.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            result[key] = _laid_over(present, value)
        elif key in ("events", "gaps", "fine"):
            result[key] = [*(present or ()), *value]
        else:
            result[key] = value
    return result


def _told(detail: ErrorDetails, name: str) -> Mistake:
    """Return a mistake in our words."""
    where = f"{name}: " + ".".join(str(step) for step in detail["loc"] if step != "[key]")
    if detail["type"] == "arbot":
        context = detail["ctx"]
        return Mistake(where, str(context["what"]), str(context["remedy"]))
    if detail["type"] == "extra_forbidden":
        return Mistake(where, "there is no such key", "remove it, or see docs/guide/stress.md for the keys")
    if detail["type"] == "missing":
        return Mistake(where, "it is missing", "add it")
    return Mistake(where, detail["msg"], "see docs/guide/stress.md for what it takes")


def _contradictions(one: Disaster) -> Iterator[tuple[str, str, str]]:
    """Yield (where, what, remedy) of everything that each key alone cannot show."""
    from arbot.backtest.stress.protections import PROTECTIONS  # noqa: PLC0415 - it knows the engine; the format does not

    if one.last <= one.first:
        yield "last", "it is not after `first`", "give a later moment"
    for protection in one.protections:
        if protection not in PROTECTIONS:
            yield "protections", f"there is none called {protection!r}", f"use {', '.join(PROTECTIONS)}"
    for name, venue in one.venues.items():
        for symbol in venue.symbols:
            base, _, quote = symbol.partition("/")
            for asset in (base, quote):
                if asset not in one.assets and asset != one.ccy:
                    yield f"venues.{name}.symbols", f"nothing prices {asset}", f"add [assets.{asset}]"
        for held in (*venue.balances, *venue.merges.values(), *venue.premium):
            if held not in one.assets and held != one.ccy:
                yield f"venues.{name}", f"nothing prices {held}", f"add [assets.{held}]"
    for number, gap in enumerate(one.gaps):
        if gap.venue not in one.venues:
            yield f"gaps.{number}.venue", f"there is no venue {gap.venue!r}", f"use {', '.join(one.venues)}"
    for number, event in enumerate(one.events):
        where = f"events.{number}"
        if event.kind not in KINDS:
            yield f"{where}.kind", f"there is no kind {event.kind!r}", f"use {', '.join(KINDS)}"
            continue
        for key in missing(event):
            yield f"{where}.{key}", f"{event.kind} needs it", "add it"
        for place in (*event.places(), *filter(None, (event.source, event.target))):
            if place not in one.venues:
                yield f"{where}.venue", f"there is no venue {place!r}", f"use {', '.join(one.venues)}"
        if event.network and event.network not in one.networks:
            yield f"{where}.network", f"there is no network {event.network!r}", "add it to [networks]"
        if event.until is not None and event.until < event.at:
            yield f"{where}.until", "it is before `at`", "give a later moment"
