"""The kinds of value a config file may hold, each with its unit, its bounds and the words for getting it wrong.

Money and rates arrive as TOML strings, integers or (exactly parsed) decimals and become Decimal; nothing is rounded.
Every bound is a table row below, so that a limit cannot be unlimited, negative, or in the wrong unit by accident.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from arbot.domain.units import ZERO, checked, fmt, parse_decimal


class Bound(NamedTuple):
    """From `low` to `high`, both allowed; `unit` says what the number counts."""

    low: Decimal
    high: Decimal
    unit: str


_CENT = Decimal("0.01")


def _money(high: int) -> Bound:
    return Bound(_CENT, Decimal(high), "an amount of the reporting currency (run.ccy)")


def _bps(low: str, high: int) -> Bound:
    return Bound(Decimal(low), Decimal(high), "basis points (1 percent = 100 bps)")


def _ms(low: int, high: int) -> Bound:
    return Bound(Decimal(low), Decimal(high), "whole milliseconds (1 second = 1000 ms)")


def _count(low: int, high: int) -> Bound:
    return Bound(Decimal(low), Decimal(high), "a whole number")


_SPECIAL: dict[str, Bound] = {
    "notional_per_arb_max": _money(1_000_000),
    "inventory_notional_max": _money(100_000_000),
    "counterparty_share_max": Bound(_CENT, Decimal(1), "a fraction of capital (0.75 = 75 percent)"),
    "arbs_open_max": _count(1, 100),
    "hedge_tries_max": _count(1, 99),
    "book_age_recv_ms_max": _ms(10, 60_000),
    "book_age_venue_ms_max": _ms(10, 600_000),
    "edge_gross_bps_max": _bps("1", 5_000),
    "leg_deadline_ms": _ms(50, 60_000),
    "order_deadline_ms": _ms(50, 60_000),
    "depth_max": _count(1, 1_000),
    "cloud_share_max": Bound(_CENT, Decimal(2), "a fraction of capital; legs at work count on top of balances"),
    "gap_loss_share_max": Bound(Decimal("0.0001"), Decimal(1), "a fraction of capital (0.005 = half a percent)"),
    "chain_loss_share_max": Bound(Decimal("0.0001"), Decimal(1), "a fraction of capital (0.005 = half a percent)"),
    "cloud_loss_share_max": Bound(Decimal("0.0001"), Decimal(1), "a fraction of capital (0.005 = half a percent)"),
    "gap_bps": _bps("1", 10_000),
    "outage_bps": _bps("1", 10_000),
    "tail_price": Bound(Decimal("0.000001"), Decimal(1), "a fraction of the stress loss (0.001 = a thousandth)"),
    "leg_fail_prior": Bound(Decimal("0.0001"), Decimal("0.5"), "a probability (0.02 = 2 legs in 100)"),
    "prior_legs": _count(1, 100_000),
    "evidence_half_life_legs": _count(10, 1_000_000),
    "edge_news_bps": _bps("1", 5_000),
    "overdue_quantile": Bound(Decimal("0.5"), Decimal("0.9999"), "a fraction of transfers (0.99 = 99 in 100)"),
    "stress_vol_day": Bound(_CENT, Decimal(10), "a fraction of a price in a day (0.15 = 15 percent)"),
    "fee_factor_max": Bound(Decimal(1), Decimal(1_000), "times the usual fee"),
    "prior_weight": Bound(Decimal(1), Decimal(10_000), "a number of transfers"),
    "terms_minutes_max": Bound(Decimal(1), Decimal(1_440), "whole minutes"),
}
"""Absolute caps of [limits] and [execution] that are tighter than their unit alone would say."""

_BY_UNIT: dict[str, Bound] = {
    "ms": _ms(1, 600_000),
    "seconds": Bound(Decimal(1), Decimal(600), "whole seconds"),
    "s": Bound(Decimal(1), Decimal(1_000_000), "whole seconds"),
    "bps": _bps("0.1", 1_000),
    "share": Bound(_CENT, Decimal(1), "a fraction"),
}


def bound_of(name: str, default: Decimal | int) -> Bound:
    """Return the bound of a number of [limits] or [execution]: its own, else that of the unit its name ends in.

    A name without a unit counts something when it is an int, and is money otherwise. Every bound excludes zero.
    """
    if name in _SPECIAL:
        return _SPECIAL[name]
    by_unit = next((bound for unit, bound in _BY_UNIT.items() if unit in name.split("_")), None)
    return by_unit or (_count(1, 6_000) if isinstance(default, int) else _money(10_000_000))


def mistake(what: str, remedy: str) -> PydanticCustomError:
    """Return the error a validator raises: what is wrong and what to do next, free of pydantic's wording."""
    return PydanticCustomError("arbot", "{what}", {"what": what, "remedy": remedy})


