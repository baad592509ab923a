"""Bad days, through the real command line and real protocols: what the venues do to a daemon, and what people do to it.

Every test ends by asking the venues for their truth: no order where none may be, none left open, and not one fill or
unit missing in the ledger.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arbot.cli.exit_codes import ExitCode
from tests.support.daemon_world import Daemon, Desk, Venues, declined, holds, is_ready, serving, until

NEVER_S = 0.8  # how long nothing may happen where nothing must; the market offers an arb about every second


@pytest.fixture
def venues() -> Iterator[Venues]:
    with serving() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, venues: Venues) -> Desk:
    return Desk(tmp_path / "desk", venues)


def sends_nothing(venues: Venues) -> bool:
    """Return whether no order reaches any venue for a while."""
    return holds(lambda: len(venues.orders()), NEVER_S)


def opens_nothing(daemon: Daemon) -> bool:
    """Return whether no arb is opened for a while; one whose venue went away may stay unknown until it is back."""
    return holds(lambda: daemon.status()["totals"]["arbs_opened"], NEVER_S)


def trades_on(venues: Venues) -> None:
    """Wait until one more order has reached a venue."""
    before = len(venues.orders())
    until(lambda: len(venues.orders()) > before, "an order")


def venue_line(status: dict[str, Any], venue: str) -> dict[str, Any]:
    return next(one for one in status["venues"] if one["venue"] == venue)


def ends_well(daemon: Daemon) -> None:
    """End the daemon; its code is OK and nothing is lost."""
    told = daemon.stop()
    assert (told.code, told.json["open_orders"], told.json["orders_unknown"]) == (ExitCode.OK, 0, 0), told
    daemon.desk.assert_nothing_lost()


# --- venues that are not there, or do not know us -------------------------------------------------------------------


def test_a_venue_that_is_down_is_waited_for_at_the_start_and_in_mid_run(desk: Desk, venues: Venues) -> None:
    """Refused connections are told and tried again, nothing is sent meanwhile, and trading begins when both are up."""
    venues.pull("down", venue="kraken")
    with desk.daemon() as daemon:
        status = daemon.wait(
            lambda status: status["books"] and venue_line(status, "coinbase")["reconciled"], "the other venue"
        )
        assert (status["may_open"], sorted(status["reasons"])) == (False, ["not_reconciled", "venue_not_ready"])
        until(lambda: "venue cannot be reached, trying again" in daemon.err, "the log")
        assert "venue=kraken" in daemon.err
        assert sends_nothing(venues)
        assert venues.orders() == []

        venues.pull("up", venue="kraken")
        trades_on(venues)

        venues.pull("down", venue="coinbase")
        daemon.wait(lambda status: not venue_line(status, "coinbase")["market_up"], "the loss of the other")
        assert opens_nothing(daemon)
        assert "FeedDisconnected" in daemon.err

        venues.pull("up", venue="coinbase")
        daemon.wait_ready()
        trades_on(venues)
        ends_well(daemon)


def test_refused_tokens_stop_trading_until_they_are_taken_again(desk: Desk, venues: Venues) -> None:
    """Without an account stream (Kraken's token) or with refused JWTs (Coinbase) no order is sent; both heal by themselves."""
    venues.pull("tokens", venue="kraken", refused=True)
    with desk.daemon() as daemon:
        daemon.wait(
            lambda status: status["books"] and venue_line(status, "kraken")["market_up"], "Kraken's market stream"
        )
        daemon.wait(lambda status: declined(status, "venue_not_ready") >= 2, "declines")
        assert venue_line(daemon.status(), "kraken")["account_up"] is False
        assert "ESession:Invalid session" in daemon.err
        assert venues.orders() == []
        venues.pull("tokens", venue="kraken", refused=False)
        trades_on(venues)

        venues.pull("tokens", venue="coinbase", refused=True)
        status = daemon.wait(lambda status: venue_line(status, "coinbase")["differences"], "the refusal")
        assert "refuses us: " in venue_line(status, "coinbase")["differences"][0]
        assert status["may_open"] is False
        assert opens_nothing(daemon)
        venues.pull("tokens", venue="coinbase", refused=False)
        daemon.wait_ready()
        ends_well(daemon)


def test_a_clock_that_is_off_is_declined(desk: Desk, venues: Venues) -> None:
    """With the venues' clocks 30 s ahead of ours the skew is measured, opportunities are declined, nothing is sent."""
    venues.pull("ahead", ms=30_000)
    with desk.daemon() as daemon:
        status = daemon.wait(lambda status: declined(status, "clock_skew") >= 2, "declines")
        assert all(29_000 < line["skew_ms"] < 31_000 for line in status["venues"])
        assert daemon.stop().code == ExitCode.OK
    assert venues.orders() == []


# --- frames that cannot be trusted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "counters"),
    [
        (
            "bad-checksum:venue=kraken",
            (
                'arbot_book_checksums_total{outcome="mismatch",venue="kraken"}',
                'arbot_book_resyncs_total{reason="checksum",venue="kraken"}',
            ),
        ),
        (
            "seq-gap:venue=coinbase",
            (
                'arbot_book_resyncs_total{reason="gap",venue="coinbase"}',
                'arbot_ws_connects_total{channel="market",reason="sequence_gap",venue="coinbase"}',
            ),
        ),
        (
            "malformed-frame:venue=kraken",
            (
                'arbot_ws_parse_errors_total{channel="market",venue="kraken"}',
                'arbot_ws_connects_total{channel="market",reason="malformed",venue="kraken"}',
            ),
        ),
    ],
)
def test_a_book_that_cannot_be_trusted_is_not_traded_on(
    desk: Desk, venues: Venues, fault: str, counters: tuple[str, ...]
) -> None:
    """While every second frame is bad the fault is counted, the book is asked for anew, and no order is sent."""
    with desk.daemon() as daemon:
        daemon.wait_ready()
        trades_on(venues)
        before = len(venues.orders())
        venues.fault(f"{fault},rate=0.5,at_ms=0,every_ms=0")
        daemon.wait(lambda status: not is_ready(status) and not status["arbs_open"], "the bad book")
        until(lambda: all(value_of(daemon.metrics(), counter) >= 1 for counter in counters), "the counters")
        assert len(venues.orders()) - before <= 6  # of arbs that were opened before the first bad frame
        venues.disarm()
        assert sum(venues.hits().values()) >= 1
        ends_well(daemon)


