"""Slices side by side: the columns that the bundle's files print, each spelled once for all of them.

Rules of this file:
- A year has hundreds of thousands of slices, and a step costs a tenth when it is taken for a column and not for a cell. So
  whoever writes a row per slice is handed some thousands at a time, as columns of equal length in the order of sale.
- Nothing is rounded: numbers are plain decimals, `gain` is `proceeds` less `basis` in the context of adding.py.
- A column is looked at as one text for what would need care (an exponent, a mark of CSV or JSON); where it has none, which
  is the rule, its texts are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from operator import sub
from typing import Any, cast

import msgspec

from arbot.ledger.cells import cell
from arbot.ledger.lots.words import Slice
from arbot.tax.bundle.texts import plain, utc

IsLong = Callable[[int, int], bool]
"""From the instants of acquisition and sale in ns to whether the term is long."""

BARE = re.compile(r"[A-Za-z0-9:._/|-]*")
"""Names of these characters stand in CSV and JSON as they are. Others may or may not: they are looked at one by one."""


class Columns(msgspec.Struct, frozen=True, gc=False):
    """Some slices: first as they are, then as texts. `term` is "S", "L", or "" in a country that knows none.

    `is_bare`: no name in them needs care in CSV or JSON.
    """

    slices: Sequence[Slice]
    is_bare: bool
    disposal: Sequence[str]
    lot: Sequence[str]
    asset: Sequence[str]
    account: Sequence[str]
    qty: Sequence[Decimal]
    proceeds: Sequence[Decimal]
    basis: Sequence[Decimal]
    acquired_ns: Sequence[int]
    sold_ns: Sequence[int]
    why: Sequence[str]
    method: Sequence[str]
    seq: Sequence[int]
    term: Sequence[str]
    disposal_cell: Sequence[str]
    lot_cell: Sequence[str]
    qty_text: Sequence[str]
    proceeds_text: Sequence[str]
    basis_text: Sequence[str]
    gain_text: Sequence[str]
    acquired: Sequence[str]
    sold: Sequence[str]
    identified: Sequence[str]  # "" for FIFO by default


def columns_of(slices: Sequence[Slice], is_long: IsLong | None) -> Columns:
    """Return the columns of at least one slice; `is_long` None: the country knows no terms."""
    rows = cast("Iterable[tuple[Any, ...]]", map(msgspec.structs.astuple, slices))
    disposal, lot, asset, account, qty, proceeds, basis, acquired_ns, sold_ns, why, method, identified_ns, seq = zip(
        *rows, strict=True
    )
    return Columns(
        slices,
        _is_bare(disposal) and _is_bare(lot) and _is_bare({*asset, *account, *method}),
        disposal,
        lot,
        asset,
        account,
        qty,
        proceeds,
        basis,
        acquired_ns,
        sold_ns,
        [reason._value_ for reason in why],  # `.value` is a descriptor that costs ten times as much
        method,
        seq,
        _terms(acquired_ns, sold_ns, is_long),
        as_cells(disposal),
        as_cells(lot),
        as_plain(qty),
        as_plain(proceeds),
        as_plain(basis),
        as_plain(list(map(sub, proceeds, basis))),
        list(map(utc, acquired_ns)),
        list(map(utc, sold_ns)),
        [utc(ts_ns) if ts_ns else "" for ts_ns in identified_ns] if any(identified_ns) else [""] * len(seq),
    )


def as_plain(numbers: Sequence[Decimal]) -> Sequence[str]:
    """Return numbers without exponent, all digits kept."""
    texts = list(map(str, numbers))
    return list(map(plain, numbers)) if "E" in "".join(texts) else texts


def as_cells(texts: Sequence[str]) -> Sequence[str]:
    """Return texts as cells of CSV."""
    return texts if _is_bare(texts) else list(map(cell, texts))


def as_json(texts: Sequence[str]) -> Sequence[str]:
    """Return texts as JSON text, quotes and all."""
    return [f'"{text}"' for text in texts] if _is_bare(texts) else list(map(encode_basestring, texts))


def _is_bare(texts: Collection[str]) -> bool:
    """Return whether texts hold nothing but BARE, and each begins with a letter or digit: no formula does."""
    return BARE.fullmatch("".join(texts)) is not None and "".join([text[:1] for text in texts]).isalnum()


def _terms(acquired_ns: Sequence[int], sold_ns: Sequence[int], is_long: IsLong | None) -> Sequence[str]:
    if is_long is None:
        return [""] * len(sold_ns)
    return ["L" if held else "S" for held in map(is_long, acquired_ns, sold_ns)]
