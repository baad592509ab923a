"""What is said about an order book outside the module that keeps it: a level, and how far the book can be trusted."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Level(NamedTuple):
    """A price (quote per base) and the quantity (base) offered at it."""

    price: Decimal
    qty: Decimal


class BookState(NamedTuple):
    """How far a book can be trusted.

    `is_valid`: snapshot received, integrity checked (checksum, sequence), both sides present, bid < ask.
    `recv_ts_ns`: our time of the last sign of life on the book's own stream (data or heartbeat); 0 = never.
    `venue_ts_ns`: the venue's time of the book's last change; 0 = the venue gives none.
    """

    is_valid: bool
    recv_ts_ns: int
    venue_ts_ns: int
