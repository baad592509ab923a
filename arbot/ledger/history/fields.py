"""The canonical form of history lines as data: which fields a kind has, in which order they are written, what may be missing.

Source: docs/guide/history-format.md. Both the reader and the writer are made from this table.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Fields(NamedTuple):
    """Fields of one kind behind `kind`, `id` and `ts`, in canonical order. `numbers` are amounts, `free` any text."""

    required: tuple[str, ...]
    numbers: tuple[str, ...]
    free: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()  # left out when empty


_CASH_MOVE = Fields(("venue", "asset", "amount"), numbers=("amount",))
_SIDE_MOVE = Fields(("venue", "asset", "amount", "why"), numbers=("amount",))

KINDS: Final[dict[str, Fields]] = {
    "deposit": _CASH_MOVE,
    "withdrawal": _CASH_MOVE,
    "opening": Fields(
        ("venue", "asset", "amount", "basis", "acquired"), numbers=("amount", "basis"), optional=("allocation",)
    ),
    "fill": Fields(
        ("venue", "symbol", "base", "quote", "side", "amount", "price", "cost", "fee", "fee_ccy", "order_id"),
        numbers=("amount", "price", "cost", "fee"),
        free=("order_id",),
    ),
    "transfer": Fields(
        ("ts_in", "src", "dst", "asset", "sent", "received", "fee"),
        numbers=("sent", "received", "fee"),
        free=("txid",),
        optional=("txid",),
    ),
    "income": _SIDE_MOVE,
    "spend": _SIDE_MOVE,
}
"""Every kind of line. `meta` is none of them: it is passed over."""

TABLES: Final = ("px", "fx", "px_src")
"""Objects that any line may have, in the order they are written; `note` follows."""

INCOME_WHY: Final = ("interest", "rebate", "airdrop", "reward", "other")
SPEND_WHY: Final = ("fee", "payment", "funding", "other")
ALLOCATIONS: Final = ("specific", "global")
SIDES: Final = ("buy", "sell")
