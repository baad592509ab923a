"""The command line: exit codes, where things are printed, and that mistakes are told without a traceback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from arbot.cli import exit_codes, running
from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import app, run
from arbot.cli.output import to_json
from arbot.domain.errors import Mistake, UserError, VenueUnavailable
from arbot.journal.store import SqlStore
from arbot.runtime.clock import VirtualClock
from arbot.settings.load import load, parse

ROOT = Path(__file__).parents[2]
COMMANDS_DOC = ROOT / "docs" / "guide" / "commands.md"

CONFIG = """\
[run]
name = "test"
mode = "paper"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = 1000 }
[paper.venues.coinbase]
balances = { BTC = "0.5" }
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "arbot.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture
def with_store(config: str) -> str:
    settings = load(Path(config))
    settings.run.state_dir.mkdir()
    store = SqlStore.open(settings.store_url(), now_ns=VirtualClock().now_ns)
    store.begin_run(run_id="r", mode="paper", code_version="0", config_digest="d")
    store.end_run()
    store.close()
    return config


def commands(group: object = app, prefix: str = "arbot") -> Iterator[str]:
    """Yield every command with its path."""
    tree = typer.main.get_command(group) if isinstance(group, typer.Typer) else group
    for name, command in getattr(tree, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


def test_every_exit_code_is_documented() -> None:
    """The guide holds the very table that the code makes, and the table names every code."""
    assert exit_codes.as_markdown() in COMMANDS_DOC.read_text()
    assert set(exit_codes.MEANINGS) == set(ExitCode)


def test_every_command_is_documented() -> None:
    """The guide lists exactly the commands there are."""
    told = re.findall(r"^\| `(arbot(?: [a-z][a-z-]*)+)", COMMANDS_DOC.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(commands())


@pytest.mark.parametrize(
    "arguments", [["bogus"], [], ["pause", "--bogus"], ["unkill"], ["demo", "--map", "x"], ["run"]]
)
def test_a_wrong_command_line_is_a_usage_mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown commands and options, and missing ones, end with the code for usage and nothing but words."""
    assert run(arguments) == ExitCode.USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_a_valid_config_is_told_as_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`config check --json` prints one JSON object on stdout and ends well."""
    assert run(["config", "check", "-c", config, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["mode"], told["venues"]) == (True, "paper", ["kraken", "coinbase"])


def test_mistakes_in_a_config_are_listed_on_stderr(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake is listed with its remedy on stderr, stdout stays empty, and the code says usage."""
    Path(config).write_text(CONFIG + "[limits]\nloss_day_max = -1\narbs_open_mx = 1\n")
    assert run(["config", "check", "-c", config]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 mistakes" in err
    assert "loss_day_max" in err
    assert "did you mean arbs_open_max?" in err


def test_config_show_prints_what_loads_again(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output of `config show` is a config file that means the same."""
    assert run(["config", "show", "-c", config]) == ExitCode.OK
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out)
    assert load(again) == load(Path(config))


@pytest.mark.parametrize("verb", ["pause", "resume", "halt", "flatten", "status"])
def test_without_a_daemon_the_verbs_say_so(verb: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no daemon runs, the commands that need one end with the code for that."""
    assert run([verb, "-c", config]) == ExitCode.NOT_RUNNING
    assert "no daemon runs" in capsys.readouterr().err


def test_the_kill_switch_works_without_a_daemon(with_store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Killing and un-killing with no daemon running are both in the store afterwards."""
    for arguments, killed in ((["kill", "--reason", "x"], True), (["unkill", "--reason", "y"], False)):
        assert run([*arguments, "-c", with_store]) == ExitCode.OK
        capsys.readouterr()
        assert run(["status", "-c", with_store, "--json"]) == ExitCode.NOT_RUNNING
        assert json.loads(capsys.readouterr().out)["killed"] is killed


def test_unkill_needs_a_reason(with_store: str) -> None:
    """An empty reason is refused before anything is written."""
    assert run(["kill", "-c", with_store]) == ExitCode.OK
    assert run(["unkill", "--reason", " ", "-c", with_store]) == ExitCode.USAGE


def test_a_sound_ledger_verifies(with_store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`ledger verify` of an untouched store finds nothing."""
    assert run(["ledger", "verify", "-c", with_store, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_an_adjustment_is_booked_and_shown(with_store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With no daemon running, `ledger adjust` books a negative number that `ledger balances` then shows."""
    assert run(["ledger", "adjust", "kraken", "BTC", "-0.5", "--reason", "fee", "-c", with_store]) == ExitCode.OK
    capsys.readouterr()
    assert run(["ledger", "balances", "-c", with_store, "--json"]) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out, parse_float=str)
    assert {"account": "assets:kraken", "asset": "BTC", "number": "-0.5"} in rows


def test_an_adjustment_makes_no_store(config: str, tmp_path: Path) -> None:
    """Where arbot never ran, an adjustment is refused and leaves nothing behind."""
    assert run(["ledger", "adjust", "kraken", "BTC", "1", "--reason", "x", "-c", config]) == ExitCode.USAGE
    assert not (tmp_path / "state").exists()


def test_the_ledger_of_a_url_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """`--ledger` with a file that does not exist is told, not created."""
    assert run(["ledger", "balances", "--ledger", f"sqlite:///{tmp_path}/none.sqlite"]) == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []


def test_live_needs_its_locks(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`run --live` on a paper config is refused before anything starts."""
    assert run(["run", "-c", config, "--live"]) == ExitCode.REFUSED
    assert "live" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError(Mistake("a", "b", "c")), ExitCode.USAGE),
        (VenueUnavailable("kraken", "timeout"), ExitCode.FAILURE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_errors_become_codes(
    error: BaseException, code: ExitCode, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """Each branch of the error tree ends in its own exit code."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("arbot.cli.config.settings_of", fail)
    assert run(["config", "check", "-c", config]) == code


def test_money_in_json_keeps_its_digits() -> None:
    """A Decimal is printed as a JSON number with every digit it has."""
    assert to_json({"pnl": parse_exact("1234567890.12345678901234567890")}) == (
        '{"pnl":1234567890.12345678901234567890}'
    )


def parse_exact(text: str) -> object:
    from decimal import Decimal

    return Decimal(text)


@pytest.mark.parametrize("venues", [["kraken", "coinbase"], ["kraken", "bitstamp", "gemini"]])
def test_a_scan_makes_a_valid_config(venues: list[str]) -> None:
    """What `arbot scan` runs on passes every rule of a config file, and can trade nothing."""
    settings = parse(running.scan_document(["BTC/USD", "ETH/USD"], venues), base=Path.cwd())
    assert list(settings.venues) == venues
    assert all(total == 0 for venue in settings.paper.venues.values() for total in venue.balances.values())


def test_help_imports_nothing_heavy() -> None:
    """`arbot --help` answers without loading ccxt, numba, the store or the web server."""
    code = (
        "import sys; from arbot.cli.main import run; run(['--help']); "
        "print([m for m in ('ccxt', 'numba', 'sqlalchemy', 'aiohttp', 'pydantic') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
