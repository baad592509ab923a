"""Named backtests: a folder with `run.toml` (the tape to generate and the settings) and `expected.json` (what came of it).

run.toml is a config file with one more table, [generate], whose keys are those of tape.generate.TapeSpec. Expected are the
statistics that a reader understands and the hash of all orders and fills: equal hashes mean equal trades.
"""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from arbot.backtest.result import Result
from arbot.backtest.run import Plan, plan
from arbot.backtest.stock import Listed, Made
from arbot.domain.errors import Mistake, UserError
from arbot.domain.units import fmt
from arbot.settings.load import parse

RUN, EXPECTED = "run.toml", "expected.json"


def is_named(path: Path) -> bool:
    """Return whether a path is the folder of a named backtest."""
    return (path / RUN).is_file()


def named_plan(folder: Path) -> Plan:
    """Return the plan of a named backtest. Raises: UserError for a run.toml that cannot be read or says nonsense."""
    from arbot.tape.generate import TapeSpec, generate_chunks, metas  # noqa: PLC0415 - compiled, and recorded tapes need none

    file = folder / RUN
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        spec = msgspec.convert(_plain(document.pop("generate", {})), TapeSpec)
    except tomllib.TOMLDecodeError as error:
        raise UserError(Mistake(str(file), f"not TOML: {error}", "mend the file")) from error
    except msgspec.ValidationError as error:
        raise UserError(Mistake(f"{file} [generate]", str(error), "see tape.generate.TapeSpec for its keys")) from error
    listed = tuple(Listed(meta.instrument, meta.depth) for meta in metas(spec))
    stock = Made(listed, spec.rows, f"generated {spec}", lambda: generate_chunks(spec))
    settings = parse(document, base=folder.resolve(), source=str(file), text=file.read_text(encoding="utf-8"))
    return plan(settings, stock, tapes=(folder.name,))


def statistics(result: Result) -> dict[str, Any]:
    """Return what expected.json holds of a result."""
    return {
        "rows": result.scanned.rows,
        "messages": result.scanned.messages,
        "columns": {
            column.scenario.value: {
                "arbs": len(column.arbs),
                "missed": column.totals.arbs_missed,
                "stranded": column.totals.arbs_stranded,
                "fills": len(column.fills),
                "orders": column.orders,
                "rejects": column.rejects,
                "windows": column.windows_total,
                "pnl_net": fmt(column.totals.pnl_net),
                "fees": fmt(column.totals.fees),
                "equity_end": fmt(column.equity_end),
                "ledger_matches_venues": column.ledger_matches_venues,
                "order_hash": column.order_hash,
            }
            for column in result.columns
        },
    }


def differences(folder: Path, result: Result) -> list[str]:
    """Return every statistic that is not as expected, in words. Raises: UserError when nothing is expected yet."""
    file = folder / EXPECTED
    if not file.is_file():
        raise UserError(Mistake(str(file), "is not there", f"write it: arbot backtest {folder} --write-expected"))
    return list(compare("", json.loads(file.read_text(encoding="utf-8")), statistics(result)))


def write_expected(folder: Path, result: Result) -> Path:
    """Write what came of a run as what is expected from now on, and return the file."""
    file = folder / EXPECTED
    file.write_text(json.dumps(statistics(result), indent=2) + "\n", encoding="utf-8")
    return file


def compare(where: str, expected: Any, got: Any) -> list[str]:
    """Return a line for each place below `where` in which two documents differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return [
            line
            for key in {**expected, **got}
            for line in compare(f"{where}.{key}" if where else key, expected.get(key), got.get(key))
        ]
    return [] if expected == got else [f"{where}: expected {expected}, got {got}"]


def _plain(value: Any) -> Any:
    """Return tables without Decimals: shares of a generated tape are statistics, not money."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value
