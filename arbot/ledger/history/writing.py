"""History lines to canonical text: the one form in which they are stored, hashed and exported.

Rules of this file:
- Keys in the order of fields.py, separators ", " and ": ", text in UTF-8 with only the escapes that JSON demands.
- Numbers keep the digits they came with ("0.00002000"), always in plain notation; times keep their text.
- Tables keep the order of their keys; what is optional and empty is left out, an arrival that is not known is null.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from arbot.domain.history import HistoryLine
from arbot.ledger.history.fields import KINDS, TABLES

CSV_HEADER: Final = (
    "kind,id,ts,venue,asset,amount,basis,acquired,allocation,symbol,base,quote,side,price,cost,fee,fee_ccy,order_id,"
    "ts_in,src,dst,sent,received,txid,why,px,fx,px_src,note"
)
"""One header for all kinds. A table is written as "BTC=94000 USDT=1.0002"; what a kind does not have is empty."""

_COLUMNS: Final = tuple(CSV_HEADER.split(","))
_ENCODE = msgspec.json.Encoder().encode


class _Sink(Protocol):
    def write(self, text: str, /) -> object: ...


def canonical(line: HistoryLine) -> str:
    """Return the canonical text of a line, without its end of line. Numbers are finite."""
    config: Any = line.__struct_config__
    return as_text(config.tag, msgspec.structs.asdict(line))


def as_text(kind: str, values: Mapping[str, Any]) -> str:
    """Return the canonical text of a line of this kind from its fields by name: text, Decimals and tables of them."""
    fields = KINDS[kind]
    parts = [f'"kind": "{kind}"']
    parts.extend(f'"{name}": {_value(values[name])}' for name in ("id", "ts", *fields.required))
    parts.extend(f'"{name}": {_value(values[name])}' for name in fields.optional if values[name])
    parts.extend(f'"{name}": {{{_entries(values[name])}}}' for name in TABLES if values[name])
    if values["note"]:
        parts.append(f'"note": {_value(values["note"])}')
    return "{" + ", ".join(parts) + "}"


def write_csv(lines: Iterator[HistoryLine], sink: _Sink) -> int:
    """Write lines as CSV with CSV_HEADER and return how many there were. For eyes and spreadsheets: it is not imported."""
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_COLUMNS)
    count = 0
    for line in lines:
        config: Any = line.__struct_config__
        values = msgspec.structs.asdict(line) | {"kind": config.tag}
        writer.writerow([_cell(values.get(name)) for name in _COLUMNS])
        count += 1
    return count


def _value(value: str | Decimal | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        return f'"{value:f}"'
    return _ENCODE(value).decode()


def _entries(table: Mapping[str, str | Decimal]) -> str:
    return ", ".join(f"{_value(key)}: {_value(value)}" for key, value in table.items())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return " ".join(f"{key}={_cell(one)}" for key, one in value.items())
    return str(value)
