"""A seeded market of several assets on Kraken and Coinbase, written as the venues' own book frames.

The shape follows what was measured on the wire: one third of the frames from Kraken, one to four levels in each, a fifth
of the levels removed, most changes near the best, Coinbase's price = Kraken's price * (1 + a basis that reverts to zero and rarely jumps).
Kraken checksums are right, Coinbase sequence numbers contiguous over all products.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument

BASES = ("BTC", "ETH", "SOL", "XRP", "LTC")
DECIMALS = {"kraken": (1, 8), "coinbase": (2, 8)}  # price, quantity
_MID = {"BTC": 65_000, "ETH": 2_600, "SOL": 1_500, "XRP": 1_200, "LTC": 1_100}
_LEVELS = {"kraken": 100, "coinbase": 4_000}
_JUMP_SHARE = 1 / 5_000  # of a book's frames: Coinbase's price leaves Kraken's, and comes back
_JUMP = 4e-3
_START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def instrument(venue: str, base: str) -> Instrument:
    """Return BASE/USD at a venue."""
    price_decimals, qty_decimals = DECIMALS[venue]
    symbol = f"{base}/USD"
    return Instrument(
        id=InstrumentId(f"{symbol}@{venue}"),
        venue=VenueId(venue),
        symbol=symbol,
        venue_symbol=symbol if venue == "kraken" else f"{base}-USD",
        base=Asset(base),
        quote=Asset("USD"),
        tick_size=Decimal(1).scaleb(-price_decimals),
        qty_step=Decimal(1).scaleb(-qty_decimals),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
    )


@dataclass
class _Book:
    """What the venue itself has: lots by ticks."""

    venue: str
    base: str
    middle: int
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)

    def text(self, ticks: int, lots: int) -> tuple[str, str]:
        """Return price and quantity as the venue writes them."""
        places, _ = DECIMALS[self.venue]
        price = f"{ticks // 10**places}.{ticks % 10**places:0{places}d}"
        qty = f"{lots // 10**8}.{lots % 10**8:08d}"
        if self.venue == "coinbase":
            return price.rstrip("0").rstrip("."), qty.rstrip("0").rstrip(".") if lots else "0"
        return price, qty if lots else "0.00000000"

    def checksum(self) -> int:
        """Return Kraken's checksum over the ten best of each side."""
        top = sorted(self.asks.items())[:10] + sorted(self.bids.items(), reverse=True)[:10]
        return zlib.crc32("".join(f"{ticks}{lots}" for ticks, lots in top).encode())