def value_of(metrics: str, series: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(series)), 0.0)


def test_a_demo_with_every_kind_of_bad_frame_ends_with_equal_books(desk: Desk) -> None:
    """Bad checksums, gaps and cut frames together: it trades between them, and ledger and venues agree at the end."""
    faults = [
        option
        for name in ("bad-checksum", "seq-gap", "malformed-frame")
        for option in ("--fault", f"{name}:at_ms=2500,every_ms=2500")
    ]
    (desk.folder / "demo.toml").write_text(
        '[run]\nname = "demo"\nmode = "demo"\nsymbols = ["BTC/USD"]\nstate_dir = "demo"\nlog_level = "error"\n'
        "[http]\nport = 0\n[venues.kraken]\nadapter = 'kraken'\n[venues.coinbase]\nadapter = 'coinbase'\n"
        '[paper.venues.kraken]\nbalances = { USD = "100000", BTC = "2" }\n'
        '[paper.venues.coinbase]\nbalances = { USD = "100000", BTC = "2" }\n'
        "[limits]\ninventory_notional_max = 500000\n"
    )
    told = desk.run("demo", "--json", "--duration", "8", *faults, config=desk.folder / "demo.toml")
    assert told.code == ExitCode.OK, told
    assert (told.json["ledger_matches_venues"], told.json["open_orders"]) == (True, 0)


# --- a market that is not what it seems -------------------------------------------------------------------------------


def test_a_price_too_good_to_be_true_is_declined(desk: Desk, venues: Venues) -> None:
    """An edge beyond edge_gross_bps_max is bad data or news: it is declined under its name, nothing is sent."""
    desk.configure(limits={"edge_gross_bps_max": 100})
    venues.admin("/shock", base="BTC", bps=500, venue="coinbase")
    with desk.daemon() as daemon:
        status = daemon.wait(lambda status: declined(status, "too_good_to_be_true") >= 2, "declines")
        assert max(edge["edge_gross_bps"] for edge in status["edges"]) > 100
        assert daemon.stop().code == ExitCode.OK
    assert venues.orders() == []


@pytest.mark.parametrize("closed", ["cancel_only", "post_only"])
def test_an_instrument_that_closes_costs_one_arb_at_most(desk: Desk, venues: Venues, closed: str) -> None:
    """The first refusal closes the instrument here, too: what was open is unwound, the rest is declined, a person is told."""
    with desk.daemon() as daemon:
        trades_on(venues)
        opened = daemon.wait(lambda status: not status["arbs_open"], "open arbs to be finished")["totals"][
            "arbs_opened"
        ]
        venues.admin("/status", venue="kraken", symbol="BTC/USD", status=closed)
        status = daemon.wait(lambda status: declined(status, "instrument_closed") >= 2, "declines")
        assert status["totals"]["arbs_opened"] <= opened + 2  # one may have been opened before the venue had closed
        assert f"BTC/USD@kraken takes no orders: EService:Market in {closed} mode" in daemon.err
        daemon.wait(lambda status: not status["arbs_open"], "open arbs to be finished")
        assert sends_nothing(venues)
        ends_well(daemon)


# --- what people do ---------------------------------------------------------------------------------------------------


