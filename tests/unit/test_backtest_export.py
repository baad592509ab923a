"""Results as files: exact, whole, and readable back."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.backtest.export import read_result, write_result
from arbot.backtest.result import Result
from arbot.domain.errors import UserError
from tests.support.backtest_results import a_result

FILES = ["arbs.csv", "arbs.parquet", "fills.csv", "fills.parquet", "report.html", "result.json"]
LONG = Decimal("1234567890123456789.0123456789012345678901234567890123456789")


def with_edge(result: Result, edge: Decimal) -> Result:
    column = result.columns[0]
    arbs = (msgspec.structs.replace(column.arbs[0], edge=edge), *column.arbs[1:])
    return msgspec.structs.replace(result, columns=(msgspec.structs.replace(column, arbs=arbs), *result.columns[1:]))


@pytest.mark.parametrize("arbs", [0, 1, 40])
def test_a_result_reads_back_as_it_was(tmp_path: Path, arbs: int):
    """What was written is what is read, from the folder or the file, and nothing half-written stays behind."""
    result = a_result(arbs)
    paths = write_result(result, tmp_path / "new" / "out")
    assert FILES == sorted(path.name for path in paths) == sorted(p.name for p in (tmp_path / "new" / "out").iterdir())
    assert result == read_result(tmp_path / "new" / "out") == read_result(tmp_path / "new" / "out" / "result.json")


def test_writing_again_replaces(tmp_path: Path):
    """A second result in the same folder takes the place of the first."""
    write_result(a_result(3), tmp_path)
    write_result(a_result(4), tmp_path)
    assert a_result(4) == read_result(tmp_path)
    assert FILES == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("edge", [Decimal("0.1"), Decimal("-12.000000000000000000001"), Decimal("1E+3"), LONG])
def test_every_digit_is_in_every_file(tmp_path: Path, edge: Decimal):
    """A number of any length is the same in JSON, CSV and Parquet."""
    write_result(with_edge(a_result(40), edge), tmp_path)
    with (tmp_path / "arbs.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert edge == Decimal(row["edge"])
    assert edge == Decimal(pq.read_table(tmp_path / "arbs.parquet")["edge"][0].as_py())
    assert edge == read_result(tmp_path).columns[0].arbs[0].edge


def test_parquet_money_is_decimal_and_adds_up(tmp_path: Path):
    """Ordinary money is decimal128: its sum is the split's edge, to the last digit, column by column."""
    result = a_result(40)
    write_result(result, tmp_path)
    table = pq.read_table(tmp_path / "arbs.parquet")
    assert pa.types.is_decimal128(table.schema.field("edge").type)
    for column in result.columns:
        mine = table.filter(pa.compute.equal(table["scenario"], column.scenario.value))
        assert column.split.edge == pa.compute.sum(mine["edge"]).as_py()
    assert 3 * 40 == table.num_rows


def test_csv_texts_are_no_formulas(tmp_path: Path):
    """A venue that is named like a formula is written as text."""
    result = a_result(1)
    column = result.columns[0]
    arb = msgspec.structs.replace(column.arbs[0], buy_venue="=1+1")
    write_result(msgspec.structs.replace(result, columns=(msgspec.structs.replace(column, arbs=(arb,)),)), tmp_path)
    with (tmp_path / "arbs.csv").open(newline="") as file:
        assert "'=1+1" == next(csv.DictReader(file))["buy_venue"]


@pytest.mark.parametrize("body", ["", "{}", '{"name": 1}', "\xff"])
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, body: str):
    """A damaged or foreign file is told by its path, and so is one that is not there."""
    (tmp_path / "result.json").write_text(body, encoding="latin-1")
    with pytest.raises(UserError, match=r"result\.json: not a result"):
        read_result(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        read_result(tmp_path / "missing.json")
