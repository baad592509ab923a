"""A recorded daemon run, run again: equal to the last bit, and every difference is found and named."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.backtest.rerun import Rerun, rerun
from arbot.backtest.run_tape import RunTape, find_run
from arbot.cli import main
from arbot.cli.like_run import compare
from arbot.cli.replay import told
from arbot.domain.commands import SubmitOrder
from arbot.domain.errors import UserError
from arbot.domain.events import RunEnded
from arbot.domain.order import Side
from arbot.journal.store import Access, SqlStore
from arbot.ports import Record
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, Report, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.settings.model import Settings
from arbot.settings.show import digest_of_decisions
from arbot.sim.market import SeededSpec
from arbot.venues.factory import book_depth
from strategies.cross_venue import CrossVenue
from tests.support.daemon_world import ARBOT, COMMAND_S, checked

BUSY = SeededSpec(jumps_per_minute=60.0, messages_per_s=30.0)
Run = tuple[Settings, Report]
ARBS = 3


@asynccontextmanager
async def until_arbs(daemon: Daemon) -> AsyncIterator[None]:
    """End the run once a few arbs are closed: how long that takes depends on the machine."""

    async def work() -> None:
        while daemon.engine.state.standing.arbs_flat < ARBS:  # noqa: ASYNC110 - a condition of the engine's
            await asyncio.sleep(0.1)
        daemon.drain("test", "enough arbs")

    task = asyncio.get_running_loop().create_task(work())
    try:
        yield
    finally:
        task.cancel()


async def play(settings: Settings, seconds: float) -> Report:
    """Run a demo on a busy market with the tape on, for so long at the most."""
    options = msgspec.structs.replace(sim_options(settings), market=BUSY)
    async with SimProcess(settings, options) as process:
        return await asyncio.wait_for(
            run_daemon(process.settings(), Options(duration_s=seconds, services=(until_arbs,))), 90
        )


def records_of(settings: Settings) -> tuple[str, list[Record]]:
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        run = find_run(store, "last")
        return run.run_id, list(store.iter_run(run.epoch))
    finally:
        store.close()


def again(
    settings: Settings,
    tape: Path | None = None,
    edit: Callable[[Record], Record] = lambda record: record,
    is_killed: bool = False,
    **limits: object,
) -> Rerun:
    """Run the newest run of a store again, with another tape, edited records, no end or other limits if given."""
    config = settings.engine_config()
    config = msgspec.structs.replace(config, limits=msgspec.structs.replace(config.limits, **limits))
    run_id, records = records_of(settings)
    return rerun(
        run_id,
        (edit(record) for record in records if not (is_killed and isinstance(record.envelope.event, RunEnded))),
        RunTape([tape or settings.tape.dir], run_id),
        config,
        CrossVenue({}),
        {one.venue: book_depth(one) for one in settings.venue_configs()},
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One recorded run for all tests of this file."""
    settings = demo(tmp_path_factory.mktemp("run"), {"tape": {"record": True, "rotate_s": 1}})
    return settings, asyncio.run(play(settings, 40.0))


def test_a_recorded_run_comes_out_the_same(recorded: Run):
    """Every command, every decision and the digest at the end are equal, and arbs and trade prints were among them."""
    settings, report = recorded
    result = again(settings)
    assert result.steps_unchecked == 0
    assert report.ending.is_clean
    assert report.totals.arbs_opened >= 1
    assert result.divergence is None
    assert len(result.digest) == 64
    assert result.commands > 2 * report.totals.arbs_opened
    assert result.rows > 100


def test_another_limit_is_found_where_it_first_mattered(recorded: Run):
    """With a tenth of the size per arb, the first order that was sent is the divergence, and it is told in words."""
    settings, _ = recorded
    first = next(record for record in records_of(settings)[1] if is_opening(record))
    result = again(settings, notional_per_arb_max=Decimal(200))
    assert result.divergence is not None
    assert (result.divergence.seq, result.divergence.what) == (first.envelope.seq, "commands")
    lines = told(result.divergence)
    assert lines[0].startswith(f"first divergence, in commands: event {first.envelope.seq} at 20")
    assert lines[1].startswith('  event     {"type":"BooksMoved"')
    assert lines[2].startswith('  expected  {"type":"SubmitOrder"')
    assert any(line.startswith('  got       {"type":"SubmitOrder"') for line in lines)


def test_one_price_changed_on_the_tape_is_found(recorded: Run, tmp_path: Path):
    """An ask written down at half its price just before the first arb makes that arb, at the latest, come out otherwise."""
    settings, _ = recorded
    first = next(record for record in records_of(settings)[1] if is_opening(record))
    intent = next(command for command in first.outcome.commands if isinstance(command, SubmitOrder)).approved.intent
    tape = tmp_path / "tape"
    shutil.copytree(settings.tape.dir, tape)
    halve_last_ask(tape / intent.venue, before=first.envelope.seq)
    divergence = again(settings, tape).divergence
    assert intent.side is Side.BUY
    assert divergence is not None
    assert divergence.seq <= first.envelope.seq
    assert divergence.expected != divergence.got


