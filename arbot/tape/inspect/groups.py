"""Findings laid together for people: one group per code and remedy, one line per thing said, with all it is said of.

The JSON keeps every finding by itself; groups are for tables and pages, where thirteen series with one fault are one fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from arbot.tape.importing.contract import Finding, Severity

_ORDER = {severity: at for at, severity in enumerate((Severity.ERROR, Severity.WARN, Severity.INFO))}


class Said(NamedTuple):
    """One sentence, and the series or files that it is said of."""

    names: tuple[str, ...]
    detail: str


class Group(NamedTuple):
    """The findings of one code that one remedy helps against."""

    severity: Severity
    code: str
    remedy: str
    said: tuple[Said, ...]


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """Return findings as groups, the worst first and else in the order in which they came."""
    groups: dict[tuple[Severity, str, str], dict[str, dict[str, None]]] = {}
    for one in findings:
        name = one.series or (Path(one.file).name if one.file else "")
        said = groups.setdefault((one.severity, one.code, one.remedy), {})
        said.setdefault(one.detail, {})[name] = None
    made = [
        Group(severity, code, remedy, tuple(Said(tuple(filter(None, names)), detail) for detail, names in said.items()))
        for (severity, code, remedy), said in groups.items()
    ]
    return sorted(made, key=lambda group: _ORDER[group.severity])


def names_of(said: Said, most: int) -> str:
    """Return the names, venues of one market together as BTC/USD@{kraken, coinbase}, and how many more there are."""
    markets: dict[tuple[str, str], list[str]] = {}
    for name in said.names[:most]:
        plain = name.removesuffix(" bars")
        market, _, venue = ("", "", name) if "|" in name else plain.rpartition("@")
        markets.setdefault((market, "bars of " if market and plain != name else ""), []).append(venue)
    words = [kind + _together(market, venues) for (market, kind), venues in markets.items()]
    more = len(said.names) - most
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _together(market: str, venues: list[str]) -> str:
    listed = ", ".join(venues)
    if not market:
        return listed
    return f"{market}@{{{listed}}}" if len(venues) > 1 else f"{market}@{listed}"
