"""From fills to a filing bundle, beside RP2 and BittyTax over the same made-up year, in one run.

    python tax.py [--fills 100000] [--rounds 1] [--rivals PYTHON | --alone] [--million] [--json]

Every measured piece is a process of its own on one core. Whole programs are measured as people run them, by the wall from
the start of the interpreter to its end, with the most memory they held: `arbot ledger import` into a new ledger file, then
`arbot tax report`, with everything checked, hashed and written; `bittytax --nopdf` over the file that `arbot tax export`
makes for it. Engines are measured inside, matching only: no start, no reading, no writing. RP2's and BittyTax's
(tests/rivals) are given legs whose fees are already allocated; arbot's allocates them itself. Like is compared with like:
engines with engines, the program with the program. How whole arbot stands beside a bare engine is printed for information.

--million takes the year of a million fills through arbot alone. Exit code 1 when a promise is missed: 100,000 fills in
6 s, a million in 60 s and 1 GiB, five times faster than each rival.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARBOT = Path(sys.executable).with_name("arbot")
sys.path.insert(0, str(ROOT))

from arbot.ledger.jurisdictions.base import CountryOptions  # noqa: E402
from arbot.ledger.jurisdictions.uk import UkRun  # noqa: E402
from arbot.ledger.jurisdictions.us.run import UsRun  # noqa: E402
from arbot.ledger.lots.policy import LotPolicy, Pool  # noqa: E402
from arbot.ledger.lots.words import LotRun  # noqa: E402
from tests.support.arb_year import placed_year, write_arb_year  # noqa: E402
from tests.support.rival_legs import rival_legs  # noqa: E402

SEED = 20_251_122
MILLION = 1_000_000
PROMISED_S = {100_000: 6.0, MILLION: 60.0}
PROMISED_MIB = 1_024
RATIO_MIN = 5.0
FX = Decimal("0.78")

BITTYTAX_CONF = """
local_currency: GBP
local_timezone: Europe/London
data_source_fiat: []
data_source_crypto: []
trade_asset_type: 2
trade_allowable_cost_type: 2
transaction_fee_allowable_cost: True
transfer_fee_disposal: True
transfer_fee_allowable_cost: False
"""
"""As it ships, without sources of prices: every value is given."""

Measured = dict[str, Any]


def main() -> None:
    """Measure, print, and fail when a promise is missed."""
    asked = _asked()
    if asked.match:
        _match(asked.match, asked.fills)
        return
    with tempfile.TemporaryDirectory(prefix="arbot-tax-bench-") as folder:
        bench = Bench(Path(folder))
        found = bench.compare(asked.fills, asked.rounds, None if asked.alone else asked.rivals)
        if asked.million:
            found.append({"fills": MILLION, "arbot": bench.ours(MILLION, Path(folder, "million"))})
    broken = [line for result in found for line in _broken(result)]
    if asked.json:
        print(json.dumps({"results": found, "broken": broken}))
    else:
        for result in found:
            _tell(result)
        print("\n".join(broken) if broken else "every promise is kept")
    sys.exit(bool(broken))


class Bench:
    """A folder for ledgers and bundles, and one core for whoever is measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._core = min(os.sched_getaffinity(0))
        self._env = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._env["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")  # as where arbot is installed
        self.run([ARBOT, "tax", "report", "--help"])
        self.ours(100, folder / "warm")

    def compare(self, fills: int, rounds: int, rivals: Path | None) -> list[Measured]:
        """Return what each needed, medians over the rounds."""
        ours = [self.ours(fills, self.folder / f"round-{number}") for number in range(rounds)]
        result: Measured = {"fills": fills, "arbot": {name: _median(ours, name) for name in ours[0]}}
        if rivals is not None:
            result["rivals"] = self.rivals(fills, rivals, self.folder / "round-0")
        return [result]

    def ours(self, fills: int, folder: Path) -> Measured:
        """Return seconds and MiB of import and report, US and UK, and the seconds of matching alone."""
        folder.mkdir()
        lines = write_arb_year(folder / "year.jsonl", fills, seed=SEED)
        ledger = ["--ledger", folder / "ledger.sqlite"]
        report = [ARBOT, "tax", "report", "--year", "2025", *ledger]
        took, held = self.run([ARBOT, "ledger", "import", lines, *ledger])
        us, us_held = self.run([*report, "--country", "us", "--method", "fifo", "--out", folder / "us"])
        found = {"import_s": took, "us_s": us, "total_s": took + us, "mib": max(held, us_held)}
        if fills < MILLION:
            for country in ("us", "uk"):
                match = [sys.executable, Path(__file__), "--match", country, "--fills", str(fills)]
                found[f"match_{country}_s"] = self.engine(match, Path(os.devnull))
            found["uk_s"], _ = self.run([*report, "--country", "uk", "--rate-default", str(FX), "--out", folder / "uk"])
        return found

    def rivals(self, fills: int, python: Path, folder: Path) -> Measured:
        """Return the seconds that each rival spent in its matching, and BittyTax as a program."""
        legs, pounds = folder / "legs.jsonl", folder / "pounds.jsonl"
        _write_legs(fills, legs, pounds)
        here = ROOT / "tests" / "rivals"
        found = {
            "RP2 engine, one pool": self.engine([python, here / "rp2_engine.py"], legs),
            "BittyTax engine": self.engine([python, here / "bittytax_engine.py"], pounds),
        }
        program, home = python.parent / "bittytax", folder / "home"
        (home / ".bittytax").mkdir(parents=True)
        (home / ".bittytax" / "bittytax.conf").write_text(BITTYTAX_CONF)
        self.run([program, "--version"], home=home)  # so that its bytecode is there, too
        name = "BittyTax program, no PDF"
        found[name], _ = self.run([program, "--nopdf", "--skipint", self.records(fills, folder)], home=home)
        return found

    def records(self, fills: int, folder: Path) -> Path:
        """Return the year as the program reads it: it needs a value in pounds on every line, so rates stand on the lines."""
        lines, sheet = write_arb_year(folder / "rated.jsonl", fills, seed=SEED, has_fx=True), folder / "bittytax.csv"
        ledger = ["--ledger", folder / "rated.sqlite"]
        self.run([ARBOT, "ledger", "import", lines, *ledger])
        self.run([ARBOT, "tax", "export", "--format", "bittytax", *ledger, "--out", sheet])
        return sheet

    def engine(self, command: Sequence[str | Path], legs: Path) -> float:
        """Return the seconds that a rival says its engine took."""
        out = self.folder / "rival.json"
        self.run(command, stdin=legs, stdout=out)
        return float(json.loads(out.read_text())["seconds"])

    def run(
        self,
        command: Sequence[str | Path],
        stdin: Path | None = None,
        stdout: Path | None = None,
        home: Path | None = None,
    ) -> tuple[float, float]:
        """Run a program on the core; return its wall seconds and the most MiB it held. Stops when it fails."""
        told = self.folder / "told.txt"
        env = self._env if home is None else {**self._env, "HOME": str(home)}
        began = clock_gettime_ns(CLOCK_MONOTONIC)
        child = os.fork()
        if not child:
            os.sched_setaffinity(0, {self._core})
            os.dup2(os.open(stdin or os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(stdout or told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
            os.dup2(os.open(told.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
            os.chdir(self.folder)
            os.execvpe(str(command[0]), [str(part) for part in command], env)  # noqa: S606
        _, status, used = os.wait4(child, 0)
        took = (clock_gettime_ns(CLOCK_MONOTONIC) - began) / 1e9
        if status:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{told.with_suffix('.err').read_text()[-3000:]}")
        return took, _mib(used)


def _write_legs(fills: int, legs: Path, pounds: Path) -> None:
    """Write the year as legs in USD, and the same in pounds at one rate."""
    with legs.open("w") as usd, pounds.open("w") as gbp:
        usd.write('{"method": "fifo"}\n')
        gbp.write('{"method": "uk"}\n')
        for leg in rival_legs(placed_year(fills, seed=SEED)):
            usd.write(json.dumps(leg) + "\n")
            gbp.write(json.dumps({**leg, "value": f"{Decimal(leg['value']) * FX:f}"}) + "\n")


def _mib(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024


def _median(rounds: Sequence[Measured], name: str) -> float:
    return statistics.median(found[name] for found in rounds)


LIKE = {
    "RP2 engine, one pool": "match_us_s",
    "BittyTax engine": "match_uk_s",
    "BittyTax program, no PDF": "program_uk_s",
}
"""What of ours a rival is compared with."""


def _ratios(result: Measured) -> dict[str, float]:
    ours = result["arbot"]
    ours = {**ours, "program_uk_s": ours.get("uk_s", 0.0) + ours["import_s"]}
    return {name: seconds / ours[LIKE[name]] for name, seconds in result.get("rivals", {}).items()}


def _broken(result: Measured) -> list[str]:
    fills, ours = result["fills"], result["arbot"]
    broken = []
    if ours["total_s"] > PROMISED_S.get(fills, float("inf")):
        broken.append(f"{fills:,} fills took {ours['total_s']:.1f} s, promised are {PROMISED_S[fills]:.0f}")
    if ours["mib"] > PROMISED_MIB:
        broken.append(f"{fills:,} fills held {ours['mib']:.0f} MiB, promised are {PROMISED_MIB}")
    slow = {name: ratio for name, ratio in _ratios(result).items() if ratio < RATIO_MIN}
    broken += [f"{name}: {ratio:.1f} times our time, promised are {RATIO_MIN:.0f}" for name, ratio in slow.items()]
    return broken


def _tell(result: Measured) -> None:
    ours = result["arbot"]
    print(f"{result['fills']:,} fills, made up from seed {SEED}; one core; seconds by the wall")
    print(f"  arbot ledger import        {ours['import_s']:8.2f}")
    print(
        f"  arbot tax report, US       {ours['us_s']:8.2f}   with the import {ours['total_s']:.2f}, {ours['mib']:.0f} MiB"
    )
    if "uk_s" in ours:
        print(f"  arbot tax report, UK       {ours['uk_s']:8.2f}")
        print(f"  arbot matching alone, US   {ours['match_us_s']:8.2f}")
        print(f"  arbot matching alone, UK   {ours['match_uk_s']:8.2f}")
    ratios = _ratios(result)
    for name, seconds in result.get("rivals", {}).items():
        whole = seconds / ours["total_s"]
        print(
            f"  {name:<26}{seconds:9.2f}   {ratios[name]:.1f} times ours; {whole:.1f} times arbot's import and US report"
        )


def _match(country: str, fills: int) -> None:
    """Match the made-up year under the rules of a country and print the seconds that took."""
    history = list(placed_year(fills, seed=SEED))
    run: LotRun
    run = UsRun(LotPolicy(pool=Pool.UNIVERSAL)) if country == "us" else UkRun(CountryOptions(rate_default=FX))
    began = clock_gettime_ns(CLOCK_MONOTONIC)
    slices = sum(len(run.feed(placed)) for placed in history) + len(run.finish())
    print(json.dumps({"seconds": (clock_gettime_ns(CLOCK_MONOTONIC) - began) / 1e9, "slices": slices}))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rivals", type=Path, default=ROOT / ".venv-rivals-tax" / "bin" / "python")
    parser.add_argument("--match", choices=("us", "uk"), help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
