"""One measured piece of work over a generated tape, in a process of its own; prints one JSON object.

    python replay_one.py FOLDER [--what replay|scan|judge] [--from cache|parquet] [--times 2] [--settings 100]

replay  the whole of `arbot backtest` but the inspection and the report: engine, risk, executor, ledger and venues with
        fixed latency, taker fees and a cool-down (see `document`)
scan    the books, the windows and the gate alone: what is left of a replay when nobody trades
judge   many settings of thresholds, fees and latencies in one compiled pass, as `arbot sweep` does

The same work is done `--times` times and all are told; the first has caches to warm. Time is by the wall and by the
processor (all threads); the processor's is what counts where a machine has other work. Nothing is compiled meanwhile.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from arbot.backtest.replay import Replay
from arbot.backtest.result import Scenario
from arbot.backtest.run import Plan, terms
from arbot.backtest.tapes import Allowances, TapeStock, open_stock
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.scan import CHUNK_ENDED, NEVER, Scanner
from arbot.runtime.clock import NS_PER_MS
from arbot.settings.defaults import DEMO
from arbot.settings.load import merged, parse
from arbot.settings.model import Settings
from arbot.tape.catalogue import Dataset, open_tapes

CACHE = ".cache"
EDGE_NET_BPS_MIN = "2"
TAKER_BPS = ("10", "15")  # by venue, in turns
LATENCY_MS = (15, 5)
QTY_MAX, PRICE = 0.5, 60_000  # a notional limit stands for the quantity
COOL_DOWN_MS = 250
_FUNDS = {"USD": "10000000", "BTC": "100", "ETH": "1000"}
_FUNDS_OTHER = "20000"
_LIMITS = {  # the most there may be
    "inventory_notional_max": 100_000_000,
    "net_delta_notional_max": 10_000_000,
    "loss_day_max": 10_000_000,
    "drawdown_max": 10_000_000,
    "orders_per_minute_max": 6_000,
}


def document(datasets: tuple[Dataset, ...]) -> dict[str, Any]:
    """Return the config file of these replays: deep pockets everywhere, so that the edge alone decides."""
    venues = tuple(dict.fromkeys(str(dataset.venue) for dataset in datasets))
    symbols = list(dict.fromkeys(dataset.symbol for dataset in datasets))
    assets = ["USD", *(symbol.split("/")[0] for symbol in symbols)]
    held = {asset: _FUNDS.get(asset, _FUNDS_OTHER) for asset in assets}
    changes: dict[str, dict[str, Any]] = {
        "run": {"symbols": symbols},
        "strategy": {"params": {"edge_net_bps_min": EDGE_NET_BPS_MIN}},
        "limits": {"notional_per_arb_max": int(QTY_MAX * PRICE), **_LIMITS},
        "execution": {"cool_down_ms": COOL_DOWN_MS, "hedge_loss_max": 1_000},
        "backtest": {
            "latency": "fixed",
            "reject_share": "0",
            "timeout_share": "0",
            "orders_per_second": "1000",
            "orders_burst": 1_000,
            "venues": {
                venue: dict.fromkeys(("request_ms", "answer_ms"), str(LATENCY_MS[number % 2]))
                for number, venue in enumerate(venues)
            },
        },
    }
    made = deepcopy(merged({table: dict(keys) for table, keys in DEMO.items()}, changes))
    made["venues"] = {venue: {"adapter": venue if venue in DEMO["venues"] else "ccxt:bitstamp"} for venue in venues}
    made["paper"] = {
        "venues": {
            venue: {"balances": held, "maker_bps": "5", "taker_bps": TAKER_BPS[number % 2]}
            for number, venue in enumerate(venues)
        }
    }
    return made


def opened(folder: Path, *, from_cache: bool) -> tuple[Settings, TapeStock]:
    """Return settings for a tape, and its rows."""
    settings = parse(document(open_tapes([folder])), base=folder, source="the benchmark")
    cache_dir = folder / CACHE if from_cache else None
    return settings, open_stock([folder], settings, mapping={}, allowances=Allowances(), cache_dir=cache_dir)


class Memory:
    """The most memory seen, by kind in MiB: what is ours, and what is a mapped file that the system may take back.

    A Progress: it looks after every chunk.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self.peaks: dict[str, float] = {}
        self._is_wanted = is_wanted

    def start(self, _what: str, _total: int) -> None:
        """Look at the beginning."""
        self.advance(0)

    def advance(self, _done: int) -> None:
        """Look."""
        if not self._is_wanted:
            return
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, told = line.partition(":")
            if name in {"RssAnon", "RssFile", "VmHWM"}:
                self.peaks[name] = max(self.peaks.get(name, 0.0), round(int(told.split()[0]) / 1024, 1))


