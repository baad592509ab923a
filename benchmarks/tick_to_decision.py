"""From a raw frame to a decision, beside ccxt.pro's own handling of the same frames in the same run.

Paths, each with books of its own, fed the same frames in turns of CHUNK so that load on the machine hits all alike:

- frame call: the compiled calls alone: parse, integrity check (checksum or sequence number), book; then the screen;
- codec to decision: what the daemon runs per frame: the venue's codec around that call, the screen, and, where that says
  a route may clear, the engine: detector, exact walk of both books, strategy, and the first rule that declines;
- ccxt.pro: JSON decode (orjson) and `handle_message` with a stand-in client. No integrity check, no detector, no screen.

Garbage collection is off, as in the daemon. Times are wall time per frame, with the timer's own cost (about 0.05 us) in
all. Run: python benchmarks/tick_to_decision.py [--frames 20000] [--assets 5] [--seed 7] [--json]
Exit code 1 when ours is less than RATIO_MIN times faster at the median anywhere.

With --risk: the risk evaluation on against off, among ten venues, in processor time; exit code 1 above RISK_RATIO_MAX.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import ccxt.pro
import numpy as np
import orjson
from ccxt.async_support.base.ws.functions import is_json_encoded_object
from risk_share import measured
from seeded_frames import BASES, SeededMarket, instrument, large_snapshot

from arbot.domain.events import BooksMoved, Envelope, FeesLoaded, InstrumentsLoaded
from arbot.domain.ids import Asset
from arbot.domain.instrument import FeeRate
from arbot.domain.order import Side
from arbot.engine.config import EngineConfig
from arbot.engine.engine import Engine
from arbot.market.books import Books
from arbot.market.frames import FrameStatus
from arbot.market.screen import CLEARS
from arbot.venues.codec import StreamStats
from arbot.venues.coinbase.book_frames import CoinbaseBookFrames
from arbot.venues.coinbase.codec import CoinbaseMarketCodec
from arbot.venues.kraken.book_frames import KrakenBookFrames
from arbot.venues.kraken.codec import KrakenMarketCodec
from strategies.cross_venue import CrossVenue

CHUNK = 200
RATIO_MIN = 3
RISK_RATIO_MAX = 1.1
TAKER_RATES = {"kraken": Decimal("0.0010"), "coinbase": Decimal("0.0015")}
EDGE_NET_BPS_MIN = Decimal(1)
DEPTHS = {"kraken": 100, "coinbase": 0}
START_NS = 1_790_000_000_000_000_000
SNAPSHOT_LEVELS = 46_000
SNAPSHOT_ROUNDS = 5

Frames = list[tuple[str, bytes]]
Handle = Callable[[bytes], object]


class StandInClient:
    """What ccxt's handlers ask of their client, without waking anybody."""

    def __init__(self) -> None:
        self.subscriptions = {f"orderbook:{base}/USD": {"limit": DEPTHS["kraken"]} for base in BASES}

    def resolve(self, _result: object, _message_hash: str) -> None:
        """Take the book and do nothing."""

    def reject(self, error: Exception, _message_hash: str) -> None:
        """Refuse to hide an error."""
        raise error


def our_books(bases: Iterable[str]) -> tuple[Books, dict[str, list]]:
    """Return books of both venues with fees and minimum edge told to the screen, and the instruments by venue."""
    books, known = Books(), {venue: [instrument(venue, base) for base in bases] for venue in DEPTHS}
    books.set_edge_min(EDGE_NET_BPS_MIN)
    for venue, instruments in known.items():
        for one in instruments:
            books.set_taker_rate(books.add(one, DEPTHS[venue]), TAKER_RATES[venue])
    return books, known


