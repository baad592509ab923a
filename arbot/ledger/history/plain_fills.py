"""Fills in plain canonical text, read by one pattern: what nearly every line of a long history is.

Rules of this file:
- Nothing is taken here that the reader of all lines would not take: the pattern proves keys, their order, notation and
  signs; the rest of what is checked (names, prices of every asset) is the same for all fills of one shape, and a shape is
  known only after the reader of all lines has taken a fill of it. Whatever is unusual is left to that reader.
- No number is made of text before a sum needs it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from arbot.domain.history import MINUTES_NS, SECONDS_NS, FillLine, parse_ts

SHAPES_MAX: Final = 4_096
"""Shapes that are remembered; a file with more of them is read as slowly as any other line."""

NUMBER: Final = r"(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?"
TEXT: Final = r'[^"\\\x00-\x1f]'

_POSITIVE = rf'(?!0(?:\.0*)?"){NUMBER}'
_ASSET = '(?!USD")[A-Z0-9]+'  # a price of USD itself is for the reader of all lines
_MARKET = ", ".join(f'"{name}": "{TEXT}*"' for name in ("venue", "symbol", "base", "quote", "side"))


def _table(name: str, value: str, entries_max: int) -> str:
    """Return the pattern of a table with at most so many entries, each of whose keys is a group."""
    more = rf'(?:, "({_ASSET})": "{value}")?' * (entries_max - 1)
    return rf'(?:, "{name}": \{{"({_ASSET})": "{value}"{more}\}})?'


_PLAIN = re.compile(
    rf'\{{"kind": "fill", "id": "({TEXT}+)", '
    r'"ts": "([0-9]{4}-[0-9]{2}-[0-9]{2})T((?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?Z", '
    rf'({_MARKET}), "amount": "({_POSITIVE})", "price": "-?{NUMBER}", "cost": "({_POSITIVE})", '
    rf'"fee": "(?:(0)|(-?{_POSITIVE}))", "fee_ccy": "({TEXT}*)", "order_id": "{TEXT}*"'
    rf"{_table('px', NUMBER, 3)}{_table('fx', _POSITIVE, 2)}\}}"
)
_BY_LINE: Final = (1, 2, 3, 4, 5, 7, 8, 10)  # id, day, minute, second, fraction, amount, cost, fee
_BY_SHAPE: Final = (6, 9, 11, 12, 13, 14, 15, 16)  # market, whether the fee is zero, fee_ccy, keys of px and fx


class FillTerms(NamedTuple):
    """What fills of one kind and place have in common."""

    venue: str
    side: str
    base: str
    quote: str
    fee_ccy: str


class PlainFill(NamedTuple):
    """A fill that was found right, with its numbers as they are written."""

    id: str
    ts_ns: int
    terms: FillTerms
    amount: str
    cost: str
    fee: str


_Shape = tuple[str | None, ...]

_make = tuple.__new__  # the constructor of a named tuple costs twice as much


class PlainFills:
    """Takes texts of one file in order and remembers the shapes of those that were right."""

    def __init__(self) -> None:
        self._terms: dict[_Shape, FillTerms] = {}
        self._new: _Shape | None = None
        self._day = ""
        self._day_ns = 0

    def find(self, text: str) -> PlainFill | None:
        """Return what a text says when it is a fill in plain canonical form whose shape is known, else None."""
        self._new = None
        match = _PLAIN.fullmatch(text)
        if match is None:
            return None
        shape = match.group(*_BY_SHAPE)
        terms = self._terms.get(shape)
        if terms is None:
            self._new = shape
            return None
        name, day, minute, second, fraction, amount, cost, fee = match.group(*_BY_LINE)
        if day != self._day:
            try:
                self._day_ns = parse_ts(f"{day}T00:00:00Z")
            except ValueError:
                return None  # no such day: the reader of all lines says so
            self._day = day
        ts_ns = self._day_ns + MINUTES_NS[minute] + SECONDS_NS[second]
        if fraction:
            ts_ns += int(fraction.ljust(9, "0"))
        return _make(PlainFill, (name, ts_ns, terms, amount, cost, fee or "0"))

    def learn(self, line: FillLine) -> None:
        """Remember the shape of the text that `find` was asked about last: the reader of all lines has taken it."""
        if self._new is not None and len(self._terms) < SHAPES_MAX:
            self._terms[self._new] = FillTerms(line.venue, line.side, line.base, line.quote, line.fee_ccy)
