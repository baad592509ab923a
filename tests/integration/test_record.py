"""`arbot record` on pretend venues: what it writes, and what a kill -9 leaves behind."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbot.backtest.run_tape import read_part
from arbot.cli.record import summary
from arbot.domain.ids import instrument_id
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.retell import retell
from arbot.market.stream import KIND_MASK, Kind
from arbot.runtime.modes import Options, run_record
from arbot.runtime.recording import Recording
from arbot.settings.load import load
from arbot.sim.market import SeededSpec
from arbot.tape.catalogue import read_part_footer
from tests.support.daemon_world import ARBOT, Desk, Venues, checked, serving, until

MARKET = SeededSpec(messages_per_s=60.0, trade_share=0.2)
VENUES = ("kraken", "coinbase")


@pytest.fixture(scope="module")
def venues() -> Iterator[Venues]:
    """Two pretend venues with many messages and prints."""
    with serving(market=MARKET) as running:
        yield running


@pytest.fixture
def desk(venues: Venues, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, venues)
    desk.configure(tape={"rotate_s": 1})
    for venue in VENUES:
        desk.key_file(venue).unlink()  # recording needs none
    return desk


def parts(tape: Path, venue: str) -> list[Path]:
    return sorted((tape / venue / "BTC-USD").glob("*/[0-9]*.parquet"))


def assert_readable(tape: Path) -> None:
    """Fail unless every venue's parts are whole, begin with a snapshot, and come to a sound book."""
    for venue in VENUES:
        found = parts(tape, venue)
        assert found
        footer = read_part_footer(found[0])
        assert (footer.meta.source, footer.meta.instrument.venue) == ("recorded", venue)
        books = Books()
        index = books.add(footer.meta.instrument, footer.meta.depth)
        kinds: list[int] = []
        for part in found:
            rows, seq = read_part(part)
            kinds += (rows.tag & KIND_MASK).tolist()
            assert len(seq) == read_part_footer(part).rows
            retell(books, index, rows, 0, len(rows))
        name = instrument_id("BTC/USD", footer.meta.instrument.venue)
        assert kinds[0] == Kind.SNAPSHOT
        assert {Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE} <= set(kinds)
        assert books.state(name).is_valid
        assert books.best(name, Side.BUY) is not None


def recording_to(desk: Desk, tape: Path) -> subprocess.Popen[str]:
    """Start `arbot record` in a process of its own."""
    return subprocess.Popen(
        [*ARBOT, "record", "--out", str(tape), "--json", "-c", str(desk.config)],
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_records_without_keys_and_says_what_it_came_to(desk: Desk, tmp_path: Path):
    """For a few seconds both venues' books and prints go to parts that are all finished at the end."""
    tape = tmp_path / "tape"
    settings = load(desk.config)
    recording = Recording(tape, rotate_s=1, with_trades=True, is_the_purpose=True)
    ending = asyncio.run(run_record(settings, Options(duration_s=2.5), recording))
    told = summary(recording)
    assert ending.is_clean
    assert (told["books"], told["messages_lost"], told["prints_refused"], told["times_raised"]) == (2, 0, 0, 0)
    assert told["parts"] == len(list(tape.rglob("*.parquet"))) >= 4
    assert told["bytes"] == sum(path.stat().st_size for path in tape.rglob("*.parquet"))
    assert list(tape.rglob("*.open")) == []
    assert_readable(tape)
    assert not desk.state.exists()


def test_a_killed_recorder_leaves_what_it_had_finished(desk: Desk, tmp_path: Path):
    """After kill -9 every part with its right name is whole; a second recording goes on beside it and SIGINT ends it well."""
    tape = tmp_path / "tape"
    killed = recording_to(desk, tape)
    try:
        until(lambda: all(len(parts(tape, venue)) >= 2 for venue in VENUES), "two parts of each venue")
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert_readable(tape)
    before = {venue: parts(tape, venue) for venue in VENUES}
    left_open = set(tape.rglob("*.open"))
    second = recording_to(desk, tape)
    until(lambda: all(len(parts(tape, venue)) > len(before[venue]) for venue in VENUES), "another part of each venue")
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=30)
    told = checked(second.returncode, out, err)
    assert told.code == 0, told
    after = {venue: parts(tape, venue) for venue in VENUES}
    assert all(after[venue][: len(before[venue])] == before[venue] for venue in VENUES)
    assert json.loads(told.out)["parts"] == sum(len(after[venue]) - len(before[venue]) for venue in VENUES)
    assert set(tape.rglob("*.open")) <= left_open
    assert_readable(tape)