def engine_over(books: Books, known: dict[str, list]) -> Engine:
    """Return an engine that knows these instruments and their fees, and no account: it declines what it finds."""
    instruments = tuple(one for those in known.values() for one in those)
    config = EngineConfig(ccy=Asset("USD"), venues=tuple(known), instruments=tuple(one.id for one in instruments))
    engine = Engine(config, CrossVenue({"edge_net_bps_min": str(EDGE_NET_BPS_MIN)}), books)
    for venue, those in known.items():
        rate = TAKER_RATES[venue]
        fees = tuple(FeeRate(instrument=one.id, maker=rate, taker=rate) for one in those)
        for event in (InstrumentsLoaded(venue=venue, instruments=tuple(those)), FeesLoaded(venue=venue, fees=fees)):
            engine.step(Envelope(0, START_NS, event))
    return engine


class FrameCall:
    """The compiled call alone."""

    name = "frame call"

    def __init__(self, bases: Iterable[str]) -> None:
        self.books, known = our_books(bases)
        symbols = {
            venue: [(one.venue_symbol, self.books.index(one.id)) for one in instruments]
            for venue, instruments in known.items()
        }
        self.wakes = 0
        self.faults = 0
        self._sequence = 0
        self._kraken = KrakenBookFrames(self.books, symbols["kraken"])
        self._coinbase = CoinbaseBookFrames(self.books, symbols["coinbase"])
        self.handle: dict[str, Handle] = {"kraken": self._on_kraken, "coinbase": self._on_coinbase}

    def _on_kraken(self, frame: bytes) -> None:
        status, book = self._kraken.apply(frame, 1)
        self.wakes += self.books.screen(book) == CLEARS
        self.faults += status != FrameStatus.APPLIED

    def _on_coinbase(self, frame: bytes) -> None:
        status, book = self._coinbase.apply(frame, 1, self._sequence)
        self._sequence += 1
        self.wakes += self.books.screen(book) == CLEARS
        self.faults += status != FrameStatus.APPLIED

    def best(self, venue: str, base: str) -> tuple[float, float]:
        """Return (bid, ask)."""
        known = instrument(venue, base).id
        return tuple(float(self.books.best(known, side).price) for side in (Side.SELL, Side.BUY))


class CodecToDecision:
    """The path of the daemon from the frame to what the engine makes of it."""

    name = "codec to decision"

    def __init__(self, bases: Iterable[str]) -> None:
        self.books, known = our_books(bases)
        self.wakes = self.decisions = 0
        self.stats = StreamStats()
        self._engine = engine_over(self.books, known)
        self._codecs = {
            "kraken": KrakenMarketCodec(known["kraken"], self.books, self.stats),
            "coinbase": CoinbaseMarketCodec(known["coinbase"], self.books, self.stats),
        }
        self.handle: dict[str, Handle] = {venue: self._on(codec) for venue, codec in self._codecs.items()}

    def _on(self, codec: KrakenMarketCodec | CoinbaseMarketCodec) -> Handle:
        decode, screen = codec.decode, self.books.screen

        def handle(frame: bytes) -> None:
            for book in decode(frame, 1).moved:
                if screen(book) == CLEARS:
                    self._decide(book)

        return handle

    def _decide(self, book: int) -> None:
        self.wakes += 1
        event = BooksMoved(instruments=(self.books.instrument(book).id,))
        self.decisions += len(self._engine.step(Envelope(self.wakes, START_NS, event)).decisions)

    @property
    def faults(self) -> int:
        """Count what went wrong."""
        stats = self.stats
        return stats.parse_errors + stats.checksum_mismatches + stats.sequence_gaps + stats.crossed_books

    best = FrameCall.best


