"""Distributions of integers in fixed memory: each bin is at most a thousandth wide and stands for its first member.

Regular data therefore shows its exact value (a step of 60 s is 60 s), and anything else is off by less than 0.1 %.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled
from arbot.market.stream import Column

_SUB_BITS = 10
_SUB = 1 << _SUB_BITS
BINS = (64 - _SUB_BITS) * _SUB
"""Bins of one sign: counts of numbers of zero and above come first, then those below zero."""

_i8 = types.int64
_col = types.int64[::1]


@compiled(types.void(_col, _col, _i8))
def count_in(counts: Column, members: Column, value: int) -> None:
    """Count one value."""
    size = abs(value)
    if size < _SUB:
        at = size
    else:
        shift = math.frexp(float(size))[1] - 1 - _SUB_BITS
        at = shift * _SUB + (size >> shift) if shift > 0 else size
    if value < 0:
        at += BINS
    if counts[at] == 0:
        members[at] = value
    counts[at] += 1


def percentiles(counts: Column, members: Column, shares: tuple[float, ...]) -> list[float]:
    """Return the smallest value at which the cumulated count reaches each share; NaN when nothing was counted."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return [math.nan for _ in shares]
    order = filled[np.argsort(members[filled], kind="stable")]
    cumulated = np.cumsum(counts[order])
    return [float(members[order][_reach(cumulated, share)]) for share in shares]


def weighted_percentiles(values: NDArray[np.float64], weights: Column, shares: tuple[float, ...]) -> list[float]:
    """Return the smallest value at which the cumulated weight reaches each share; NaN without weight."""
    has_weight = weights > 0
    if not has_weight.any():
        return [math.nan for _ in shares]
    values, weights = values[has_weight], weights[has_weight]
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    return [float(values[order[_reach(cumulated, share)]]) for share in shares]


def _reach(cumulated: Column, share: float) -> int:
    wanted = share * float(cumulated[-1])
    return min(int(np.searchsorted(cumulated, wanted, side="left")), len(cumulated) - 1)
