"""An import is all or nothing, accounts for every row, and does nothing twice."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from arbot.cli import data_import
from arbot.tape.importing.contract import Options, Refused, Severity
from arbot.tape.importing.formats import FORMATS
from arbot.tape.importing.run import import_files
from tests.support.imports import imported, text_file

T0 = 1585699200_000000
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"


def quote(ms: float, bid: str = "100", *, ask: str = "101", venue_ms: float | None = None, qty: str = "1") -> str:
    at = T0 + int(ms * 1000)
    venue = at - 90 if venue_ms is None else T0 + int(venue_ms * 1000)
    return f"kraken,BTC/USD,{venue},{at},{qty},{ask},{bid},{qty}"


def quotes(folder, *lines: str, name: str = "q.csv"):
    return text_file(folder, name, QUOTES, *lines)


def files_in(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_whole_import_is_published_with_its_report(tmp_path):
    """Datasets lie where the layout says, nothing of the staging is left, and the report says what became of rows."""
    path = quotes(tmp_path, quote(0), quote(86_400_000))
    out = tmp_path / "out"
    report = import_files(FORMATS["tardis-quotes"], [path], out, Options())
    assert [
        "imports/0001.json",
        "kraken/BTC-USD/2020-04-01/1585699200000000000.quotes.parquet",
        "kraken/BTC-USD/2020-04-02/1585785600000000000.quotes.parquet",
    ] == files_in(out)
    (file,) = json.loads((out / "imports" / "0001.json").read_text())["files"]
    assert (2, 2, {}) == (file["rows_read"], file["rows_kept"], file["dropped"])
    assert ("BTC/USD@kraken",) == report.series


def test_refusal_in_the_last_file_leaves_nothing(tmp_path):
    """A bad row in the last of two files leaves the catalogue as it was."""
    good, bad = quotes(tmp_path, quote(0), name="a.csv"), quotes(tmp_path, quote(1), quote(2, "1O0"), name="b.csv")
    with pytest.raises(Refused, match=r"b\.csv, row 2"):
        import_files(FORMATS["tardis-quotes"], [good, bad], tmp_path / "out", Options())
    assert not (tmp_path / "out").exists() or [] == files_in(tmp_path / "out")


def test_interruption_leaves_nothing(tmp_path):
    """A Ctrl-C while rows are being written leaves no dataset, no report and no staging."""

    class Interrupting:
        def append(self, *columns):
            raise KeyboardInterrupt

        def close(self):
            raise AssertionError

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        import_files(
            FORMATS["tardis-quotes"], [quotes(tmp_path, quote(0))], out, Options(), open_sink=lambda *_: Interrupting()
        )
    assert [] == files_in(out)
    assert [] == list((out / "imports").iterdir())


def test_failed_move_takes_back_the_others(tmp_path, monkeypatch):
    """When the second dataset cannot be moved, the first goes back."""
    out = tmp_path / "out"
    path = quotes(tmp_path, quote(0), quote(86_400_000))
    rename = type(path).rename
    moved = []

    def failing(self, target):
        if self.parent.name == "2020-04-02" and "staging" not in str(target) and not moved:
            moved.append(target)
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", failing)
    with pytest.raises(OSError, match="disk full"):
        import_files(FORMATS["tardis-quotes"], [path], out, Options())
    assert [] == files_in(out)


def test_same_files_again_are_left_alone_and_others_are_refused(tmp_path):
    """The same content is known by its digest, whatever its name; another file of the same day is refused."""
    out = tmp_path / "out"
    import_files(FORMATS["tardis-quotes"], [quotes(tmp_path, quote(0))], out, Options())
    before = files_in(out)
    again = import_files(FORMATS["tardis-quotes"], [quotes(tmp_path, quote(0), name="r.csv")], out, Options())
    assert ["already_imported"] == [finding.code for finding in again.findings]
    with pytest.raises(Refused, match="in the catalogue already"):
        import_files(FORMATS["tardis-quotes"], [quotes(tmp_path, quote(5), name="s.csv")], out, Options())
    assert before == files_in(out)


def test_books_and_trades_of_a_day_lie_side_by_side(tmp_path):
    """Another content of the same day is another dataset, and is no reason to refuse."""
    out = tmp_path / "out"
    import_files(FORMATS["tardis-quotes"], [quotes(tmp_path, quote(0))], out, Options())
    header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    trades = text_file(tmp_path, "t.csv", header, f"kraken,BTC/USD,{T0},{T0 + 1},1,buy,100,1")
    import_files(FORMATS["tardis-trades"], [trades], out, Options())
    folder = "kraken/BTC-USD/2020-04-01/15856992000000"
    assert [f"{folder}00000.quotes.parquet", f"{folder}01000.trades.parquet"] == files_in(out)[2:]


def test_few_rows_out_of_order_are_sorted_stably_many_are_refused(tmp_path):
    """One late row of 2000 is put in its place and counted; one of 20 is refused with its row."""
    lines = [quote(n, str(1 + n)) for n in range(2000)]
    lines[1000], lines[1001] = lines[1001], lines[1000]
    done = imported("tardis-quotes", [quotes(tmp_path, *lines)], tmp_path / "a")
    bids = [rows[1][1] for *_, rows in done.only.messages()]
    assert list(range(1, 2001)) == bids
    assert (Severity.WARN, 1) == (done.finding("order").severity, done.finding("order").count)
    few = [*lines[:10], quote(3), *lines[10:20]]
    with pytest.raises(Refused, match=r"q\.csv, row 11.*\(order\)"):
        imported("tardis-quotes", [quotes(tmp_path, *few)], tmp_path / "b")


def test_repeats_are_counted_and_kept(tmp_path):
    """A message equal to the one before in every field is counted, not dropped."""
    done = imported("tardis-quotes", [quotes(tmp_path, quote(0), quote(0), quote(1))], tmp_path / "out")
    assert (Severity.INFO, 1) == (done.finding("order").severity, done.finding("order").count)
    assert 3 == len(done.only.messages())


def test_rows_without_a_price_are_dropped_with_an_error(tmp_path):
    """A zero or a NaN drops the whole row of the file, both sides of it."""
    path = quotes(tmp_path, quote(0), quote(1, "0"), quote(2, ask="nan"), quote(3))
    done = imported("tardis-quotes", [path], tmp_path / "out")
    assert (2, {"zero_price": 2}) == (done.report.files[0].rows_kept, done.report.files[0].dropped)
    assert (Severity.ERROR, 2) == (done.finding("zero_price").severity, done.finding("zero_price").count)


def test_equal_clocks_are_one_clock(tmp_path):
    """When the venue's time equals ours everywhere, it is unknown: 0 on the tape, and said."""
    done = imported("tardis-quotes", [quotes(tmp_path, *(quote(n, venue_ms=n) for n in range(3)))], tmp_path / "out")
    assert {0} == {row[1] for row in done.only.rows}
    assert ["no_exchange_time"] == done.codes()


