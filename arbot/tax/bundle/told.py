"""What a report has to say for itself: to the summary page, to the manifest, to the person at the terminal."""

from __future__ import annotations

import msgspec

from arbot.ledger.lots.words import OpenItem


class Grid(msgspec.Struct, frozen=True):
    """A small table of the summary page, all cells as text; columns after the first `words` align right.

    The last row stands out where it `has_total`.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    note: str = ""
    has_total: bool = True


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one report. `settings` are the words it was asked with, settled."""

    country: str
    country_name: str
    year: str
    method: str
    settings: dict[str, str]
    counts: dict[str, int]
    ledger_head: str
    mode: str
    code_version: str
    warnings: tuple[str, ...]
    accepted: tuple[OpenItem, ...]
    grids: tuple[Grid, ...]
