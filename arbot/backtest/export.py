"""A result as files: `report.html`, `result.json`, and arbs and fills as CSV and Parquet.

Exactness: in JSON and CSV a Decimal is its own text. In Parquet a money column is decimal128(38, s), s being the most
decimals any of its numbers needs, so that tools can add it up without a rounding error; a column whose numbers do not fit 38
digits is written as text instead, exact as well. `read_result` reads every version of result.json that has the fields it
knows. Each file is written beside its name, made durable, and renamed: a file with its right name is whole.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from arbot.backtest.report import page
from arbot.backtest.result import ArbRow, FillRow, Result, Scenario
from arbot.domain.errors import Mistake, UserError
from arbot.domain.units import fmt

RESULT, REPORT = "result.json", "report.html"
DIGITS_MAX = 38  # of decimal128
_KINDS: dict[type, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64()}

Columns = dict[str, list[Any]]


def write_result(result: Result, out: Path) -> tuple[Path, ...]:
    """Write every file into the folder `out`, made if it is not there, and return their paths. Raises: OSError."""
    out.mkdir(parents=True, exist_ok=True)
    arbs = _columns(ArbRow, [(one.scenario, one.arbs) for one in result.columns])
    fills = _columns(FillRow, [(one.scenario, one.fills) for one in result.columns])
    makers: dict[str, Callable[[], bytes]] = {
        RESULT: lambda: msgspec.json.format(msgspec.json.encode(result), indent=1),
        REPORT: lambda: page(result).encode(),
        "arbs.csv": lambda: _csv(arbs),
        "fills.csv": lambda: _csv(fills),
        "arbs.parquet": lambda: _parquet(ArbRow, arbs),
        "fills.parquet": lambda: _parquet(FillRow, fills),
    }
    return tuple(_write(out / name, make()) for name, make in makers.items())


def read_result(path: Path) -> Result:
    """Return a result that was written, from its folder or its JSON file. Raises: UserError when it is not one."""
    file = path / RESULT if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=Result)
    except OSError as error:
        raise UserError(Mistake(str(file), error.strerror or "cannot be read", "name the folder of `--out`")) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        remedy = "name a result.json that `arbot backtest` wrote, or replay again"
        raise UserError(Mistake(str(file), f"not a result: {error}", remedy)) from error


def _columns(kind: type[msgspec.Struct], parts: Sequence[tuple[Scenario, Sequence[msgspec.Struct]]]) -> Columns:
    """Return rows of all columns of the report as one table, the first column saying of which."""
    names = kind.__struct_fields__
    table: Columns = {"scenario": [scenario.value for scenario, rows in parts for _ in rows]}
    for name in names:
        table[name] = [getattr(row, name) for _, rows in parts for row in rows]
    return table


def _csv(table: Columns) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([fmt(cell) if isinstance(cell, Decimal) else _safe(cell) for cell in row])
    return out.getvalue().encode()


def _safe(cell: object) -> object:
    """Return a text so that no spreadsheet takes it for a formula: a venue or symbol may begin with anything."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _parquet(kind: type[msgspec.Struct], table: Columns) -> bytes:
    hints = get_type_hints(kind)
    arrays = {
        name: _exact(cells) if hints.get(name) is Decimal else pa.array(cells, _KINDS[hints.get(name, str)])
        for name, cells in table.items()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return bytes(sink.getvalue())


def _exact(numbers: Sequence[Decimal]) -> Any:
    plain = [Decimal(fmt(number)) for number in numbers]
    scale = max((-int(number.as_tuple().exponent) for number in plain), default=0)
    whole = max((max(number.adjusted() + 1, 1) for number in plain), default=1)
    if whole + scale > DIGITS_MAX:
        return pa.array([fmt(number) for number in numbers], pa.string())
    return pa.array(plain, pa.decimal128(DIGITS_MAX, scale))


def _write(path: Path, body: bytes) -> Path:
    open_path = path.with_name(f".{path.name}.open")
    with open_path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    open_path.replace(path)
    return path
