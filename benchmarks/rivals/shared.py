"""What every rival is given: the same columns, the same rule, the same clock. Runs under the rivals' own Python.

A folder holds one .npy a column (recv_ts_ns, venue_ts_ns, key, qty, tag: see arbot/market/stream.py) and about.json:
{"books": [{"venue", "price_decimals", "qty_decimals", "taker", "latency_ns", "depth"}, ...], "edge_net_bps_min",
"qty_max", "cool_down_ns"}. A rival prints one JSON object: rows, seconds of its second run (the first one compiles and
warms up), by the wall and by the processor, and its last best prices, by which one sees that it kept the same books.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SNAPSHOT, DELTA, TRADE, CLEAR, ALIVE = 1, 2, 3, 4, 5
KIND_MASK, IS_LAST, BOOK_SHIFT = 0x0F, 0x10, 8
EDGE_UNIT = 1e-4


class Stream(NamedTuple):
    """Columns of the first rows, cut where a message ends, and what about.json says."""

    recv_ts_ns: np.ndarray
    key: np.ndarray
    qty: np.ndarray
    tag: np.ndarray
    about: dict[str, Any]

    @property
    def books(self) -> list[dict[str, Any]]:
        """Venues, in the order of the books."""
        return self.about["books"]

    @property
    def edge_min(self) -> float:
        """Least net edge as a fraction."""
        return float(self.about["edge_net_bps_min"]) * EDGE_UNIT


def asked(**options: dict[str, Any]) -> argparse.Namespace:
    """Return the command line: a folder, how many rows, and what the rival itself asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=0, help="only so many of the first rows; 0 = all")
    for name, how in options.items():
        parser.add_argument(f"--{name}", **how)
    return parser.parse_args()


def load(folder: Path, rows: int) -> Stream:
    """Return the stream, or its beginning."""
    about = json.loads((folder / "about.json").read_text())
    columns = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("recv_ts_ns", "key", "qty", "tag")]
    if rows and rows < len(columns[0]):
        rows = int(np.flatnonzero(columns[3][:rows] & IS_LAST)[-1]) + 1
        columns = [column[:rows] for column in columns]
    return Stream(*columns, about)


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns, and its seconds by the wall and by the processor (all threads)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def report(name: str, stream: Stream, wall_s: float, cpu_s: float, **more: Any) -> None:
    """Print what came of it."""
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"name": name, "rows": len(stream.key), "wall_s": wall_s, "cpu_s": cpu_s, "peak_rss_mib": peak_mib}
    print(json.dumps(told | more))
