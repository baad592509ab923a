"""The compiled screen: what a book that moved is worth: nothing, one look, or the engine's attention.

CLEARS errs on the side of waking only: binary floats with a slack far above their error, rates rounded towards waking.
What it lets through is computed exactly, in Decimal, by the engine; the net edge is of the buying price in both.
APPARENT is a bid above another venue's ask that costs eat up, or whose quote is another asset: the engine is told once
when it appears, so that it is declined with its reason and counted, and not on every frame while it lasts.
"""

from __future__ import annotations

from numba import types

from arbot.market.compiled import compiled
from arbot.market.layout import (
    ASKS,
    BIDS,
    EDGE_MIN_PPT,
    END,
    HEAD_WIDTH,
    HEADS,
    KEYS,
    NEXT,
    PRICE_UNIT,
    QUOTE,
    TAKER_PPT,
    VALID,
    VENUE,
    Words,
)

QUIET, APPARENT, CLEARS = 0, 1, 2

_SLACK = 1e-9  # of the price; the error of the floats is below 1e-14 of it
_PPT = 1e-12


@compiled(types.boolean(types.float64, types.float64, types.float64, types.float64, types.float64))
def clears(buy: float, buy_rate: float, sell: float, sell_rate: float, edge_min: float) -> bool:
    """Return whether selling at `sell` what was bought at `buy` may leave `edge_min` of the buying price after fees."""
    net = sell * (1.0 - sell_rate) - buy * (1.0 + buy_rate)
    return net >= edge_min * buy - _SLACK * (buy + sell)


@compiled(types.int64(types.int64[::1], types.int64))
def screen(mem: Words, index: int) -> int:
    """Return the best that any route with this book in it may be at the touch: QUIET, APPARENT or CLEARS."""
    head = HEADS + index * HEAD_WIDTH
    if mem[head + VALID] == 0:
        return QUIET
    unit = float(mem[head + PRICE_UNIT])
    bid = float(mem[mem[head + BIDS + KEYS] + mem[head + BIDS + END] - 1]) / unit
    ask = -float(mem[mem[head + ASKS + KEYS] + mem[head + ASKS + END] - 1]) / unit
    rate = float(mem[head + TAKER_PPT]) * _PPT
    edge_min = float(mem[EDGE_MIN_PPT]) * _PPT
    found = QUIET
    other_index = mem[head + NEXT]
    while other_index != index:
        other = HEADS + other_index * HEAD_WIDTH
        if mem[other + VALID] == 1 and mem[other + VENUE] != mem[head + VENUE]:
            other_unit = float(mem[other + PRICE_UNIT])
            other_bid = float(mem[mem[other + BIDS + KEYS] + mem[other + BIDS + END] - 1]) / other_unit
            other_ask = -float(mem[mem[other + ASKS + KEYS] + mem[other + ASKS + END] - 1]) / other_unit
            other_rate = float(mem[other + TAKER_PPT]) * _PPT
            if mem[other + QUOTE] == mem[head + QUOTE] and (
                clears(ask, rate, other_bid, other_rate, edge_min) or clears(other_ask, other_rate, bid, rate, edge_min)
            ):
                return CLEARS
            if other_bid > ask or bid > other_ask:
                found = APPARENT
        other_index = mem[other + NEXT]
    return found