def to_decimal(value: object) -> Decimal:
    """Return the exact number. Raises: PydanticCustomError on a truth value, a text that is no number, NaN, infinity."""
    remedy = 'write a finite number such as 1000 or "0.25"'
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise mistake(f"{value!r} is not a number", remedy)
    try:
        return parse_decimal(value) if isinstance(value, str) else checked(Decimal(value))
    except ValueError as error:
        raise mistake(str(error), remedy) from error


def to_moment(value: object) -> str:
    """Return a date and time with its offset as a text in UTC. Raises: PydanticCustomError on any other."""
    remedy = "write it with its offset, such as 2027-01-31T05:00:00Z"
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise mistake(f"{value!r} is not a date and time", remedy) from error
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise mistake(f"{value} is not a date and time with an offset", remedy)
    return moment.astimezone(UTC).isoformat()


def moment_ns(text: str) -> int:
    """Return a moment of the file in ns since the epoch, exactly."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def to_moment_or_empty(value: object) -> str:
    """Return the same, or the empty text as it is. Raises: PydanticCustomError on any other."""
    return "" if value == "" else to_moment(value)


Moment = Annotated[str, BeforeValidator(to_moment)]
MomentOrEmpty = Annotated[str, BeforeValidator(to_moment_or_empty)]


def within(bound: Bound) -> Callable[[Any], Any]:
    """Return a validator that lets only numbers inside `bound` pass."""

    def check(number: Decimal | int) -> Decimal | int:
        if bound.low <= number <= bound.high:
            return number
        told = fmt(Decimal(number))
        span = f"{fmt(bound.low)} to {fmt(bound.high)}"
        if number <= 0:
            raise mistake(f"{told} is not positive", f"no limit may be off: give {bound.unit}, {span}")
        raise mistake(f"{told} is outside {span}", f"this is {bound.unit}; check the unit")

    return check


def not_negative(number: Decimal) -> Decimal:
    """Return `number` when it is zero or more."""
    if number < ZERO:
        raise mistake(f"{fmt(number)} is negative", "give zero or more")
    return number


def matching(pattern: str, what: str, remedy: str) -> Callable[[str], str]:
    """Return a validator that lets only texts of this shape pass."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text):
            return text
        raise mistake(f"{text[:60]!r} is not {what}", remedy)

    return check


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a validator that lets only these texts pass."""

    def check(text: str) -> str:
        if text in choices:
            return text
        raise mistake(f"{text[:60]!r} is not one of the choices", f"use {', '.join(choices)}")

    return check


def against_file(path: Path, info: ValidationInfo) -> Path:
    """Return the absolute path: a relative one counts from the folder of the config file."""
    base = (info.context or {}).get("base", Path.cwd())
    return Path(base, path.expanduser()).resolve()


def strategy_name(text: str, info: ValidationInfo) -> str:
    """Return a dotted name as it is, and the path of a .py file as an absolute one."""
    return str(against_file(Path(text), info)) if text.endswith(".py") else text


def _to_path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise mistake(f"{value!r} is not a path", "write the path as a text in quotes")
    return Path(value)


Number = Annotated[Decimal, BeforeValidator(to_decimal)]
Holding = Annotated[Decimal, BeforeValidator(to_decimal), AfterValidator(not_negative)]
FilePath = Annotated[Path, BeforeValidator(_to_path), AfterValidator(against_file)]
AssetName = Annotated[
    str, AfterValidator(matching(r"[A-Z0-9]{2,12}", "an asset", 'write it in capitals, such as "USD" or "BTC"'))
]
VenueName = Annotated[
    str, AfterValidator(matching(r"[a-z][a-z0-9_-]{0,31}", "a venue name", 'use small letters, such as "kraken"'))
]
AccountName = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "an account", 'name a venue or a wallet, such as "wallet.cold"')
    ),
]
HourOrEmpty = Annotated[
    str,
    AfterValidator(matching(r"([01]\d|2[0-3]):[0-5]\d|", "a time of day", 'write hour and minute, such as "06:00"')),
]
HostName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-f:]{2,39}",
            "a host name",
            'write the name or the address alone, such as "arbot" or "desk.example.org", without http:// and port',
        )
    ),
]
Symbol = Annotated[
    str, AfterValidator(matching(r"[A-Z0-9]{2,12}/[A-Z0-9]{2,12}", "a symbol", 'write BASE/QUOTE, such as "BTC/USD"'))
]
RunName = Annotated[
    str, AfterValidator(matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", "a run name", "use letters, digits, dot and dash"))
]
FaultText = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9-]+(:[a-z_]+=[a-z0-9.]+(,[a-z_]+=[a-z0-9.]+)*)?",
            "a fault",
            'write "name" or "name:key=value,key=value", such as "ws-cut:every_ms=9000"',
        )
    ),
]