class Ccxt:
    """ccxt.pro's message handling, from text."""

    name = f"ccxt.pro {ccxt.pro.__version__}"

    def __init__(self, bases: Iterable[str]) -> None:
        self.exchanges = {"kraken": ccxt.pro.kraken(), "coinbase": ccxt.pro.coinbase()}
        self.handle: dict[str, Handle] = {}
        for venue, exchange in self.exchanges.items():
            known = [instrument(venue, base) for base in bases]
            exchange.set_markets(
                [
                    exchange.safe_market_structure(
                        {"id": one.venue_symbol, "symbol": one.symbol, "base": one.base, "quote": "USD", "spot": True}
                    )
                    for one in known
                ]
            )
            self.handle[venue] = self._on(exchange)

    @staticmethod
    def _on(exchange: ccxt.pro.Exchange) -> Handle:
        client, handle_message = StandInClient(), exchange.handle_message

        def handle(text: str) -> None:
            handle_message(client, orjson.loads(text) if is_json_encoded_object(text) else text)

        return handle

    def best(self, venue: str, base: str) -> tuple[float, float]:
        """Return (bid, ask)."""
        book = self.exchanges[venue].orderbooks[f"{base}/USD"]
        return book["bids"][0][0], book["asks"][0][0]


def timed(paths: list, frames: Frames) -> dict[str, dict[str, np.ndarray]]:
    """Feed all frames to all paths in turns and return ns per update frame by path and venue; snapshots are not timed."""
    spent: dict[str, dict[str, list[int]]] = {path.name: {"kraken": [], "coinbase": []} for path in paths}
    texts = [frame.decode() for _, frame in frames]  # ccxt is given text, as aiohttp gives it
    clock = time.perf_counter_ns
    for first in range(0, len(frames), CHUNK):
        for turn in range(len(paths)):
            path = paths[(turn + first // CHUNK) % len(paths)]
            times = spent[path.name]
            for place in range(first, min(first + CHUNK, len(frames))):
                venue, frame = frames[place]
                handle, data = path.handle[venue], texts[place] if isinstance(path, Ccxt) else frame
                before = clock()
                handle(data)
                after = clock()
                if b'"type":"update"' in frame[:200]:
                    times[venue].append(after - before)
    return {name: {venue: np.array(ns) for venue, ns in venues.items() if ns} for name, venues in spent.items()}


def checked(paths: list, venues: Iterable[str], bases: Iterable[str]) -> None:
    """Stop unless every path ended with the same best prices and ours met no fault."""
    for venue in venues:
        for base in bases:
            found = {path.name: path.best(venue, base) for path in paths}
            if len(set(found.values())) != 1:
                sys.exit(f"paths disagree on {base} at {venue}: {found}")
    for path in paths[:-1]:
        if path.faults:
            sys.exit(f"{path.name}: {path.faults} frames not applied")


def report(title: str, spent: dict[str, dict[str, np.ndarray]], frames: Frames) -> list[dict]:
    """Return one row per venue and path; the last path is the one compared with."""
    *_, reference = spent
    rows = []
    for venue in spent[reference]:
        sizes = [len(frame) for other, frame in frames if other == venue and b'"type":"update"' in frame[:200]]
        against = np.percentile(spent[reference][venue], [50, 99, 99.9])
        for name, venues in spent.items():
            us = np.percentile(venues[venue], [50, 99, 99.9])
            rows.append(
                {
                    "frames": title,
                    "venue": venue,
                    "count": len(venues[venue]),
                    "bytes_mean": round(float(np.mean(sizes))),
                    "path": name,
                    **{f"{label}_us": round(float(ns) / 1000, 2) for label, ns in zip(LABELS, us, strict=True)},
                    **{
                        f"{label}_ratio": round(float(theirs / ns), 1)
                        for label, ns, theirs in zip(LABELS, us, against, strict=True)
                    },
                }
            )
    return rows


LABELS = ("p50", "p99", "p99_9")


def generated(seed: int, assets: int, count: int) -> list[dict]:
    """Measure on the seeded market."""
    bases = BASES[:assets]
    frames = list(SeededMarket(seed, assets).frames(count))
    paths = [FrameCall(bases), CodecToDecision(bases), Ccxt(bases)]
    rows = report(f"generated, {2 * assets} books", timed(paths, frames), frames)
    checked(paths, DEPTHS, bases)
    share = round(paths[0].wakes / len(frames), 4)
    return [{**row, "wakes_share": share} if row["path"] != Ccxt.name else row for row in rows]


def recorded() -> list[dict]:
    """Measure on the recorded Coinbase connection, if it is here. Only its book frames, numbered anew without gaps."""
    root = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = root / "wire" / "COINBASE.jsonl.zst"
    if not path.is_file():
        print(f"no recorded frames: set ARBOT_DATA to a folder with wire/{path.name}", file=sys.stderr)
        return []
    import zstandard  # noqa: PLC0415  only here, from the development group

    frames: Frames = []
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file)):
            row = json.loads(line)
            if row["t"] == "recv" and row["data"].startswith('{"channel":"l2_data"'):
                head, tail = row["data"].split('"sequence_num":', 1)
                frames.append(("coinbase", f'{head}"sequence_num":{len(frames)}{tail[tail.index(",") :]}'.encode()))
    bases = ("BTC", "ETH")
    paths = [FrameCall(bases), CodecToDecision(bases), Ccxt(bases)]
    rows = report("recorded, 2 books of 46,000 and 23,000 levels", timed(paths, frames), frames)
    checked(paths, ["coinbase"], bases)
    return rows


