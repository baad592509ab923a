"""The column map of a generic CSV: which column means what, in TOML, checked before a row is read.

Rules of this file:
- Every column of the file is mapped or named in `ignore`: a column nobody explained stops the file.
- A field comes from a column or is a constant, never both. Words of the file are turned into ours by `[values.<field>]`,
  assets by `[assets]`.
- Times have one zone for the whole file: the map's (or --timezone), or the offset each time carries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.tax.statements.settling import read_toml

FIELDS: Final = (
    "id", "time", "kind", "account", "side", "symbol", "base", "quote", "amount", "price", "cost", "fee", "fee_ccy",
    "order_id", "asset", "basis", "acquired", "why", "txid", "note", "usd_price",
)  # fmt: skip
"""What a column or constant can mean."""

KINDS: Final = ("fill", "deposit", "withdrawal", "income", "spend", "opening")
NEEDED: Final = {
    "fill": ("side", "amount"),
    "deposit": ("asset", "amount"),
    "withdrawal": ("asset", "amount"),
    "income": ("asset", "amount", "why"),
    "spend": ("asset", "amount", "why"),
    "opening": ("asset", "amount", "basis", "acquired"),
}
"""Fields that a row of each kind cannot do without, beside id and time."""

SECTIONS: Final = frozenset({"file", "time", "columns", "constants", "values", "assets"})


class FileShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the file is written."""

    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    grouping: Literal["", ".", ",", " ", "'"] = ""
    skip_rows: int = 0  # rows above the header
    ignore: tuple[str, ...] = ()  # columns without meaning


class TimeShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How times are written: "iso", "unix_s", "unix_ms", or a pattern of strptime without zone."""

    format: str = "iso"
    zone: str = ""
    fold: Literal["", "earlier", "later"] = ""  # which of two equal local times when clocks are put back


class ColumnMap(msgspec.Struct, frozen=True):
    """A checked map. `columns` and `constants` go from our field to the file's column or to a text."""

    path: Path
    file: FileShape
    time: TimeShape
    zone: ZoneInfo | None  # None: every time carries its offset
    columns: dict[str, str]
    constants: dict[str, str]
    values: dict[str, dict[str, str]]
    assets: dict[str, str]


def read_column_map(path: Path | None, timezone: str, account: str) -> ColumnMap:
    """Return the map of a file; `timezone` other than UTC and `account` replace what it says. Raises: UserError."""
    if path is None:
        remedy = "write a column map and name it with --map (docs/guide/import-statements.md)"
        raise UserError(Mistake("--map", "a generic CSV has no meaning without a map", remedy))
    tables = read_toml(path)
    try:
        file = msgspec.convert(tables.get("file", {}), FileShape)
        time = msgspec.convert(tables.get("time", {}), TimeShape)
        columns = msgspec.convert(tables.get("columns", {}), dict[str, str])
        constants = msgspec.convert(tables.get("constants", {}), dict[str, str])
        constants |= {"account": account} if account else {}
        values = msgspec.convert(tables.get("values", {}), dict[str, dict[str, str]])
        assets = msgspec.convert(tables.get("assets", {}), dict[str, str])
    except msgspec.ValidationError as error:
        raise UserError(Mistake(path.name, str(error), "see docs/guide/import-statements.md")) from error
    found = ColumnMap(
        path=path,
        file=file,
        time=time,
        zone=_zone(path, timezone if timezone != "UTC" else time.zone),
        columns={field: column.strip().lower() for field, column in columns.items()},
        constants=constants,
        values=values,
        assets=assets,
    )
    mistakes = _mistakes(found)
    if mistakes:
        raise UserError(*mistakes)
    return found


def _zone(path: Path, name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        remedy = "write a name such as Europe/Berlin or UTC"
        raise UserError(Mistake(f"{path.name} [time]", f"no zone is called {name!r}", remedy)) from error


def _mistakes(found: ColumnMap) -> list[Mistake]:
    name = found.path.name
    given = found.columns.keys() | found.constants.keys()
    mistakes = [
        Mistake(f"{name} [columns]", f"{field!r} is no field", f"a field is one of {', '.join(FIELDS)}")
        for field in [*found.columns, *found.constants, *found.values]
        if field not in FIELDS
    ]
    mistakes += [
        Mistake(f"{name} [constants]", f"{field} has a column as well", "keep one of them")
        for field in found.columns
        if field in found.constants
    ]
    mistakes += [
        Mistake(f"{name} [columns]", f"{field} has no column", f"name the column that holds the {field}")
        for field in ("id", "time")
        if field not in found.columns
    ]
    mistakes += [
        Mistake(f"{name} [columns]", f"{field} has no column", f"name it, or write it into [constants]: {field} = ...")
        for field in ("kind", "account")
        if field not in given
    ]
    if found.file.grouping == found.file.decimal:
        mistakes.append(Mistake(f"{name} [file]", "decimal and grouping are the same sign", "change one of them"))
    if len(found.file.delimiter) != 1:
        mistakes.append(Mistake(f"{name} [file]", f"delimiter {found.file.delimiter!r} is not one sign", 'write ";"'))
    if "%z" in found.time.format.lower():
        mistakes.append(Mistake(f"{name} [time]", "the format reads a zone", 'use format = "iso", or zone = "..."'))
    return mistakes