def test_kill_holds_over_a_restart_until_a_person_takes_it_back(desk: Desk, venues: Venues) -> None:
    """Kill cancels all and stops all, now and after a restart; unkill needs a reason, and then resume."""
    with desk.daemon() as daemon:
        trades_on(venues)
        assert desk.run("kill", "--reason", "bad day").out == "killed; daemon: told\n"
        status = daemon.wait(lambda status: not any(map(any_live, status["orders_live"].values())), "no live order")
        assert (status["killed"], status["may_open"]) == (True, False)
        assert sends_nothing(venues)
        assert [order for order in venues.orders() if order["status"] == "open"] == []
        assert "not opening arbs: killed" in desk.run("resume").out
        ends_well(daemon)

    with desk.daemon() as daemon:
        daemon.wait(lambda status: is_ready(status) and declined(status, "killed") >= 2, "declines")
        for reason in ((), ("--reason", " ")):
            told = desk.run("unkill", *reason)
            assert (told.code, told.out, "--reason" in told.err) == (ExitCode.USAGE, "", True)
        assert daemon.status()["killed"] is True
        assert sends_nothing(venues)
        assert "stays paused until `arbot resume`" in desk.run("unkill", "--reason", "found the cause").out
        daemon.wait(lambda status: status["reasons"] == ["paused"], "the pause")
        assert sends_nothing(venues)
        assert desk.run("resume").code == ExitCode.OK
        trades_on(venues)
        ends_well(daemon)


def any_live(counts: dict[str, int]) -> bool:
    return any(counts.values())


def test_an_operator_can_pause_halt_flatten_and_reset(desk: Desk, venues: Venues) -> None:
    """Each stops new orders until resume, a wrong limit is refused with the right names, and nothing is lost."""
    with desk.daemon() as daemon:
        trades_on(venues)
        for verb in ("pause", "halt", "flatten"):
            told = desk.run(verb, "--json", "--reason", "drill")
            assert (told.code, told.json["reached"]) == (ExitCode.OK, True)
            daemon.wait(lambda status: not status["arbs_open"], "open arbs to be finished")
            assert daemon.status()["reasons"] == ["paused"]
            assert sends_nothing(venues)
            assert desk.run("resume").code == ExitCode.OK
            trades_on(venues)
        told = desk.run("reset-limit", "loss_dya", "--reason", "typo")
        assert (told.code, told.out, "loss_day, drawdown" in told.err) == (ExitCode.FAILURE, "", True)
        assert desk.run("reset-limit", "loss_day").code == ExitCode.USAGE
        assert desk.run("reset-limit", "loss_day", "--reason", "looked at it").code == ExitCode.OK
        ends_well(daemon)


def test_money_moved_behind_our_back_is_settled_by_the_printed_command(desk: Desk, venues: Venues) -> None:
    """A balance that nobody explained stops trading; the status prints the command that settles it, and it does."""
    desk.configure(strategy__params={"edge_net_bps_min": "20"})
    with desk.daemon() as daemon:
        trades_on(venues)
        venues.admin("/adjust", venue="coinbase", asset="USD", amount="-12.34")
        status = daemon.wait(lambda status: venue_line(status, "coinbase")["differences"], "the difference")
        (difference,) = venue_line(status, "coinbase")["differences"]
        words, _, command = difference.partition("; settle with: ")
        assert words.startswith("coinbase USD: ledger ")
        assert difference in daemon.err.replace("\\", "")
        assert (status["may_open"], status["reasons"]) == (False, ["not_reconciled"])
        daemon.wait(lambda status: not status["arbs_open"], "open arbs to be finished")
        assert sends_nothing(venues)

        name, *arguments = shlex.split(command)
        assert (name, arguments[:5]) == ("arbot", ["ledger", "adjust", "coinbase", "USD", "-12.34"])
        assert desk.run(*arguments).code == ExitCode.USAGE  # the reason is still the three dots of the remedy
        assert desk.run(*arguments[:-1], "a fee the venue took").code == ExitCode.OK
        daemon.wait(lambda status: venue_line(status, "coinbase")["reconciled"], "the settlement")
        trades_on(venues)
        ends_well(daemon)


def test_a_tampered_journal_is_found(desk: Desk, venues: Venues) -> None:
    """One digit changed in one fill: `ledger verify` ends with its own code and names the row."""
    with desk.daemon() as daemon:
        until(venues.fills, "a fill")
        ends_well(daemon)
    with sqlite3.connect(desk.state / "arbot.sqlite") as database:
        seq, body = database.execute("SELECT seq, body FROM journal WHERE body LIKE '%\"OrderFilled\"%'").fetchone()
        forged = body.replace('"qty":"0.', '"qty":"1.')
        assert forged != body
        database.execute("UPDATE journal SET body = ? WHERE seq = ?", (forged, seq))
    database.close()
    told = desk.run("ledger", "verify")
    assert (told.code, f"journal {seq}: " in told.out) == (ExitCode.LEDGER_PROBLEM, True), told
    told = desk.run("ledger", "verify", "--json")
    assert (told.code, json.loads(told.out)["ok"]) == (ExitCode.LEDGER_PROBLEM, False)