def test_inferred_steps_are_said_and_told_ones_hold(tmp_path):
    """The steps that the numbers show are a finding; a tick of 0.05 stands in the instrument, and misfits are refused."""
    path = quotes(tmp_path, quote(0, "100.25"), quote(1, "100.3"))
    done = imported("tardis-quotes", [path], tmp_path / "a")
    assert "prices are laid on 0.01" in done.finding("tick").detail
    told = imported("tardis-quotes", [path], tmp_path / "b", tick="0.05")
    assert ("0.05", 2) == (str(told.only.meta.instrument.tick_size), told.only.meta.instrument.price_decimals)
    with pytest.raises(Refused, match="say the true --tick"):
        imported("tardis-quotes", [path], tmp_path / "c", tick="0.5")


def test_float_artefacts_are_counted(tmp_path):
    """An artefact is laid on the tick that the other rows show."""
    path = quotes(tmp_path, quote(0, "22325.509999999995", ask="22325.53"), quote(1, "22325.5", ask="22325.53"))
    done = imported("tardis-quotes", [path], tmp_path / "out")
    assert 2232551 == done.only.messages()[0][2][1][1]
    assert (Severity.INFO, 1) == (done.finding("float_artefact").severity, done.finding("float_artefact").count)


def test_numbers_beyond_18_digits_are_refused(tmp_path):
    """A price that does not fit is refused, not wrapped around."""
    path = quotes(tmp_path, quote(0, "0.000000000001"), quote(1, ask="99999999999"))
    with pytest.raises(Refused, match="more than 18 digits"):
        imported("tardis-quotes", [path], tmp_path / "out")


def test_round_number_of_rows_is_told(tmp_path):
    """A file of exactly 1000 rows may have been cut by a download."""
    done = imported("tardis-quotes", [quotes(tmp_path, *(quote(n) for n in range(1000)))], tmp_path / "out")
    assert ["truncated"] == done.codes()


def test_nothing_to_read_is_said_for_every_path(tmp_path):
    """Missing files and folders without a match are one list of mistakes."""
    with pytest.raises(Refused) as refusal:
        imported("tardis-quotes", [tmp_path / "none.csv", tmp_path], tmp_path / "out")
    assert 2 == len(refusal.value.mistakes)


@pytest.fixture
def command():
    app = typer.Typer()
    data_import.register(app)
    app.command("other")(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, ["import", *map(str, arguments)], catch_exceptions=True)


def test_command_prints_a_report(command, tmp_path):
    """The command writes a catalogue and says what it read, as words and as JSON."""
    path = quotes(tmp_path, quote(0))
    done = command("--format", "tardis-quotes", path, "--out", tmp_path / "out", "--json")
    assert 1 == json.loads(done.stdout)["files"][0]["rows_read"]
    assert (tmp_path / "out" / "imports" / "0001.json").exists()
    dry = command("--format", "tardis-quotes", path, "--dry-run")
    assert 0 == dry.exit_code
    assert "q.csv" in dry.stdout


def test_command_lists_formats_and_refuses_unknown_ones(command):
    """`--format list` shows every format; another name is a mistake that shows them too."""
    assert set(FORMATS) == {line.split()[0] for line in command("--format", "list").stdout.splitlines()}
    assert "tardis-quotes" in str(command("--format", "nonsense").exception)
