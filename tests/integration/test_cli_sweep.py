"""`arbot sweep` on a tape on disk: table, JSON, CSV, going on, and mistakes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec

import pytest
import typer
from typer.testing import CliRunner

from arbot.cli.sweep import register
from arbot.domain.errors import UserError
from arbot.tape.generate import TapeSpec, generate, metas
from arbot.tape.writer import TapeWriter
from tests.support.daemon_world import until

CONFIG = """
[run]
name = "swept"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = "1000000", BTC = "30" }
taker_bps = 5
[paper.venues.coinbase]
balances = { USD = "1000000", BTC = "30" }
taker_bps = 8
[risk]
prior_legs = 100000 # what legs teach is left to the engine

[limits]
inventory_notional_max = 100000000
counterparty_share_max = 1
[backtest]
latency = "fixed"
"""
GRID = ("--grid", "strategy.edge_net_bps_min=1,8", "--grid", "backtest.request_ms=5,80")


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    root = tmp_path_factory.mktemp("tape")
    spec = TapeSpec(rows=40_000, seed=5, opportunity_share=0.1)
    writers = [TapeWriter(root, meta) for meta in metas(spec)]
    for number, rows in generate(spec):
        writers[number].append_rows(rows)
    for writer in writers:
        writer.close()
    return root


@pytest.fixture
def command(tape, tmp_path):
    path = tmp_path / "arbot.toml"
    path.write_text(CONFIG)
    app = typer.Typer()
    register(app)

    def run(*arguments):
        fixed = [str(tape), "-c", str(path), "--out", str(tmp_path / "out"), "--jobs", "1"]
        return CliRunner().invoke(app, [*fixed, *arguments])

    return run


def test_sweep_shows_and_keeps_everything(command, tmp_path):
    """All combinations are ranked in table, JSON and CSV alike; the best is replayed in full; a rerun asks nothing anew."""
    first = command(*GRID, "--verify", "1", "--json")
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout, parse_float=Decimal)
    assert [1, 2, 3, 4] == [one["rank"] for one in told["ranked"]]
    nets = [one["tuned"]["net"] for one in told["ranked"]]
    assert nets[0] > 0
    assert sorted(nets, reverse=True) == nets
    assert ["tuned", "held_out"] == [one["part"] for one in told["checked"]]
    for one in told["checked"]:
        assert one["kernel"]["arbs"] == one["engine"]["arbs"]
    with (tmp_path / "out" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert nets == [Decimal(row["tuned_net"]) for row in rows]
    assert [one["values"]["backtest.request_ms"] for one in told["ranked"]] == [
        row["backtest.request_ms"] for row in rows
    ]
    again = command(*GRID, "--verify", "1")
    assert again.exit_code == 0, again.output
    assert told["verdict"] in again.stdout
    assert "judging" not in again.stderr
    assert (told["asked_anew"], "request_ms" in again.stdout) == (4, True)


def test_other_data_is_asked_anew(command):
    """Results kept in a folder are of who played whom and what was pretended: with other players nothing is known."""
    grid = ("--grid", "strategy.edge_net_bps_min=1,8", "--verify", "0", "--json")
    told = [
        json.loads(command(*grid, *more).stdout)
        for more in ((), ("--map", "kraken=coinbase,coinbase=kraken"), ("--assume-qty", "1"), ())
    ]
    assert [one["asked_anew"] for one in told] == [2, 2, 2, 0]


def test_other_keys_go_through_the_engine(command):
    """What the compiled pass cannot vary is replayed in full, setting by setting, with no second opinion."""
    done = command("--grid", "backtest.reject_share=0,0.5", "--hold-out", "0", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["judge"], told["checked"], len(told["ranked"])) == ("engine", [], 2)
    assert "No part was held out" in told["verdict"]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ((), "--grid"),
        (("--grid", "limits.nothing=1"), "limits.nothing"),
        (("--grid", "execution.depth_max=1..5"), "--grid"),
    ],
)
def test_mistakes_are_the_users(command, arguments, where):
    """A sweep of nothing, of an unknown key, or of a range without draws is refused by name."""
    error = command(*arguments).exception
    assert isinstance(error, UserError)
    assert where in str(error)


@pytest.fixture
def cluster(tmp_path):
    """Run a Dask scheduler and one worker, each a process of its own; give the scheduler's address."""
    if find_spec("distributed") is None:
        pytest.skip("the extra `cluster` is not installed")
    file = tmp_path / "scheduler.json"
    python = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    with (tmp_path / "cluster.log").open("w") as log:
        processes = [
            subprocess.Popen([*python, f"distributed.cli.dask_{name}", *common, *more], stdout=log, stderr=log)
            for name, more in (
                ("scheduler", ("--port", "0")),
                ("worker", ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))),
            )
        ]
        until(file.exists, "the scheduler's file")
        try:
            yield json.loads(file.read_text())["address"]
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def test_a_cluster_finds_what_this_machine_finds(command, cluster, tmp_path):
    """Full replays by a Dask worker in a process of its own give the very figures of those in this process."""
    grid = ("--grid", "backtest.reject_share=0,0.3")
    there = command(*grid, "--json", "--scheduler", cluster)
    assert there.exit_code == 0, (there.output, there.exception)
    here = command(*grid, "--json", "--out", str(tmp_path / "here"))
    assert json.loads(here.stdout)["ranked"] == json.loads(there.stdout)["ranked"]
    assert json.loads(there.stdout)["asked_anew"] == 2
    assert json.loads(there.stdout)["ranked"][0]["tuned"]["arbs"] > 0