class SeededMarket:
    """`frames(count)` yields (venue, frame); the first frames are the snapshots."""

    def __init__(self, seed: int, assets: int) -> None:
        self._chance = random.Random(seed)
        self._sequence = 0
        self._now = _START
        self._basis = dict.fromkeys(BASES, 0.0)
        self._mid = {base: float(_MID[base]) for base in BASES[:assets]}
        self._books = [_Book(venue, base, 0) for venue in DECIMALS for base in self._mid]

    def frames(self, count: int) -> Iterator[tuple[str, bytes]]:
        """Yield a snapshot per book, then `count` updates."""
        for book in self._books:
            self._fill(book)
            levels = [(1, *level) for level in sorted(book.bids.items(), reverse=True)]
            yield (
                book.venue,
                self._frame(book, "snapshot", levels + [(-1, *level) for level in sorted(book.asks.items())]),
            )
        by_venue = {venue: [book for book in self._books if book.venue == venue] for venue in DECIMALS}
        for _ in range(count):
            self._now += timedelta(microseconds=self._chance.randint(100, 3_000))
            venue = "kraken" if self._chance.random() < 1 / 3 else "coinbase"
            book = self._chance.choice(by_venue[venue])
            yield venue, self._frame(book, "update", self._changes(book))

    def _ticks(self, book: _Book) -> int:
        scale = 10 ** DECIMALS[book.venue][0]
        basis = 0.0 if book.venue == "kraken" else self._basis[book.base]
        return round(self._mid[book.base] * (1 + basis) * scale)

    def _lots(self) -> int:
        return int(self._chance.lognormvariate(-2, 1.5) * 10**8) + 1

    def _fill(self, book: _Book) -> None:
        book.middle = self._ticks(book)
        for side, sign in ((book.bids, -1), (book.asks, 1)):
            ticks = book.middle
            for _ in range(_LEVELS[book.venue]):
                ticks += sign * self._chance.randint(1, 5)
                side[ticks] = self._lots()

    def _changes(self, book: _Book) -> list[tuple[int, int, int]]:
        """Move the market a little and return the levels that change: (sign, ticks, lots), bids first."""
        self._mid[book.base] *= 1 + self._chance.gauss(0, 2e-6)
        self._basis[book.base] = 0.995 * self._basis[book.base] + self._chance.gauss(0, 2e-5)
        if self._chance.random() < _JUMP_SHARE:
            self._basis[book.base] += self._chance.gauss(0, _JUMP)
        book.middle = self._ticks(book)
        changes = [(1, ticks, 0) for ticks in book.bids if ticks >= book.middle]
        changes += [(-1, ticks, 0) for ticks in book.asks if ticks <= book.middle]
        for _ in range(self._chance.choices((1, 2, 3, 4), (50, 30, 12, 8))[0]):
            sign = self._chance.choice((1, -1))
            side = book.bids if sign == 1 else book.asks
            rank = min(int(self._chance.expovariate(0.12)), 60)
            if self._chance.random() < 0.19 and len(side) > 90:
                near = sorted(side, reverse=sign == 1)[: rank + 1]
                changes.append((sign, near[-1], 0))
            else:
                changes.append((sign, book.middle - sign * (1 + rank * 2), self._lots()))
        changes.sort(reverse=True, key=lambda change: change[0])
        for sign, ticks, lots in changes:
            side = book.bids if sign == 1 else book.asks
            if lots:
                side[ticks] = lots
            else:
                side.pop(ticks, None)
        if book.venue == "kraken":
            book.bids = dict(sorted(book.bids.items(), reverse=True)[: _LEVELS["kraken"]])
            book.asks = dict(sorted(book.asks.items())[: _LEVELS["kraken"]])
        return changes

    def _frame(self, book: _Book, kind: str, changes: list[tuple[int, int, int]]) -> bytes:
        texts = [(sign, *book.text(ticks, lots)) for sign, ticks, lots in changes]
        now = self._now.strftime("%Y-%m-%dT%H:%M:%S.%f")
        if book.venue == "kraken":
            bids, asks = (
                ",".join(f'{{"price":{price},"qty":{qty}}}' for sign, price, qty in texts if sign == side)
                for side in (1, -1)
            )
            return (
                f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{book.base}/USD","bids":[{bids}],"asks":[{asks}],'
                f'"checksum":{book.checksum()},"timestamp":"{now}Z"}}]}}'
            ).encode()
        updates = ",".join(
            f'{{"side":"{"bid" if sign == 1 else "offer"}","event_time":"{now}Z","price_level":"{price}",'
            f'"new_quantity":"{qty}"}}'
            for sign, price, qty in texts
        )
        frame = (
            f'{{"channel":"l2_data","client_id":"","timestamp":"{now}123Z","sequence_num":{self._sequence},"events":'
            f'[{{"type":"{kind}","product_id":"{book.base}-USD","updates":[{updates}]}}]}}'
        )
        self._sequence += 1
        return frame.encode()


def large_snapshot(levels: int) -> bytes:
    """Return a first Coinbase snapshot with that many levels, best first, bids before offers."""
    chance = random.Random(levels)
    sides = []
    for name, sign in (("bid", -1), ("offer", 1)):
        ticks = 6_500_000
        for _ in range(levels // 2):
            ticks += sign * chance.randint(1, 60)
            lots = int(chance.lognormvariate(-2, 1.5) * 10**8) + 1
            price, qty = f"{ticks / 100:.2f}".rstrip("0").rstrip("."), f"{lots / 10**8:.8f}".rstrip("0").rstrip(".")
            sides.append(
                f'{{"side":"{name}","event_time":"2026-11-20T09:30:00.170326Z","price_level":"{price}","new_quantity":"{qty}"}}'
            )
    return (
        '{"channel":"l2_data","client_id":"","timestamp":"2026-11-20T09:30:00.200312345Z","sequence_num":0,"events":[{"type":'
        f'"snapshot","product_id":"BTC-USD","updates":[{",".join(sides)}]}}]}}'
    ).encode()