def first_snapshot() -> list[dict]:
    """Measure how long the largest frame there is holds up everything else."""
    frame = large_snapshot(SNAPSHOT_LEVELS)
    text = frame.decode()
    spent: dict[str, list[float]] = {}
    for _ in range(SNAPSHOT_ROUNDS):
        for path, data in ((FrameCall(("BTC",)), frame), (CodecToDecision(("BTC",)), frame), (Ccxt(("BTC",)), text)):
            before = time.perf_counter_ns()
            path.handle["coinbase"](data)
            spent.setdefault(path.name, []).append((time.perf_counter_ns() - before) / 1e6)
    theirs = float(np.median(spent[Ccxt.name]))
    return [
        {
            "levels": SNAPSHOT_LEVELS,
            "bytes": len(frame),
            "path": name,
            "median_ms": round(float(np.median(ms)), 1),
            "worst_ms": round(max(ms), 1),
            "ratio": round(theirs / float(np.median(ms)), 1),
        }
        for name, ms in spent.items()
    ]


def table(rows: list[dict]) -> str:
    """Return rows as a markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row.get(column, "")) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def risk(seed: int, count: int, *, as_json: bool) -> int:
    """Tell what the risk evaluation adds to a decision; exit code 1 when it is too much."""
    rows = measured(seed, count)
    print(json.dumps({"risk": rows}) if as_json else table(rows))
    dearest = max(row["ratio"] for row in rows)
    if dearest > RISK_RATIO_MAX:
        print(
            f"the risk evaluation makes the median {dearest} times longer; {RISK_RATIO_MAX} is the most",
            file=sys.stderr,
        )
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Time per frame from raw bytes to decision, beside ccxt.pro.")
    parser.add_argument("--frames", type=int, default=20_000, help="generated update frames (default %(default)s)")
    parser.add_argument("--assets", type=int, default=len(BASES), choices=range(1, len(BASES) + 1))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of tables")
    parser.add_argument(
        "--risk", action="store_true", help="what the risk evaluation adds, instead (see risk_share.py)"
    )
    asked = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.disable()
    if asked.risk:
        return risk(asked.seed, asked.frames, as_json=asked.json)
    updates = generated(asked.seed, asked.assets, asked.frames) + recorded()
    snapshots = first_snapshot()
    if asked.json:
        print(json.dumps({"updates": updates, "first_snapshot": snapshots}))
    else:
        print(table(updates), table(snapshots), sep="\n\n")
    slowest = min(row["p50_ratio"] for row in updates if row["path"] != Ccxt.name)
    if slowest < RATIO_MIN:
        print(f"only {slowest} times faster at the median; {RATIO_MIN} is the least", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