def test_another_digest_at_the_end_is_found(recorded: Run):
    """When all steps are equal and the state at the end is not, the digest is the divergence."""
    settings, _ = recorded

    def edit(record: Record) -> Record:
        if not isinstance(record.envelope.event, RunEnded):
            return record
        event = msgspec.structs.replace(record.envelope.event, digest="0" * 64)
        return msgspec.structs.replace(record, envelope=msgspec.structs.replace(record.envelope, event=event))

    divergence = again(settings, edit=edit).divergence
    assert divergence is not None
    assert (divergence.what, divergence.expected) == ("digest", ("0" * 64,))


def test_a_killed_run_is_checked_as_far_as_its_tape_goes(recorded: Run, tmp_path: Path):
    """Without an end, steps beyond the last part are counted as unchecked; of a run that ended they are a divergence."""
    settings, report = recorded
    tape = tmp_path / "tape"
    shutil.copytree(settings.tape.dir, tape)
    for venue in ("kraken", "coinbase"):
        for part in sorted((tape / venue).glob("*/*/*.parquet"))[1:]:
            part.unlink()
    killed = again(settings, tape, is_killed=True)
    whole = again(settings)
    assert report.totals.arbs_opened >= 1
    assert (killed.divergence, killed.digest) == (None, "")
    assert killed.steps > 0
    assert killed.steps_unchecked > 0
    assert killed.steps + killed.steps_unchecked == whole.steps - 1
    assert again(settings, tape).divergence is not None


def test_what_decides_is_the_same_at_other_ports(recorded: Run):
    """The digest in the journal is that of the demo's settings, whose venues were elsewhere; another limit changes it."""
    settings, _ = recorded
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        run = find_run(store, "last")
    finally:
        store.close()
    other = demo(Path.cwd(), {"limits": {"arbs_open_max": 1}})
    assert run.config_digest == digest_of_decisions(settings)
    assert run.config_digest == digest_of_decisions(demo(Path.cwd()))
    assert run.config_digest != digest_of_decisions(other)


def test_a_run_or_a_tape_that_is_not_there_is_said_to_be(recorded: Run, tmp_path: Path):
    """An unknown run is answered with those there are, an empty tape with what to do."""
    settings, _ = recorded
    run_id, _ = records_of(settings)
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        with pytest.raises(UserError, match=f"there are: {run_id}"):
            find_run(store, "nonsense")
    finally:
        store.close()
    with pytest.raises(UserError, match="has no tape in it"):
        RunTape([tmp_path], run_id)
    with pytest.raises(UserError, match="has nothing of run nonsense"):
        RunTape([settings.tape.dir], "nonsense")


def test_what_happened_stands_beside_the_model(recorded: Run, capsys: pytest.CaptureFixture[str]):
    """What is told of the run is what its ledger and its own count say; the model ran on the same market and money."""
    settings, report = recorded
    compare(settings, "last", [settings.tape.dir], as_json=True)
    rows = {row["cause"]: row for row in json.loads(capsys.readouterr().out, parse_float=Decimal)["rows"]}
    totals = report.totals
    happened = {cause: row["happened"] for cause, row in rows.items()}
    assert (happened["arbs"], happened["missed"]) == (totals.arbs_opened, totals.arbs_missed)
    assert (happened["fills"], happened["volume"]) == (totals.fills, totals.volume_quote)
    assert happened["fees"] == -totals.fees
    assert happened["net"] == sum(happened[cause] for cause in ("edge", "slippage", "unwinds", "fees"))
    declined = {cause.partition(":")[2]: row["happened"] for cause, row in rows.items() if ":" in cause}
    counted = {reason: count for reason, count in totals.opportunities_declined.items() if reason != "draining"}
    assert counted == {reason: count for reason, count in declined.items() if count and reason != "draining"}
    assert rows["arbs"]["modelled"] >= 1
    assert all(row["difference"] == Decimal(row["modelled"]) - Decimal(row["happened"]) for row in rows.values())


def test_a_demo_is_recorded_and_replayed_by_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """`arbot demo --record` leaves a tape and says what to do with it; `arbot replay` finds run and config the same."""
    words = [*ARBOT, "demo", "--duration", "2", "--record", "tape", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    demo_told = checked(done.returncode, done.stdout, done.stderr)
    assert demo_told.code == 0, demo_told
    assert "arbot replay --run last --tape tape" in demo_told.err
    assert sorted(part.name for part in (tmp_path / "tape").iterdir()) == ["coinbase", "kraken"]
    monkeypatch.chdir(tmp_path)
    assert main.run(["replay", "--run", "last", "--tape", "tape", "--json"]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert (replayed["is_equal"], replayed["is_config_same"]) == (True, True)
    assert replayed["rerun"]["rows"] > 100


def is_opening(record: Record) -> bool:
    return any(isinstance(command, SubmitOrder) for command in record.outcome.commands)


def halve_last_ask(folder: Path, before: int) -> None:
    """Halve the price of the last ask of a book that came before an event."""
    found: tuple[Path, int] | None = None
    for part in sorted(folder.glob("*/*/*.parquet")):
        table = pq.read_table(part)
        seq, kind, side, qty = (table[name].to_numpy() for name in ("seq", "kind", "side", "qty"))
        rows = np.flatnonzero((seq < before) & (kind <= 2) & (side == -1) & (qty > 0))
        if len(rows):
            found = part, int(rows[-1])
    assert found is not None
    part, row = found
    table = pq.read_table(part)
    price = np.array(table["price"].to_numpy())
    price[row] //= 2
    at = table.column_names.index("price")
    pq.write_table(table.set_column(at, table.schema.field("price"), pa.array(price)), part)
