"""What a format is: a name, a header that is matched byte for byte, and how an entry becomes a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from arbot.tax.formats.entries import Entry
from arbot.tax.formats.losses import Losses

Row = tuple[str, ...]


class TableFormat(NamedTuple):
    """A CSV of another program. `row` gives None for an entry that belongs into another file of the program."""

    name: str
    title: str
    header: str  # the exact first line
    row: Callable[[Entry, Losses], Row | None]
    is_quoted: bool = False  # every field in quotes
    has_value: bool = False  # a column for what it was worth
    has_account: bool = True  # else a file per account, which the user assigns at the import


def described(entry: Entry) -> str:
    """Return the text that leads from a row back to its line: account, id, and a note where there is one."""
    return f"{entry.account} {entry.id} {entry.note}".rstrip()
