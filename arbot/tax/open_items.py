"""Open items of several sources in one list, each told once."""

from __future__ import annotations

from collections.abc import Iterable

from arbot.ledger.lots.words import OpenItem


def told_once(told: Iterable[OpenItem], found: Iterable[OpenItem]) -> list[OpenItem]:
    """Return what a history tells of itself and what a run over it found, in that order.

    What the run found at a line that the history tells of is left out: the history knows where the line came from, so its
    remedy is the nearer one.
    """
    first = list(dict.fromkeys(told))
    named = {(item.code, item.where) for item in first}
    others = dict.fromkeys(found)
    return [
        *first,
        *(item for item in others if (item.code, item.where.rpartition(" at ")[0] or item.where) not in named),
    ]
