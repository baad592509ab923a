"""The replay beside hftbacktest and NautilusTrader, over one generated stream, in one run.

    python backtest.py [--rivals PYTHON] [--rounds 3] [--memory] [--scaling] [--sweep] [--all] [--json]

Every measured piece of work is a process of its own, held to one core, single-threaded; a round has each of them once,
so that what else the machine does falls on all alike. In each process the work is done twice and the second time counts:
rows per second of the processor's time (user + system, all threads) - what one free core needs - and beside it by the
wall. Ratios are taken within a round; medians are told. What each rival does and does not: rivals/*.py.

Without --rivals arbot is measured alone; `make benchmark-backtest` makes a virtual environment for them. Beyond the
comparison and the start-up, which take about five minutes: --memory replays 100 million rows, --scaling more venues,
instruments and rows, --sweep many settings at once. Exit code 1 when a ratio to a rival is below what we promise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import Any

from replay_one import CACHE, about, opened

from arbot.market.stream import Rows
from arbot.tape.cache import cached, digest
from arbot.tape.generate import TapeSpec, write_generated

HERE = Path(__file__).parent
SINGLE = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
ROWS = 10_000_000
SEED = 1
NAUTILUS_ROWS = 1_000_000  # its objects take 0.5 GB a million rows; its time is linear in them
HASHMAP_ROWS = 2_000_000
MEMORY_ROWS = 100_000_000
MEMORY_MIB_MAX = 1_536
SCALING_ROWS = 2_000_000
SCALING = ((2, 1), (5, 1), (10, 1), (2, 50), (2, 200), (10, 200))  # venues, symbols
SCALING_MORE_ROWS = (1_000_000, 3_000_000, 10_000_000, 30_000_000)
SWEEP_ROWS, SWEEP_SETTINGS = 1_000_000, 100
START_S_MAX = 2.5

OURS = "arbot, raw columns"
RATES_MIN = {OURS: 15.0, "arbot, zstd Parquet": 8.0}  # million rows a second
RATIOS_MIN = {"hftbacktest ROIVector": 2.5, "NautilusTrader engine": 35.0}  # of OURS

Found = dict[str, Any]
Table = list[dict[str, Any]]


class Bench:
    """A folder for tapes, and one core for whoever is measured."""

    def __init__(self, folder: Path, core: int) -> None:
        self.folder = folder
        self._core = core
        self._env = {**os.environ, **dict.fromkeys(SINGLE, "1"), "PYTHONHASHSEED": "0"}

    def child(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str:
        """Run a program on the core and return its last line. Stops with what it says when it fails."""
        done = subprocess.run(  # noqa: S603
            [str(part) for part in command],
            env={**self._env, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
        return done.stdout.strip().splitlines()[-1]

    def work(self, *told: str | Path) -> Found:
        """Run replay_one.py."""
        found: Found = json.loads(self.child([sys.executable, HERE / "replay_one.py", *told]))
        return found

    def tape(self, rows: int, *, has_cache: bool = True, **spec: Any) -> Path:
        """Return a generated tape, made anew; its rows are in the cache of raw columns as well."""
        folder = Path(tempfile.mkdtemp(prefix="tape-", dir=self.folder))
        write_generated(TapeSpec(rows=rows, seed=SEED, **spec), folder, lambda _: None)
        if has_cache:
            _, stock = opened(folder, from_cache=True)
            cached(stock.datasets, folder / CACHE, build=True)
        return folder

    def rival_folder(self, tape: Path) -> Path:
        """Return a folder as rivals/shared.py wants it, of a tape whose rows are in the cache."""
        _, stock = opened(tape, from_cache=True)
        folder = Path(tempfile.mkdtemp(prefix="rival-", dir=self.folder))
        for name in Rows._fields:
            (folder / f"{name}.npy").symlink_to(tape / CACHE / digest(stock.datasets) / f"{name}.npy")
        (folder / "about.json").write_text(json.dumps(about(stock)))
        return folder


# --- beside the rivals --------------------------------------------------------------------------------------------------


def contenders(bench: Bench, tape: Path, rivals: Path | None) -> dict[str, list[str | Path]]:
    """Return the programs of a round by name."""
    ours = [sys.executable, HERE / "replay_one.py", tape]
    made: dict[str, list[str | Path]] = {
        OURS: ours,
        "arbot, zstd Parquet": [*ours, "--from", "parquet"],
        "arbot, books and gate only": [*ours, "--what", "scan"],
    }
    if rivals is None:
        return made
    folder = bench.rival_folder(tape)
    hft = [rivals, HERE / "rivals" / "hftbacktest_l2.py", folder]
    nautilus = [rivals, HERE / "rivals" / "nautilus_l2.py", folder, "--rows", str(NAUTILUS_ROWS)]
    return made | {
        "hftbacktest ROIVector": hft,
        "hftbacktest ROIVector, books and detector only": [*hft, "--orders", "no"],
        "hftbacktest HashMap": [*hft, "--depth", "hashmap", "--rows", str(HASHMAP_ROWS)],
        "NautilusTrader engine": nautilus,
        "NautilusTrader books and detector only": [*nautilus, "--what", "books"],
    }


def compare(bench: Bench, rows: int, rounds: int, rivals: Path | None) -> Table:
    """Measure all of them in turns and return a row each: medians, and the ratio to us within each round."""
    tell(f"generating {rows:,} rows")
    programs = contenders(bench, bench.tape(rows), rivals)
    found: dict[str, list[Found]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, program in programs.items():
            found[name].append(json.loads(bench.child(program)))
            tell(f"round {number + 1}, {name}: {rate(found[name][-1], 'cpu_s'):.2f} M rows/s")
    best = {tuple(round(price, 6) for price in runs[0]["best"]) for runs in found.values() if runs[0]["rows"] >= rows}
    if len(best) > 1:
        sys.exit(f"they do not end with the same best prices: {best}")
    table = []
    for name, runs in found.items():
        ratios = [rate(our, "cpu_s") / rate(run, "cpu_s") for our, run in zip(found[OURS], runs, strict=True)]
        table.append(
            {
                "engine": name,
                "rows": runs[0]["rows"],
                "M rows/s": round(statistics.median(rate(run, "cpu_s") for run in runs), 2),
                "best round": round(max(rate(run, "cpu_s") for run in runs), 2),
                "by the wall": round(statistics.median(rate(run, "wall_s") for run in runs), 2),
                "arbot is faster by": round(statistics.median(ratios), 2),
                "arbs": runs[0].get("arbs", ""),
                "fills": runs[0].get("fills", ""),
                "net": runs[0].get("pnl_net", "")[:9],
            }
        )
    return table


def rate(found: Found, clock: str) -> float:
    """Return million rows a second."""
    return float(found["rows"] / found[clock] / 1e6)


def broken(table: Table) -> list[str]:
    """Return the ratios that are less than promised, in words."""
    told = {row["engine"]: row["arbot is faster by"] for row in table}
    return [
        f"arbot is faster than {name} by {told[name]}; {least} is promised"
        for name, least in RATIOS_MIN.items()
        if name in told and told[name] < least
    ]


# --- the rest -----------------------------------------------------------------------------------------------------------


def start_up(bench: Bench, rounds: int) -> Table:
    """Measure from the command to its first event, on a small tape, and once without compiled code."""
    tape = bench.tape(100_000, has_cache=False)
    ways: dict[str, tuple[list[str], dict[str, str], int]] = {
        "arbot backtest TAPE --no-inspect": (["--no-inspect"], {}, rounds),
        "arbot backtest TAPE (100,000 rows are inspected first)": ([], {}, rounds),
    }
    with tempfile.TemporaryDirectory(dir=bench.folder) as empty:
        ways["the same, everything compiled anew"] = ([], {"NUMBA_CACHE_DIR": empty}, 1)
        table = []
        for name, (options, env, times) in ways.items():
            seconds = []
            for _ in range(times):
                began = clock_gettime_ns(CLOCK_MONOTONIC)
                first = int(bench.child([sys.executable, HERE / "start_up.py", tape, "--no-cache", *options], env))
                seconds.append((first - began) / 1e9)
            table.append(
                {
                    "from the command to the first event": name,
                    "median s": round(statistics.median(seconds), 2),
                    "best s": round(min(seconds), 2),
                }
            )
    return table


def memory(bench: Bench) -> Table:
    """Replay a long tape and look at what the process holds."""
    tell(f"generating {MEMORY_ROWS:,} rows")
    tape = bench.tape(MEMORY_ROWS)
    table = []
    for source in ("parquet", "cache"):
        found = bench.work(tape, "--from", source, "--times", "1", "--memory")
        kept = found["memory_mib"]
        table.append(
            {
                "replay of": f"{found['rows']:,} rows, {source}",
                "own memory MiB": kept["RssAnon"],
                "mapped files MiB": kept["RssFile"],
                "resident together MiB": kept["VmHWM"],
                "M rows/s": round(rate(found, "cpu_s"), 2),
                "arbs": found["arbs"],
            }
        )
    return table


def scaling(bench: Bench) -> Table:
    """Measure more venues, more instruments and more rows."""
    cases = [(SCALING_ROWS, venues, symbols) for venues, symbols in SCALING]
    cases += [(rows, 2, 1) for rows in SCALING_MORE_ROWS]
    table = []
    for rows, venues, symbols in cases:
        tape = bench.tape(rows, venues=venues, symbols=symbols)
        replayed, scanned = bench.work(tape), bench.work(tape, "--what", "scan")
        decoded = bench.work(tape, "--from", "parquet")
        table.append(
            {
                "rows": f"{rows:,}",
                "venues": venues,
                "instruments a venue": symbols,
                "books only, ns a row": ns_a_row(scanned),
                "replay, ns a row": ns_a_row(replayed),
                "replay from Parquet, ns a row": ns_a_row(decoded),
                "looks": replayed["looks"],
                "arbs": replayed["arbs"],
                "engine, us an arb": round((replayed["cpu_s"] - scanned["cpu_s"]) / max(1, replayed["arbs"]) * 1e6),
            }
        )
        tell(f"{table[-1]}")
    return table


def ns_a_row(found: Found) -> float:
    return round(found["cpu_s"] / found["rows"] * 1e9, 1)


def sweep(bench: Bench, rounds: int) -> Table:
    """Measure many settings in one pass against one full replay."""
    tape = bench.tape(SWEEP_ROWS)
    found: dict[str, list[Found]] = {"replay": [], "judge": []}
    for _ in range(rounds):
        for what, runs in found.items():
            runs.append(bench.work(tape, "--what", what, "--settings", str(SWEEP_SETTINGS)))
    ratios = [many["cpu_s"] / one["cpu_s"] for one, many in zip(found["replay"], found["judge"], strict=True)]
    return [
        {
            "over": f"{SWEEP_ROWS:,} rows",
            "one full replay s": round(statistics.median(run["cpu_s"] for run in found["replay"]), 3),
            f"{SWEEP_SETTINGS} settings s": round(statistics.median(run["cpu_s"] for run in found["judge"]), 3),
            "of that the pass s": round(statistics.median(run["pass_cpu_s"] for run in found["judge"]), 3),
            "ratio": round(statistics.median(ratios), 2),
        }
    ]


def markdown(rows: Table) -> str:
    """Return rows as a table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row.get(column, "")) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The replay beside hftbacktest and NautilusTrader.")
    parser.add_argument("--rivals", type=Path, help="a Python that has hftbacktest and nautilus_trader")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="where the work is done")
    parser.add_argument("--folder", type=Path, help="where the tapes are made (default: the temporary folder)")
    parser.add_argument("--only", action="store_true", help="leave out the comparison and the start-up")
    for name in ("memory", "scaling", "sweep", "all"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of tables")
    return parser.parse_args()


def main() -> int:
    told = asked()
    rivals = told.rivals.absolute() if told.rivals else None
    tables: dict[str, Table] = {}
    with tempfile.TemporaryDirectory(prefix="arbot-benchmark-", dir=told.folder) as folder:
        bench = Bench(Path(folder), told.core)
        if not told.only:
            tables["compare"] = compare(bench, told.rows, told.rounds, rivals)
            tables["start_up"] = start_up(bench, told.rounds)
        if told.sweep or told.all:
            tables["sweep"] = sweep(bench, told.rounds)
        if told.scaling or told.all:
            tables["scaling"] = scaling(bench)
        if told.memory or told.all:
            tables["memory"] = memory(bench)
    print(json.dumps(tables) if told.json else "\n\n".join(map(markdown, tables.values())))
    wrong = broken(tables.get("compare", []))
    for line in wrong:
        tell(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
