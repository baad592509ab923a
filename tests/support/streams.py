"""What tests of codecs and feeds share: instruments, frames as the venues write them, a sink that remembers."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from arbot.domain.events import Event
from arbot.domain.ids import Asset, ClientOrderId, OrderName, VenueId, client_order_id, instrument_id
from arbot.domain.instrument import Instrument

OURS: ClientOrderId = client_order_id(OrderName(1, 7, 0, 1))
OURS_TOO: ClientOrderId = client_order_id(OrderName(1, 7, 1, 1))
SECOND_NS = 1_000_000_000
T0_NS = 1_795_167_000 * SECOND_NS  # 2026-11-20T09:30:00Z
T0 = "2026-11-20T09:30:00.000000Z"


def make_instrument(
    venue: str, symbol: str, price_decimals: int, qty_decimals: int, venue_symbol: str = ""
) -> Instrument:
    """Return an instrument whose steps are its decimals."""
    base, quote = symbol.split("/")
    return Instrument(
        id=instrument_id(symbol, venue),
        venue=VenueId(venue),
        symbol=symbol,
        venue_symbol=venue_symbol or symbol.replace("/", "-"),
        base=Asset(base),
        quote=Asset(quote),
        tick_size=Decimal(1).scaleb(-price_decimals),
        qty_step=Decimal(1).scaleb(-qty_decimals),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
    )


def compact(frame: Any) -> bytes:
    """Return the frame as the venues write it, which the compiled path reads."""
    return json.dumps(frame, separators=(",", ":")).encode()


def spaced(frame: bytes) -> bytes:
    """Return the same JSON with white space, which the compiled path leaves to the typed one."""
    return frame.replace(b'":', b'": ')


# --- Kraken ----------------------------------------------------------------------------------------------------------

Side = Sequence[tuple[str, str]]


def kraken_crc(bids: Side, asks: Side) -> int:
    """Return the checksum of a book given as (price text, quantity text), best first: the rule as the guide states it."""
    tokens = [text.replace(".", "").lstrip("0") for side in (asks, bids) for level in side[:10] for text in level]
    return zlib.crc32("".join(tokens).encode())


def kraken_row(symbol: str, bids: Side, asks: Side, checksum: int | None, timestamp: str = T0) -> str:
    """Return one element of `data` of a book frame, with the numbers as written."""
    sides = [",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks)]
    told = "" if checksum is None else f',"checksum":{checksum}'
    time = f',"timestamp":"{timestamp}"' if timestamp else ""
    return f'{{"symbol":"{symbol}","bids":[{sides[0]}],"asks":[{sides[1]}]{told}{time}}}'


def kraken_frame(kind: str, *rows: str) -> bytes:
    """Return a book frame."""
    return f'{{"channel":"book","type":"{kind}","data":[{",".join(rows)}]}}'.encode()


def kraken_ack(channel: str, symbol: str = "") -> bytes:
    """Return the confirmation of a subscription."""
    result = {"channel": channel, **({"symbol": symbol} if symbol else {})}
    return compact({"method": "subscribe", "result": result, "success": True, "time_in": T0, "time_out": T0})


# --- Coinbase --------------------------------------------------------------------------------------------------------


def coinbase_frame(channel: str, sequence: int, *events: Any) -> bytes:
    """Return an envelope."""
    return compact(
        {"channel": channel, "client_id": "", "timestamp": T0, "sequence_num": sequence, "events": list(events)}
    )


def coinbase_levels(product: str, kind: str, bids: Side = (), asks: Side = ()) -> dict[str, Any]:
    """Return one event of an l2_data frame."""
    return {
        "type": kind,
        "product_id": product,
        "updates": [
            {"side": side, "event_time": T0, "price_level": price, "new_quantity": qty}
            for side, levels in (("bid", bids), ("offer", asks))
            for price, qty in levels
        ],
    }


def coinbase_order(status: str, cumulative: str, name: str = OURS, **more: str) -> dict[str, Any]:
    """Return an order of a `user` frame."""
    return {
        "order_id": "c72fde0a-c4c4-41b1-81b4-dd86d8d831de",
        "client_order_id": name,
        "cumulative_quantity": cumulative,
        "leaves_quantity": "0",
        "avg_price": "65010.12",
        "status": status,
        "product_id": "BTC-USD",
        **more,
    }


# --- recorded --------------------------------------------------------------------------------------------------------


def recorded(name: str) -> Iterator[dict[str, Any]]:
    """Return the lines of a recorded wire file; skip the test when the recordings are not on this machine."""
    import zstandard

    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("ARBOT_DATA") or beside) / "wire" / f"{name}.jsonl.zst"
    if not path.is_file():
        pytest.skip("recorded frames are not here: set ARBOT_DATA to the folder that holds them")
    with path.open("rb") as file:
        for line in TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            if line.strip():
                yield json.loads(line)


class RecordingSink:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.moved: list[int] = []

    def submit(self, events: Sequence[Event]) -> None:
        """Remember events."""
        self.events.extend(events)

    def book_moved(self, book: int) -> None:
        """Remember that a book moved."""
        self.moved.append(book)
