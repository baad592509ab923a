"""Canonical text to history lines, strictly: a file is right as a whole, or every mistake in it is named at its line.

Rules of this file:
- Every amount is positive where it says how much moved; a fee may be negative only in a fill (a rebate).
- A fill, income, spend and transfer of coins carries the USD price of what it touches: a price that is missing is never
  guessed. A fee of zero touches nothing.
- `sent` = `received` + `fee` to the last digit. Instants ascend through the file. Nothing happened before the first block
  of Bitcoin (2009-01-03 18:15:05 UTC): an earlier time is a clock that was never set.
- Unknown fields and `meta` lines are passed over, unknown kinds are mistakes. A key that stands twice is a mistake.
- A number has at most 40 digits before and 40 behind the point: enough for every chain, and sums of them stay exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import msgspec

from arbot.domain.errors import Mistake
from arbot.domain.history import (
    CASH,
    IN_TRANSIT,
    NS_PER_S,
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
    parse_ts,
)
from arbot.domain.units import EXACT
from arbot.ledger.history.codes import BEFORE_EPOCH, IN_FUTURE, MISSING_PRICE, MIXED_TIME_ZONES, coded
from arbot.ledger.history.fields import ALLOCATIONS, INCOME_WHY, KINDS, SIDES, SPEND_WHY, TABLES
from arbot.ledger.history.plain_fills import NUMBER, TEXT, PlainFill, PlainFills
from arbot.ledger.history.writing import as_text

MISTAKES_KEPT: Final = 50
"""Mistakes that are shown; the rest are counted."""

FIRST_NS: Final = 1_231_006_505_000_000_000  # 2009-01-03T18:15:05Z, the time in the header of block 0
LAST_NS: Final = 7_258_118_400_000_000_000  # 2200-01-01: a clock that says more is broken, and the store counts to 2262
SHOWN_MAX = 160  # characters of a line that a mistake repeats

_NUMBER = f"-?{NUMBER}"
_PRICE = NUMBER
_TEXT = TEXT
_FILL_BEGINS = b'{"kind": "fill"'
_DERIVED_ENDS = (":fee", ":rebate")
_make = tuple.__new__  # the constructor of a named tuple costs twice as much
_BETWEEN = '": "'  # key and value of a canonical entry
_NUMBERS = re.compile(_NUMBER)
_PLAIN = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,40})?", re.ASCII)
_WITH_OFFSET = re.compile(r"([0-9-]{10}T[0-9:]{8}(?:\.[0-9]{1,9})?)([+-][0-9]{2}:?[0-9]{2})", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_ASSET = re.compile(r"[A-Z0-9]+", re.ASCII)
_HEAD = re.compile(r'\{"kind": "([a-z]+)", "id": ("[^"\\]*(?:\\.[^"\\]*)*"), "ts": "([^"]+)"')

_decode: Callable[[str], HistoryLine] = msgspec.json.Decoder(HistoryLine).decode

_NUMBERS_REMEDY = 'write plain decimal notation as text, such as "0.00012": no exponent, no +, no grouping'
_REMEDY_TIME = "write when it happened, in UTC, and import the file again; nothing was written"
_REMEDY = "see docs/guide/history-format.md, mend the line and import the file again; nothing was written"


class ReadLine(NamedTuple):
    """A line that is right: canonical text beside the value it has. `row` is its place in the file, from 1."""

    row: int
    id: str
    ts_ns: int
    kind: str
    text: str
    parsed: HistoryLine | PlainFill

    @property
    def line(self) -> HistoryLine:
        """The value; of a plain fill it is made each time it is asked for."""
        return read_stored(self.text) if type(self.parsed) is PlainFill else cast("HistoryLine", self.parsed)


class _Wrong(Exception):
    """What is wrong with the line at hand, and what to do."""

    def __init__(self, what: str, remedy: str = _REMEDY, code: str = "") -> None:
        super().__init__(coded(what, code))
        self.remedy = remedy


class LineReader:
    """Takes the raw lines of one file in order; keeps the first mistakes and counts all of them."""

    def __init__(self, source: str, *, until_ns: int) -> None:
        self.source = source
        self.mistakes: list[Mistake] = []
        self.mistake_count = 0
        self.early_count = 0  # lines that have not happened yet
        self.early_row = 0  # the first of them
        self._until_ns = until_ns
        self._row = 0
        self._sane_until_ns = min(until_ns, LAST_NS - 1)
        self._last_ns = 0
        self._last_row = 0
        self._fills = PlainFills()

    def feed(self, raw: bytes) -> ReadLine | None:
        """Return the next line of the file, or None when it is `meta` or a mistake. `raw` may end in LF."""
        self._row += 1
        is_fill = raw.startswith(_FILL_BEGINS) and raw.isascii()
        if is_fill:
            text = raw.removesuffix(b"\n").decode("ascii")
            fill = self._fills.find(text)
            if fill is not None and not fill[0].endswith(_DERIVED_ENDS):
                ts_ns = fill[1]
                if self._last_ns <= ts_ns <= self._sane_until_ns and ts_ns >= FIRST_NS:
                    self._last_ns, self._last_row = ts_ns, self._row
                    return _make(ReadLine, (self._row, fill[0], ts_ns, "fill", text, fill))
        try:
            return self._read(raw, is_fill=is_fill)
        except _Wrong as wrong:
            self.refuse(self._row, str(wrong), wrong.remedy, raw)
        return None

    def refuse(self, row: int, what: str, remedy: str, raw: bytes = b"") -> None:
        """Note a mistake at a line of the file."""
        self.mistake_count += 1
        if len(self.mistakes) < MISTAKES_KEPT:
            shown = raw[:SHOWN_MAX].decode(errors="replace").rstrip("\r\n")
            self.mistakes.append(Mistake(f"{self.source} line {row}", f"{what}: {shown}" if shown else what, remedy))

    def _read(self, raw: bytes, *, is_fill: bool) -> ReadLine | None:
        try:
            text = raw.removesuffix(b"\n").decode()
        except UnicodeDecodeError as error:
            raise _Wrong(f"not UTF-8 at byte {error.start + 1}", "save the file as UTF-8") from error
        kind = text[10 : text.find('"', 10)]  # where it is in canonical text; anything else finds no pattern
        pattern = _CANONICAL.get(kind)
        match = None if pattern is None else pattern.fullmatch(text)
        if match is None:
            kind, text = _mended(text, is_first=self._row == 1)
            if kind == "meta":
                return None
        line = _decode(text)
        if match is not None and _is_key_twice(line, *match.groups()):
            _refuse_twice(text)
        ts_ns = _instant(line.ts, "ts")
        self._check_time(ts_ns)
        _CHECKS[kind](cast("Any", line), ts_ns)
        _check_common(line.id, line)
        if is_fill and match is not None and type(line) is FillLine:
            self._fills.learn(line)
        return ReadLine(self._row, line.id, ts_ns, kind, text, line)

    def _check_time(self, ts_ns: int) -> None:
        if ts_ns < FIRST_NS:
            what = "ts is before the first block of Bitcoin: the clock that wrote it was not set"
            raise _Wrong(what, _REMEDY_TIME, BEFORE_EPOCH)
        if ts_ns >= LAST_NS:
            raise _Wrong("ts is after the year 2199: the clock that wrote it was not set", _REMEDY_TIME, IN_FUTURE)
        if ts_ns > self._until_ns:
            self.early_count += 1
            self.early_row = self.early_row or self._row
        if ts_ns < self._last_ns:
            raise _Wrong(
                f"ts is before that of line {self._last_row}: lines ascend by ts",
                "sort the file by instant (not as text: 10.5Z comes after 10Z) and import it again",
            )
        self._last_ns, self._last_row = ts_ns, self._row


def head_of(text: str) -> tuple[str, str, int]:
    """Return kind, id and instant (ns) of a canonical text. Raises: ValueError when it is none."""
    match = _HEAD.match(text)
    if match is None:
        raise ValueError(f"not a history line: {text[:SHOWN_MAX]}")
    kind, quoted, ts = match.groups()
    return kind, json.loads(quoted) if "\\" in quoted else quoted[1:-1], parse_ts(ts)


def read_stored(text: str) -> HistoryLine:
    """Return the line of a stored canonical text. Raises: ValueError."""
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a history line: {error}") from error


def is_same(stored: str, text: str) -> bool:
    """Return whether two texts say the same: numbers by value, times by instant; notes do not count."""
    return stored == text or _value_of(stored) == _value_of(text)


def differences(stored: str, text: str) -> str:
    """Return in words where two texts of one id say different things."""
    ours, theirs = _value_of(stored), _value_of(text)
    there, here = json.loads(stored), json.loads(text)
    names = [name for name in {"kind": "", **ours, **theirs} if ours.get(name) != theirs.get(name)]
    return "; ".join(
        f"{name} {there.get(name) or 'nothing'} there, {here.get(name) or 'nothing'} here" for name in names
    )


def _value_of(text: str) -> dict[str, Any]:
    line = read_stored(text)
    value = msgspec.structs.asdict(line) | {"kind": type(line), "note": ""}
    for name in ("ts", "ts_in", "acquired"):
        if value.get(name):
            value[name] = parse_ts(value[name])
    return value


# --- text ------------------------------------------------------------------------------------------------------------


def _mended(text: str, *, is_first: bool) -> tuple[str, str]:
    """Return kind and canonical text of a line that is right, but not written like that. Raises: _Wrong."""
    if is_first and text.startswith("\ufeff"):
        raise _Wrong("the file begins with a byte order mark", "save it as UTF-8 without BOM")
    if text.endswith("\r"):
        raise _Wrong("the line ends in CR LF", "save the file with LF line ends")
    if not text.strip():
        raise _Wrong("the line is empty", "remove it: every line is one JSON object")
    try:
        values = _RAW_DECODE(text)
    except msgspec.DecodeError as error:
        raise _explained(text, str(error)) from error
    kind: str = values.__struct_config__.tag
    _refuse_twice(text)
    if kind == "meta":
        return kind, text
    fields = KINDS[kind]
    named = msgspec.structs.asdict(values)
    for name in fields.numbers:
        named[name] = _plain(name, named[name])
    for table in ("px", "fx"):
        named[table] = {key: _price(f"{table} of {key}", value) for key, value in named[table].items()}
    return kind, as_text(kind, named)


def _explained(text: str, error: str) -> _Wrong:
    """Turn what the parser says into words about this format."""
    try:
        found = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return _Wrong(f"not JSON ({error})")
    if not isinstance(found, dict):
        return _Wrong("not a JSON object")
    kind = found.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return _Wrong(f"unknown kind {kind!r}", f"use one of {', '.join(KINDS)}")
    missing = [name for name in ("id", "ts", *KINDS[kind].required) if name not in found]
    if missing:
        return _Wrong(f"a {kind} without {', '.join(missing)}")
    for name, value in found.items():
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return _Wrong(f"{name} is a JSON number: it may have lost digits", _NUMBERS_REMEDY)
        if isinstance(value, dict) and any(isinstance(one, int | float | Decimal) for one in value.values()):
            return _Wrong(f"{name} holds a JSON number: it may have lost digits", _NUMBERS_REMEDY)
    return _Wrong(error[0].lower() + error[1:])


def _plain(name: str, text: str) -> str:
    """Return a number without leading zeros, all other digits kept."""
    if not _PLAIN.fullmatch(text):
        raise _Wrong(f"{name} is {text[:60]!r}, not a number of this format", _NUMBERS_REMEDY)
    plain = format(Decimal(text), "f")
    if not _NUMBERS.fullmatch(plain):
        raise _Wrong(f"{name} has more than 40 digits before the point: {text[:90]!r}", _NUMBERS_REMEDY)
    return plain


def _price(name: str, text: str) -> str:
    plain = _plain(name, text)
    if plain.startswith("-"):
        raise _Wrong(f"{name} is {plain}: it is below zero", "write USD for one unit of it, or units of it for one USD")
    return plain


def _refuse_twice(text: str) -> None:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) != len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise _Wrong(f"the key {twice!r} stands twice", "keep one of them")
        return made

    json.loads(text, object_pairs_hook=pairs)


def _raw_struct(kind: str) -> type[msgspec.Struct]:
    """Return the struct of a kind in which every value is text: what a number looked like is still to be seen."""
    fields = KINDS[kind]
    table = dict[str, str]
    columns: list[Any] = [("id", str), ("ts", str)]
    columns += [(name, str | None if name == "ts_in" else str) for name in fields.required]
    columns += [(name, str, "") for name in fields.optional]
    columns += [(name, table, msgspec.field(default_factory=dict)) for name in ("px", "fx", "px_src")]
    columns.append(("note", str, ""))
    return msgspec.defstruct(f"_raw_{kind}", columns, tag_field="kind", tag=kind, kw_only=True, gc=False)


def _canonical_pattern(kind: str) -> re.Pattern[str]:
    """Return a pattern of canonical text without escapes: what it matches needs no other proof of its notation."""
    fields = KINDS[kind]
    parts = [rf'"kind": "{kind}"', rf'"id": "{_TEXT}+"', rf'"ts": "{_TEXT}+"']
    for name in fields.required:
        value = f'"{_NUMBER}"' if name in fields.numbers else f'"{_TEXT}*"'
        parts.append(f'"{name}": (?:{value}|null)' if name == "ts_in" else f'"{name}": {value}')
    tail = "".join(f'(?:, "{name}": "{_TEXT}+")?' for name in fields.optional)
    for name, value in zip(TABLES, (_PRICE, _PRICE, f"{_TEXT}*"), strict=True):
        entry = f'"{_TEXT}*": "{value}"'
        tail += rf'(?:, "{name}": \{{({entry}(?:, {entry})*)\}})?'
    return re.compile(r"\{" + ", ".join(parts) + tail + f'(?:, "note": "{_TEXT}+")?' + r"\}")


def _is_key_twice(line: HistoryLine, px: str | None, fx: str | None, px_src: str | None) -> bool:
    """Return whether a table of a canonical line has more entries in its text than in its value."""
    return (
        (px is not None and px.count(_BETWEEN) != len(line.px))
        or (fx is not None and fx.count(_BETWEEN) != len(line.fx))
        or (px_src is not None and px_src.count(_BETWEEN) != len(line.px_src))
    )


class _Meta(msgspec.Struct, tag_field="kind", tag="meta"):
    pass


_RAW = {kind: _raw_struct(kind) for kind in KINDS}
_RAW_UNION: Any = _Meta
for _struct in _RAW.values():
    _RAW_UNION = _RAW_UNION | _struct
_RAW_DECODE: Callable[[str], Any] = msgspec.json.Decoder(_RAW_UNION).decode
_CANONICAL = {kind: _canonical_pattern(kind) for kind in KINDS}


# --- meaning ---------------------------------------------------------------------------------------------------------


def _instant(text: str, name: str) -> int:
    try:
        return parse_ts(text)
    except ValueError as error:
        if match := _WITH_OFFSET.fullmatch(text):
            raise _Wrong(
                f"{name} is told with the offset {match[2]}, and times of this format are UTC",
                f"write {_as_utc(match[1], match[2])}, and look whether other lines have local times without saying so",
                MIXED_TIME_ZONES,
            ) from error
        raise _Wrong(
            f"{name} is no time in UTC ({error})",
            "write YYYY-MM-DDTHH:MM:SSZ, with up to nine digits of the second: local times and offsets are not taken",
        ) from error


def _as_utc(local: str, offset: str) -> str:
    """Return the text in UTC of a local time with an offset such as +02:00; as it came when there is no such time."""
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    shift_ns = (hours * 60 + minutes) * 60 * NS_PER_S
    try:
        return format_ts(parse_ts(f"{local}Z") + (-shift_ns if offset.startswith("+") else shift_ns))
    except ValueError:
        return f"{local}Z"


@lru_cache(maxsize=1024)
def _is_account(name: str) -> bool:
    return _ACCOUNT.fullmatch(name) is not None and name != IN_TRANSIT


@lru_cache(maxsize=4096)
def _is_asset(name: str) -> bool:
    return _ASSET.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _assets(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        _asset(what, name)


def _account(name: str, value: str) -> None:
    if not _is_account(value):
        why = "is reserved" if value == IN_TRANSIT else "is no name of an account"
        raise _Wrong(f"{name} {value!r} {why}", "use letters, digits, '.', '_' and '-', such as binance.sub1")


def _asset(name: str, value: str) -> None:
    if not _is_asset(value):
        raise _Wrong(f"{name} {value!r} is no asset", "use capital letters and digits, such as BTC")


def _positive(line: Any, *names: str) -> None:
    for name in names:
        if getattr(line, name) <= 0:
            raise _Wrong(
                f"{name} is {getattr(line, name):f}: it must be above zero", "turn it round, or leave the line out"
            )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _Wrong(f"{name} is {value!r}", f"use one of {', '.join(known)}")


def _priced(line: HistoryLine, *assets: str) -> None:
    for asset in assets:
        if asset != "USD" and asset not in line.px:
            raise _Wrong(
                f"px has no price of {asset}",
                f"add what one {asset} was worth in USD at that time: a price is never guessed",
                MISSING_PRICE,
            )


def _check_common(name: str, line: HistoryLine) -> None:
    if not name:
        raise _Wrong("the id is empty")
    if name.endswith(_DERIVED_ENDS):
        raise _Wrong(f"the id {name!r} ends like one that is derived from another", "choose an id without that end")
    if line.px:
        _assets("px of", tuple(line.px))
        if line.px.get("USD", 1) != 1:
            raise _Wrong(f"px of USD is {line.px['USD']:f}", "px is in USD: leave USD itself out")
    if line.fx:
        _assets("fx of", tuple(line.fx))
        for asset, rate in line.fx.items():
            if rate == 0:
                raise _Wrong(f"fx of {asset} is zero", "write units of it for one USD")


def _check_cash_move(line: DepositLine | WithdrawalLine, _ts_ns: int) -> None:
    _account("venue", line.venue)
    _asset("asset", line.asset)
    if line.asset not in CASH:
        remedy = "write coins as an opening (with basis), a transfer, income or spend"
        raise _Wrong(f"{line.asset} is not cash ({', '.join(sorted(CASH))})", remedy)
    _positive(line, "amount")


def _check_opening(line: OpeningLine, ts_ns: int) -> None:
    _account("venue", line.venue)
    _asset("asset", line.asset)
    if line.asset in CASH:
        raise _Wrong(f"an opening of cash ({line.asset})", "cash has no lots: write it as a deposit")
    _positive(line, "amount")
    if line.basis < 0:
        raise _Wrong("basis is below zero", "write what the coins cost in USD, in all")
    acquired_ns = _instant(line.acquired, "acquired")
    if not FIRST_NS <= acquired_ns <= ts_ns:
        raise _Wrong(
            "acquired is after ts" if acquired_ns > ts_ns else "acquired is before the first block of Bitcoin",
            "write when the coins were acquired: no later than the line itself",
            "" if acquired_ns > ts_ns else BEFORE_EPOCH,
        )
    if line.allocation:
        _one_of("allocation", line.allocation, ALLOCATIONS)


def _check_fill(line: FillLine, _ts_ns: int) -> None:
    base, quote, fee_ccy = line.base, line.quote, line.fee_ccy
    _check_fill_names(line.venue, line.symbol, base, quote, line.side, fee_ccy)
    if line.amount <= 0 or line.cost <= 0:
        _positive(line, "amount", "cost")
    _priced(line, base, quote, *((fee_ccy,) if line.fee else ()))


@lru_cache(maxsize=4096)
def _check_fill_names(venue: str, symbol: str, base: str, quote: str, side: str, fee_ccy: str) -> None:  # noqa: PLR0917
    _account("venue", venue)
    for name, asset in (("base", base), ("quote", quote), ("fee_ccy", fee_ccy)):
        _asset(name, asset)
    if base == quote or symbol != f"{base}/{quote}":
        raise _Wrong(f"symbol {symbol!r} is not {base}/{quote}", "write symbol as base/quote, two assets")
    _one_of("side", side, SIDES)


def _check_transfer(line: TransferLine, ts_ns: int) -> None:
    _account("src", line.src)
    _account("dst", line.dst)
    _asset("asset", line.asset)
    if line.src == line.dst:
        raise _Wrong(f"a transfer from {line.src} to itself", "name the account it went to")
    _positive(line, "sent", "received")
    if line.fee < 0 or EXACT.add(line.received, line.fee) != line.sent:
        words = f"sent {line.sent:f} is not received {line.received:f} + fee {line.fee:f}"
        raise _Wrong(words, "mend the amounts: a fee in another asset is a spend of its own")
    if line.ts_in is not None and _instant(line.ts_in, "ts_in") < ts_ns:
        raise _Wrong("ts_in is before ts", "nothing arrives before it left: check both times")
    if line.asset not in CASH:
        _priced(line, line.asset)


def _check_side_move(line: IncomeLine | SpendLine, _ts_ns: int) -> None:
    _account("venue", line.venue)
    _asset("asset", line.asset)
    _positive(line, "amount")
    _one_of("why", line.why, INCOME_WHY if isinstance(line, IncomeLine) else SPEND_WHY)
    _priced(line, line.asset)


_CHECKS: dict[str, Callable[[Any, int], None]] = {
    "deposit": _check_cash_move,
    "withdrawal": _check_cash_move,
    "opening": _check_opening,
    "fill": _check_fill,
    "transfer": _check_transfer,
    "income": _check_side_move,
    "spend": _check_side_move,
}


def read_lines(reader: LineReader, raw_lines: Iterator[bytes]) -> Iterator[ReadLine]:
    """Yield the lines that are right; the mistakes are in the reader."""
    feed = reader.feed
    for raw in raw_lines:
        found = feed(raw)
        if found is not None:
            yield found
