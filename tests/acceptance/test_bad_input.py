"""What a person can get wrong: config files, key files, locks, symbols, a second daemon. Told in words, no order sent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arbot.cli.exit_codes import ExitCode
from tests.support.daemon_world import ARBOT, COMMAND_S, Desk, Told, Venues, as_toml, checked, declined, serving

MISTAKEN = """\
[run]
name = "bad"
mode = "papre"
symbols = ["BTCUSD"]
[venues.kraken]
adapter = "kraken"
book_dpeth = 100
[venues.coinbase]
adapter = "coinbase"
[limts]
arbs_open_max = 1
[limits]
loss_day_max = -1
drawdown_max = 0
notional_per_arb_max = nan
edge_gross_bps_max = "inf"
arbs_open_mx = 1
book_age_recv_seconds_max = 1
counterparty_share_max = 75
clock_skew_ms_max = 2.5
"""
TOLD = (
    (3, "run.mode", "'paper', 'live' or 'demo'"),
    (4, "run.symbols.0", "write BASE/QUOTE"),
    (7, "venues.kraken.book_dpeth", "did you mean book_depth?"),
    (10, "limts", "did you mean limits?"),
    (13, "limits.loss_day_max", "no limit may be off"),
    (14, "limits.drawdown_max", "no limit may be off"),
    (15, "limits.notional_per_arb_max", "write a finite number"),
    (16, "limits.edge_gross_bps_max", "write a finite number"),
    (17, "limits.arbs_open_mx", "did you mean arbs_open_max?"),
    (18, "limits.book_age_recv_seconds_max", "did you mean book_age_recv_ms_max? mind the unit: milliseconds"),
    (19, "limits.counterparty_share_max", "0.75 = 75 percent"),
    (20, "limits.clock_skew_ms_max", "write digits without quotes or decimal point"),
)


def arbot(folder: Path, *arguments: str) -> Told:
    """Run a command in a folder, without any venue."""
    done = subprocess.run(
        [*ARBOT, *arguments], cwd=folder, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    return checked(done.returncode, done.stdout, done.stderr)


# --- config files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("config", "check", "--json"), ("run", "--json"), ("demo", "--json")])
def test_every_mistake_of_a_config_is_told_with_line_and_remedy(tmp_path: Path, command: tuple[str, ...]) -> None:
    """All twelve mistakes come together on stderr, stdout stays empty, and nothing is created."""
    (tmp_path / "bad.toml").write_text(MISTAKEN)
    told = arbot(tmp_path, *command, "-c", "bad.toml")
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert f"{len(TOLD)} mistakes:" in told.err
    rows = told.err.splitlines()[1:]
    for (line, where, remedy), (first, second) in zip(TOLD, zip(rows[::2], rows[1::2], strict=True), strict=True):
        assert first.startswith(f"bad.toml:{line} {where}: ")
        assert remedy in second
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def _syntax(path: Path) -> None:
    path.write_text('[run]\nname = "x"\nsymbols = [\n')


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe[\x00r\x00")


def _closed(path: Path) -> None:
    path.write_text(MISTAKEN)
    path.chmod(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_syntax, "not valid TOML"),
        (_binary, "it is not UTF-8"),
        (Path.mkdir, "cannot be read: Is a directory"),
        (Path.exists, "cannot be read: No such file"),
        pytest.param(
            _closed,
            "cannot be read: Permission denied",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything"),
        ),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    """The message names the file and what is wrong with it, TOML mistakes with their line."""
    make(tmp_path / "x.toml")
    told = arbot(tmp_path, "run", "-c", "x.toml")
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert told.err.startswith(f"x.toml: {words}")
    assert "    -> " in told.err


# --- locks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "venue", "options", "code", "locks"),
    [
        ({"mode": "live"}, {}, (), ExitCode.REFUSED, ("--live", "run.live")),
        ({"mode": "live", "live": True}, {}, (), ExitCode.REFUSED, ("--live",)),
        ({"mode": "live"}, {}, ("--live",), ExitCode.REFUSED, ("run.live",)),
        ({"mode": "paper"}, {}, ("--live",), ExitCode.REFUSED, ("run.mode", "run.live")),
        ({"mode": "paper", "live": True}, {}, ("--live",), ExitCode.USAGE, ("live.toml:4 run.live",)),
        (
            {"mode": "live", "live": True},
            {"rest_url": "https://127.0.0.1:1"},
            ("--live",),
            ExitCode.USAGE,
            ("live.toml:9 venues.kraken.rest_url",),
        ),
    ],
)
def test_live_needs_every_lock(
    tmp_path: Path,
    run: dict[str, object],
    venue: dict[str, str],
    options: tuple[str, ...],
    code: ExitCode,
    locks: tuple[str, ...],
) -> None:
    """Each closed lock is named with its remedy, no key is read, and nothing is created."""
    account = {"balances": {"USD": "1000"}}
    tables = {
        "run": {"name": "x", **run, "symbols": ["BTC/USD"]},
        "venues.kraken": {"adapter": "kraken", **venue},
        "venues.coinbase": {"adapter": "coinbase"},
        **({f"paper.venues.{name}": account for name in ("kraken", "coinbase")} if run["mode"] == "paper" else {}),
    }
    (tmp_path / "live.toml").write_text(as_toml(tables))
    told = arbot(tmp_path, "run", *options, "-c", "live.toml")
    assert (told.code, told.out) == (code, "")
    heads = [row for row in told.err.splitlines() if not row.startswith((" ", f"{len(locks)} mistakes"))]
    assert tuple(row.partition(": ")[0] for row in heads) == locks
    assert [path.name for path in tmp_path.iterdir()] == ["live.toml"]


# --- keys, symbols, a second daemon: against running venues -----------------------------------------------------------


@pytest.fixture(scope="module")
def venues() -> Iterator[Venues]:
    with serving(symbols=("BTC/USD", "BTC/USDT")) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, venues: Venues) -> Desk:
    return Desk(tmp_path / "desk", venues)


def refused(desk: Desk) -> str:
    """Return what a run tells that must not start, after checking its code, its stdout and that no order was sent."""
    told = desk.run("run", "--json", "--duration", "5")
    assert (told.code, told.out) == (ExitCode.REFUSED, ""), told
    assert desk.venues.orders() == []
    return told.err


def test_keys_that_others_can_read_and_damaged_ones_are_told_together(desk: Desk) -> None:
    """The chmod command for one venue and the damaged private key of the other come in one list, without the key."""
    kraken = desk.key_file("kraken")
    kraken.chmod(0o644)
    pem = desk.venues.told["venues"]["coinbase"]["secret"]
    desk.write_key("coinbase", key="organizations/o/apiKeys/k", secret=pem.replace("M", "N", 1))
    told = refused(desk)
    assert f"{kraken}: mode 0644 lets others in\n    -> chmod 600 {kraken}\n" in told
    assert f"{desk.key_file('coinbase')}: Coinbase's private key is damaged" in told
    assert pem.splitlines()[2] not in told


def test_missing_and_malformed_key_files_are_told_together(desk: Desk) -> None:
    """A key file that is not there and one that is no JSON are named, with what to write."""
    desk.key_file("kraken").unlink()
    desk.write_key("coinbase", '{"key": "organizations/o')
    told = refused(desk)
    assert f"{desk.key_file('kraken')}: key file cannot be read: No such file or directory" in told
    assert f'{desk.key_file("coinbase")}: is not a JSON object\n    -> write {{"key": "...", "secret": "..."}}' in told


def test_half_a_key_and_a_secret_of_the_wrong_kind_are_told_together(desk: Desk) -> None:
    """A file without a secret, and a Coinbase secret that is no PEM, are named with their remedies."""
    desk.write_key("kraken", key="only half")
    desk.write_key("coinbase", key="organizations/o/apiKeys/k", secret="c2VjcmV0")
    told = refused(desk)
    assert f"{desk.key_file('kraken')}: holds neither key and secret nor name and privateKey" in told
    assert f"{desk.key_file('coinbase')}: Coinbase's private key is not PEM" in told


@pytest.mark.parametrize(
    ("venue", "field", "words"),
    [("kraken", "secret", "EAPI:Invalid signature"), ("coinbase", "key", "unknown key")],
)
def test_a_key_the_venue_refuses_ends_the_start(desk: Desk, venue: str, field: str, words: str) -> None:
    """The venue's own words come with what to check, and the secret does not."""
    told = desk.venues.told["venues"][venue]
    wrong = {"key": told["key"], "secret": told["secret"]} | {field: "bm90aGluZw=="}
    desk.write_key(venue, **wrong)
    err = refused(desk)
    assert f"venues.{venue}: the venue refused us: " in err
    assert words in err
    assert "-> check the key file, its permissions at the venue, and the clock of this machine" in err
    assert not any(line in err for line in wrong["secret"].splitlines() if "-----" not in line)