def replay(settings: Settings, stock: TapeStock, memory: Memory) -> dict[str, Any]:
    """Replay under the realistic scenario and return what came of it."""
    one = Replay(stock, terms(Plan(settings=settings, stock=stock), Scenario.REALISTIC))
    column = one.run(memory)
    return {
        "messages": one.scanned().messages,
        "looks": one.scanned().candidates,
        "arbs": len(column.arbs),
        "fills": len(column.fills),
        "edge": str(column.split.edge),
        "pnl_net": str(column.totals.pnl_net),
        "digest": column.digest[:16],
        "best": best_of(one.books),
    }


def scan(_settings: Settings, stock: TapeStock, memory: Memory) -> dict[str, Any]:
    """Let the books take the rows in; nobody is woken."""
    books = Books()
    books.add_all((listed.instrument, listed.depth) for listed in stock.streams)
    scanner = Scanner(books)
    scanner.mute(NEVER, ())
    done = 0
    for chunk in stock.chunks():
        scanner.feed(chunk)
        while scanner.run(NEVER) != CHUNK_ENDED:
            pass
        done += len(chunk)
        memory.advance(done)
    return {"messages": scanner.counts()["messages"], "best": best_of(books)}


def best_of(books: Books) -> list[float]:
    """Return bid and ask of each book."""
    found = (
        books.best(books.instrument(index).id, side) for index in range(len(books)) for side in (Side.SELL, Side.BUY)
    )
    return [float(level.price) if level else 0.0 for level in found]


def judge(count: int) -> Callable[[Settings, TapeStock, Memory], dict[str, Any]]:
    """Return work that judges so many settings in one compiled pass."""

    def call(_settings: Settings, stock: TapeStock, memory: Memory) -> dict[str, Any]:
        from arbot.backtest.sweep_pass import Part  # noqa: PLC0415 - compiles, and nothing else here needs it
        from arbot.backtest.sweep_pass import judge as judge_all  # noqa: PLC0415
        from arbot.backtest.sweep_space import candidate  # noqa: PLC0415
        from arbot.runtime.strategy_loader import load_strategy  # noqa: PLC0415

        base = document(stock.datasets)
        candidates = [
            candidate(parse(varied, base=Path(), source="the benchmark"), stock.streams, {}, load_strategy, Path())
            for varied in variants(base, count)
        ]
        began = time.process_time()
        scores = judge_all(stock, candidates, [Part(name="all", first_ts_ns=0, stop_ts_ns=NEVER)], memory)["all"]
        best = max(scores, key=lambda score: score.net)
        return {
            "settings": len(scores),
            "pass_cpu_s": time.process_time() - began,
            "arbs": sum(score.arbs for score in scores),
            "net_best": best.net,
        }

    return call


def variants(base: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Yield settings: 5 thresholds x 5 fees x as many latencies as it takes."""
    for number in range(count):
        made = deepcopy(base)
        threshold, fee, latency = number % 5, number // 5 % 5, number // 25
        made["strategy"]["params"]["edge_net_bps_min"] = str(1 + threshold)
        for account in made["paper"]["venues"].values():
            account["taker_bps"] = str(float(account["taker_bps"]) - fee)
        for venue in made["backtest"]["venues"].values():
            venue["request_ms"] = str(int(venue["request_ms"]) + 10 * latency)
        yield made


def about(stock: TapeStock) -> dict[str, Any]:
    """Return what rivals/shared.py wants to be told."""
    return {
        "books": [
            {
                "venue": str(listed.instrument.venue),
                "price_decimals": listed.instrument.price_decimals,
                "qty_decimals": listed.instrument.qty_decimals,
                "taker": str(float(TAKER_BPS[number % 2]) / 10_000),
                "latency_ns": LATENCY_MS[number % 2] * NS_PER_MS,
                "depth": listed.depth,
            }
            for number, listed in enumerate(stock.streams)
        ],
        "edge_net_bps_min": EDGE_NET_BPS_MIN,
        "qty_max": QTY_MAX,
        "cool_down_ns": COOL_DOWN_MS * NS_PER_MS,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--what", choices=("replay", "scan", "judge"), default="replay")
    parser.add_argument("--from", dest="source", choices=("cache", "parquet"), default="cache")
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--settings", type=int, default=100)
    parser.add_argument("--memory", action="store_true", help="look at the process's memory after every chunk")
    asked = parser.parse_args()
    settings, stock = opened(asked.folder, from_cache=asked.source == "cache")
    work = {"replay": replay, "scan": scan, "judge": judge(asked.settings)}[asked.what]
    memory = Memory(is_wanted=asked.memory)
    walls, cpus = [], []
    found: dict[str, Any] = {}
    for _ in range(asked.times):
        wall, cpu = time.perf_counter(), time.process_time()
        found = work(settings, stock, memory)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    told = {
        "rows": stock.rows,
        "wall_s": walls[-1],
        "cpu_s": cpus[-1],
        "first_wall_s": walls[0],
        "first_cpu_s": cpus[0],
    }
    print(json.dumps(told | {"memory_mib": memory.peaks} | found))


if __name__ == "__main__":
    main()
