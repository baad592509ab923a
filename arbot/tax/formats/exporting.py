"""Makes one export: what is asked for is checked, the format's maker runs over the history, what got lost is returned.

Rules of this file:
- A file made of lots is made under the same policy, clock and rules as the report; while an item is open that nobody
  accepted, nothing is left on disk. Files of plain history are made all the same, and the open items are told.
- Files made of lots follow the rules of the United States: other countries have their own report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import Placed
from arbot.ledger.history.checking import check_history
from arbot.ledger.jurisdictions.base import Country, CountryOptions
from arbot.ledger.jurisdictions.registry import country as country_of
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.asked import Asked, choose
from arbot.tax.bundle.report import Refused
from arbot.tax.formats import beancount, hledger, rp2, turbotax
from arbot.tax.formats.gains import write_gains
from arbot.tax.formats.losses import Loss, Losses
from arbot.tax.formats.matched import Matching
from arbot.tax.formats.spreadsheet import write_spreadsheet
from arbot.tax.formats.table_writer import Written, is_a_folder, put_in_place, write_table, write_text
from arbot.tax.formats.tables import FORMATS, TABLES, Needs
from arbot.tax.open_items import told_once

UNITED_STATES: Final = "us"


class History(Protocol):
    """What an export reads: the merged stream, and what the books say about it."""

    def lines(self) -> Iterator[Placed]:
        """Return every line, in order."""
        ...

    def policy(self) -> LotPolicy:
        """Return the standing orders, picks and custody of the books."""
        ...

    def open_items(self) -> Iterable[OpenItem]:
        """Return what the history leaves open."""
        ...

    @property
    def booked_ns(self) -> int:
        """Return when the books were last written: no line can have happened after it."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An export as it was asked for. `year` None: all of history. `asked` has what decides about lots."""

    format: str
    out: Path
    year: int | None
    asked: Asked


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, what the format could not say, and what was open but did not stop it."""

    files: list[Written]
    losses: list[Loss]
    open_items: list[OpenItem]
    warnings: tuple[str, ...] = ()


class _Work:
    """An export under way: the country, its clock, the policy, and what got lost so far."""

    def __init__(self, history: History, wanted: Wanted) -> None:
        asked = wanted.asked
        self.history = history
        self.wanted = wanted
        self.losses = Losses()
        self.open: list[OpenItem] | None = None  # not yet looked for
        self.notes: list[OpenItem] = []
        self.country: Country = country_of(asked.country)
        self.options = self.country.settled(CountryOptions(timezone=asked.timezone or ""))
        choice = choose(asked, history.policy(), self.country.method(asked.method or ""), self.country)
        self.policy, self.warning = choice.policy, choice.what_if

    def path(self) -> Path:
        """Return the file to write: `--out` itself, or the format's own name in the folder that it means."""
        out, name = self.wanted.out, self.wanted.format
        return out / f"{name}.{FORMATS[name].suffix}" if is_a_folder(out) else out

    def open_items(self, items: Iterable[OpenItem] = ()) -> list[OpenItem]:
        """Return what history leaves open, `items` that making the file found, and what history itself shows to be wrong."""
        found = told_once(self.history.open_items(), items)
        check = check_history(self.history.lines(), self.history.booked_ns)
        found += check.open_items(found)
        self.notes = check.notes()
        span = self.span()
        if span is not None and not any(span[0] <= placed.ts_ns < span[1] for placed in self.history.lines()):
            self.notes.append(check.year_empty(str(self.wanted.year)))
        return found

    def span(self) -> tuple[int, int] | None:
        """Return the bounds of the year that is asked for; None for all of history."""
        year = self.wanted.year
        return None if year is None else self.country.year_bounds_ns(year, self.options.timezone)

    def refuse(self, items: Iterable[OpenItem]) -> None:
        """Raise Refused when an item is open that nobody accepted."""
        self.open = self.open_items(items)
        found = tuple(one for one in self.open if not self.wanted.asked.is_accepted(one))
        if found:
            raise Refused(found, self.wanted.asked.idle(self.open))