@pytest.mark.parametrize(
    ("venue", "may", "words"),
    [
        ("kraken", {"trade": False}, "the key may not trade\n    -> give it the permission to trade"),
        ("coinbase", {"withdraw": True}, "the key can withdraw money\n    -> make a key that can only query and trade"),
    ],
)
def test_a_key_that_may_do_too_little_or_too_much_is_refused(
    desk: Desk, venue: str, may: dict[str, bool], words: str
) -> None:
    """A key that cannot trade, or that could take the money away, is refused at the start with its remedy."""
    desk.venues.pull("permissions", venue=venue, **may)
    try:
        assert f"venues.{venue}.key_file: {words}" in refused(desk)
    finally:
        desk.venues.pull("permissions", venue=venue)


def test_a_key_that_can_withdraw_is_accepted_where_transfers_are_meant(desk: Desk) -> None:
    """With transfers.enabled the same key reconciles both venues."""
    allowed = {"venue": "coinbase", "asset": "BTC", "network": "bitcoin", "address": "somewhere", "key": "there"}
    desk.configure(transfers={"enabled": True, "allow": [allowed]}, strategy__params={"edge_net_bps_min": "900"})
    desk.venues.pull("permissions", venue="kraken", withdraw=True)
    try:
        with desk.daemon() as daemon:
            daemon.wait_ready()
            assert daemon.stop().code == ExitCode.OK
    finally:
        desk.venues.pull("permissions", venue="kraken")


