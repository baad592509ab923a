"""`arbot data inspect` on tapes as they lie on disk: table, JSON, page and exit status."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from arbot.cli import data_inspect
from arbot.domain.errors import UserError
from arbot.tape.generate import Fault, FaultKind, TapeSpec, write_generated
from arbot.tape.importing.contract import Finding, Severity
from arbot.tape.writer import BarsWriter
from tests.support.inspected import bar_series, report_of_import

app = typer.Typer()
app.callback()(lambda: None)
data_inspect.register(app)


def run(*arguments: object):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """Write a tape of three venues and two symbols with a clock behind, as a recorder writes it."""
    root = tmp_path_factory.mktemp("tape")
    faults = (Fault(kind=FaultKind.CLOCK_BEHIND, venue=1, amount=10**9), Fault(kind=FaultKind.WHOLE_SECONDS, venue=2))
    write_generated(TapeSpec(rows=30_000, venues=3, symbols=2, faults=faults), root, lambda _done: None)
    return root


def test_json_has_every_series_and_pair(tape):
    """The JSON gives edge percentiles, shares of time and window counts per pair, and the planted faults."""
    done = run(tape, "--json")
    document = json.loads(done.stdout)
    assert 1 == done.exit_code
    assert 6 == len(document["series"])
    assert 6 == len(document["pairs"])
    assert 30_000 <= sum(one["rows"] for one in document["series"])
    for pair in document["pairs"]:
        assert {"p1", "p5", "p25", "p50", "p75", "p95", "p99", "max"} == set(pair["edge_bps"])
        assert [0, 10, 25, 50, 100] == [one["above_bps"] for one in pair["above"]]
        assert {"windows", "time_share", "median_s", "longest_s"} == set(pair["above"][0]["both"])
        assert pair["valid_h"] > 0
    codes = {(one["code"], one["series"]) for one in document["findings"]}
    behind = [name for code, name in codes if code == "clock_behind"]
    assert 1 == len(behind)
    assert 1 == len([name for code, name in codes if code == "whole_seconds"])


def test_the_page_stands_alone(tape, tmp_path):
    """The page has every series and pair, and asks nothing of any other host."""
    done = run(tape, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 1 == done.exit_code
    assert "clock_behind" in page
    assert "When it was there" in page
    assert [] == re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", page)


def test_the_table_names_series_and_findings(tape):
    """The table on stdout has the series, the pairs and what was found, with its remedy."""
    done = run(tape)
    assert "clock_behind" in done.stdout
    assert "is no measure of delay" in done.stdout
    assert "usable %" in done.stdout


@pytest.mark.parametrize("width", [90, 120, 200])
def test_a_narrow_terminal_loses_columns_and_says_which(tape, width, monkeypatch):
    """Whatever the width, every series has its whole name, and what there was no room for is named."""
    monkeypatch.setattr(data_inspect, "PLAIN_WIDTH", width)
    done = run(tape)
    tables = done.stdout.partition("Findings:")[0]
    assert all(name in tables for name in ("BTC/USD@kraken", "ETH/USD@bitstamp", "BTC/USD coinbase - kraken"))
    assert (width < 200) == ("no room for: hours" in tables)
    drawn = [line for line in tables.splitlines() if "room for" not in line]
    assert width >= max(map(len, drawn))


def test_damage_and_findings_of_imports_are_errors(tape, tmp_path):
    """A part that cannot be read and a finding that an import left are shown, with exit status 2."""
    told = Finding(code="unit", severity=Severity.ERROR, series="BTC/USD@kraken", detail="ns and ms in one file")
    (tmp_path / "imports").mkdir()
    (tmp_path / "imports" / "1.json").write_bytes(msgspec.json.encode(report_of_import(told)))
    part = next(iter(sorted(tape.rglob("*.parquet"))))
    whole = tmp_path / part.relative_to(tape)
    whole.parent.mkdir(parents=True)
    whole.write_bytes(part.read_bytes())
    whole.with_name("1" * 19 + ".parquet").write_bytes(part.read_bytes()[:-100])
    done = run(tmp_path, "--json")
    assert 2 == done.exit_code
    codes = [one["code"] for one in json.loads(done.stdout)["findings"]]
    assert {"unit", "damaged"} <= set(codes)


def test_bars_are_inspected(tmp_path):
    """Bars on disk are read, and what is wrong with them is found."""
    bars = bar_series("one", [(100, 1), (101, 0), (102, 3)])
    with BarsWriter(tmp_path, bars.meta) as writer:
        writer.append(bars.start_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
    document = json.loads(run(tmp_path, "--json").stdout)
    assert [(3, 1)] == [(one["rows"], one["zero_volume"]) for one in document["bars"]]


@pytest.mark.parametrize(
    "arguments", [("--fresh", "soon"), ("--fresh", "1ms"), ("--pairs", "some"), ("--gap", "-1s")], ids=" ".join
)
def test_mistakes_of_the_command_line_are_told(tape, arguments):
    """A length of time or a word that is none is refused with a remedy."""
    done = run(tape, *arguments)
    assert isinstance(done.exception, UserError)
    assert done.exception.mistakes[0].where == arguments[0]


def test_a_folder_without_a_tape_is_refused(tmp_path):
    """An empty folder is refused by name."""
    done = run(tmp_path)
    assert isinstance(done.exception, UserError)
    assert str(tmp_path) in str(done.exception)