def export(history: History, wanted: Wanted) -> Exported:
    """Make the files. Raises: UserError for what does not go together, Refused for open items."""
    check(wanted)
    work = _Work(history, wanted)
    needs_lots = FORMATS[wanted.format].needs is Needs.SLICES
    files = _MAKERS[wanted.format](work)
    found = work.open_items() if work.open is None else work.open
    what_if = (work.warning,) if needs_lots and work.warning else ()
    notes = (f"{note.where}: {note.what} [{note.code}]" for note in work.notes)
    return Exported(files=files, losses=work.losses.told(), open_items=found, warnings=(*what_if, *notes))


def check(wanted: Wanted) -> None:
    """Raise UserError with every part of what was asked for that does not fit the format."""
    known = FORMATS.get(wanted.format)
    if known is None:
        names = ", ".join(FORMATS)
        raise UserError(Mistake("--format", f"there is no {wanted.format!r}", f"use one of {names}"))
    mistakes = []
    if known.needs is Needs.SLICES and wanted.asked.country != UNITED_STATES:
        what = f"{wanted.format} is made of lots under the rules of the United States"
        remedy = f"leave --country out, or run `arbot tax report --country {wanted.asked.country}`"
        mistakes.append(Mistake("--country", what, remedy))
    if wanted.format in _WHOLE and wanted.year is not None:
        what = f"{wanted.format} needs the whole history: balances and lots carry over"
        mistakes.append(Mistake("--year", what, "leave --year out"))
    if wanted.format == "beancount" and wanted.asked.pool not in {None, Pool.ACCOUNT}:
        mistakes.append(_POOLED)
    if mistakes:
        raise UserError(*mistakes)


def _table(name: str, work: _Work) -> list[Written]:
    wanted = work.wanted
    return write_table(TABLES[name], work.history.lines(), wanted.out, work.losses, year=wanted.year)


def _hledger(work: _Work) -> list[Written]:
    return [write_text(hledger.journal(work.history.lines(), work.losses), work.path())]


def _turbotax(work: _Work) -> list[Written]:
    timezone, span = work.options.timezone, work.span()
    run = work.country.begin(work.policy, work.options)
    with put_in_place(work.path()) as file:
        file.write(f"{turbotax.GAINS_HEADER}\n")
        count = write_gains(file, work.history.lines(), run, timezone, span)
        work.refuse(run.open_items())
    return [Written(work.path(), count)]


def _beancount(work: _Work) -> list[Written]:
    if work.policy.pool is not Pool.ACCOUNT:
        raise UserError(_POOLED)
    matching = Matching(work.policy, work.options.timezone)

    def pieces() -> Iterator[str]:
        yield from beancount.ledger(work.history.lines(), matching)
        work.refuse(matching.open_items())

    return [write_text(pieces(), work.path())]


def _rp2(work: _Work) -> list[Written]:
    matching = Matching(work.policy, work.options.timezone)
    sheets = rp2.Sheets(work.losses)
    sheets.add(matching.each(work.history.lines()))
    work.refuse(matching.open_items())
    path = work.path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.unfinished")
    with draft.open("wb") as file:
        count = write_spreadsheet(file, sheets.tables(), rp2.WIDTH)
    draft.replace(path)
    return [Written(path, count), write_text([sheets.ini()], path.with_suffix(".ini"))]


_POOLED: Final = Mistake("--pool", "beancount keeps lots per account", "write --pool account")
_WHOLE: Final = frozenset({"beancount", "hledger", "rp2"})
_MAKERS: Final[Mapping[str, Callable[[_Work], list[Written]]]] = {
    **{name: partial(_table, name) for name in TABLES},
    "turbotax": _turbotax,
    "rp2": _rp2,
    "beancount": _beancount,
    "hledger": _hledger,
}