def test_a_symbol_the_venue_does_not_have_is_named(desk: Desk) -> None:
    """The start ends with the venue, the symbol, and what to change."""
    desk.configure(run={"symbols": ["BTC/USD", "SOL/USD"]})
    err = refused(desk)
    assert "symbols: the venue has no instrument SOL/USD\n    -> take it out of run.symbols, or give [venues." in err


def test_unlike_quotes_are_never_one_price_and_a_second_daemon_is_kept_out(desk: Desk) -> None:
    """USD against USDT is declined as such however wide, and a second daemon on the state folder is refused by name."""
    desk.configure(venues__coinbase={"symbols": ["BTC/USDT"]})
    with desk.daemon() as daemon:
        daemon.wait_ready()
        desk.venues.admin("/shock", base="BTC", bps=80, venue="coinbase", half_life_ms=1000)
        status = daemon.wait(lambda status: declined(status, "quote_mismatch") >= 2, "unlike quotes")
        assert {edge["reason"] for edge in status["edges"]} == {"quote_mismatch"}
        assert f"another daemon uses {desk.state}\n    -> stop it (arbot status shows it)" in refused(desk)
        told = daemon.stop()
    assert (told.code, told.json["arbs_opened"]) == (ExitCode.OK, 0)
    assert desk.venues.orders() == []
