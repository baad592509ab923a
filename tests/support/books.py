"""The naive twin of a compiled book, writers of venue frames, and the recorded data: what the book tests share."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument

Pair = tuple[Decimal, Decimal]


def an_instrument(
    venue: str,
    *,
    venue_symbol: str = "",
    base: str = "BTC",
    quote: str = "USD",
    price_decimals: int = 1,
    qty_decimals: int = 8,
) -> Instrument:
    """Return an instrument with steps of one unit of its last decimal."""
    symbol = f"{base}/{quote}"
    return Instrument(
        id=InstrumentId(f"{symbol}@{venue}"),
        venue=VenueId(venue),
        symbol=symbol,
        venue_symbol=venue_symbol or symbol,
        base=Asset(base),
        quote=Asset(quote),
        tick_size=Decimal(1).scaleb(-price_decimals),
        qty_step=Decimal(1).scaleb(-qty_decimals),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
    )


class Twin:
    """An order book as one would write it on paper: two dictionaries of Decimals."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def snapshot(self, bids: Iterable[Pair], asks: Iterable[Pair]) -> None:
        """Forget everything, then update."""
        self.bids, self.asks = {}, {}
        self.update(bids, asks)

    def update(self, bids: Iterable[Pair], asks: Iterable[Pair]) -> None:
        """Put each level in order, remove at quantity 0, keep the best `depth`."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
        if self.depth:
            self.bids = dict(self.best_bids()[: self.depth])
            self.asks = dict(self.best_asks()[: self.depth])

    def best_bids(self) -> list[Pair]:
        """Return all bids, highest first."""
        return sorted(self.bids.items(), reverse=True)

    def best_asks(self) -> list[Pair]:
        """Return all asks, lowest first."""
        return sorted(self.asks.items())

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)

    @property
    def is_whole(self) -> bool:
        """Whether both sides are there and do not cross."""
        return bool(self.bids and self.asks) and not self.is_crossed

    def checksum(self, price_decimals: int, qty_decimals: int) -> int:
        """Return Kraken's checksum from the text of the levels, by zlib."""
        text = "".join(
            f"{number:.{decimals}f}".replace(".", "").lstrip("0")
            for level in [*self.best_asks()[:10], *self.best_bids()[:10]]
            for number, decimals in zip(level, (price_decimals, qty_decimals), strict=True)
        )
        return zlib.crc32(text.encode())


def kraken_frame(
    kind: str, symbol: str, bids: Iterable[Pair], asks: Iterable[Pair], checksum: int | None, timestamp: str | None
) -> bytes:
    """Write a Kraken v2 book frame; numbers as the Decimals write themselves."""

    def side(levels: Iterable[Pair]) -> str:
        return ",".join(f'{{"price":{price:f},"qty":{qty:f}}}' for price, qty in levels)

    tail = "" if checksum is None else f',"checksum":{checksum}'
    tail += "" if timestamp is None else f',"timestamp":"{timestamp}"'
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}",'
        f'"bids":[{side(bids)}],"asks":[{side(asks)}]{tail}}}]}}'
    ).encode()


def coinbase_frame(
    kind: str, product: str, updates: Iterable[tuple[str, Decimal, Decimal]], sequence: int, event_time: str
) -> bytes:
    """Write a Coinbase l2_data frame of (side "bid" | "offer", price, qty)."""
    levels = ",".join(
        f'{{"side":"{side}","event_time":"{event_time}","price_level":"{price:f}","new_quantity":"{qty:f}"}}'
        for side, price, qty in updates
    )
    return (
        f'{{"channel":"l2_data","client_id":"","timestamp":"2026-11-20T09:30:00.200312345Z","sequence_num":{sequence},'
        f'"events":[{{"type":"{kind}","product_id":"{product}","updates":[{levels}]}}]}}'
    ).encode()


def recorded_frames(name: str) -> Iterator[bytes]:
    """Yield the received frames of a recording in ARBOT_DATA/wire, or skip the test when there is none here."""
    zstandard = pytest.importorskip("zstandard")
    root = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[3] / "shared" / "data")
    path = root / "wire" / f"{name}.jsonl.zst"
    if not path.is_file():
        pytest.skip(f"no recorded data: set ARBOT_DATA to a folder with wire/{path.name}")
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file)):
            row = json.loads(line)
            if row["t"] == "recv":
                yield row["data"].encode()
