"""A report: one pass, all files, or a refusal that lists everything that is open.

Rules of this file:
- Nothing here knows a clock: the same history and the same words give the same bytes.
- Every open item of history and country has to be settled or accepted by name; else nothing is left on disk.
- What cannot be filed as it stands (a what-if, pretend money, rules marked experimental) is said in the summary, in the
  manifest and to the person who asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from arbot import __version__
from arbot.domain.errors import ArbotError
from arbot.domain.history import LotMethod, Placed
from arbot.ledger.history.checking import HistoryCheck
from arbot.ledger.jurisdictions.base import Country, CountryOptions, TermJudge, no_long_term
from arbot.ledger.jurisdictions.registry import country as country_of
from arbot.ledger.jurisdictions.us.form8949 import RowMaker, form_dates
from arbot.ledger.jurisdictions.us.found1099da import Match
from arbot.ledger.jurisdictions.us.wash_sales import WashShadow
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import LotRun, OpenItem, Slice
from arbot.tax.bundle.adding import adding
from arbot.tax.bundle.asked import Asked, Choice, choose
from arbot.tax.bundle.brokers import match_forms, read_forms
from arbot.tax.bundle.choices import Identification, write_open_items
from arbot.tax.bundle.columns import columns_of
from arbot.tax.bundle.disposals import Disposals
from arbot.tax.bundle.folder import Folder, check, put_in_place
from arbot.tax.bundle.lots_left import write_open, write_remaining
from arbot.tax.bundle.manifest import write_manifest
from arbot.tax.bundle.part_local import LocalPart
from arbot.tax.bundle.parts import Part, UnitedStatesPart
from arbot.tax.bundle.passing import Marks, Span, run_pass
from arbot.tax.bundle.shadow import write_wash_sales
from arbot.tax.bundle.summary import write_summary
from arbot.tax.bundle.told import Grid, Told
from arbot.tax.collecting import collected_seldom
from arbot.tax.open_items import told_once

UNITED_STATES = "us"
LIVE = "live"
ONE_POOL_WORDS = "all accounts"  # of a country that keeps one pool of each asset


class History(Protocol):
    """What a report reads: the merged stream, and what the books say about it. `mode` "" is imported history only."""

    @property
    def mode(self) -> str: ...  # noqa: D102

    @property
    def head_hash(self) -> str: ...  # noqa: D102

    @property
    def booked_ns(self) -> int:
        """Return when the books were last written: no line can have happened after it."""
        ...

    def lines(self) -> Iterator[Placed]:
        """Return every line, in order; may be asked for again."""
        ...

    def policy(self) -> LotPolicy:
        """Return the standing orders, picks and custody of the books."""
        ...

    def open_items(self) -> Iterable[OpenItem]:
        """Return what the history leaves open."""
        ...


class Refused(ArbotError):
    """Items are open that nobody accepted. Nothing was written."""

    def __init__(self, items: tuple[OpenItem, ...], idle: tuple[str, ...] = ()) -> None:
        super().__init__(f"{len(items)} open items")
        self.items = items
        self.idle = idle  # what was accepted and is not open, in words: a code mistyped


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was written where."""

    out: Path
    told: Told
    files: tuple[str, ...]


class _Work:
    """A report under way: what was settled before the pass, and what it ends with."""

    def __init__(self, history: History, asked: Asked, form_1099da: Path | None, form_map: Path | None) -> None:
        self.history = history
        self.asked = asked
        self.country: Country = country_of(asked.country)
        self.options = self.country.settled(
            CountryOptions(
                timezone=asked.timezone or "",
                rate_default=asked.rate_default,
                is_transfer_fee_allowable=asked.is_transfer_fee_allowable,
            )
        )
        self.choice: Choice = choose(asked, history.policy(), self.country.method(asked.method or ""), self.country)
        self.span = Span(*self.country.year_bounds_ns(asked.year, self.options.timezone))
        self.is_long: TermJudge = self.country.term(self.options.timezone)
        self.match: Match | None = None
        if form_1099da is not None:
            forms = read_forms(form_1099da, form_map)
            self.match = match_forms(forms, history.lines(), self.run(), self.span, self.is_long, self.options.timezone)

    def run(self) -> LotRun:
        """Return a new run from the beginning of history."""
        return self.country.begin(self.choice.policy, self.options)

    def known_terms(self) -> TermJudge | None:
        """Return what judges terms, None in a country that knows none."""
        return None if self.country.term is no_long_term else self.is_long

    def part(self, folder: Folder) -> Part:
        """Return the country's own files."""
        if self.country.code != UNITED_STATES:
            return LocalPart(folder, self.country, self.asked.year, self.span, self.asked.rate_default)
        dates = form_dates(self.options.timezone)
        maker = RowMaker(
            self.is_long,
            dates,
            self.asked.rows,
            is_in_dollars=self.asked.is_in_whole_dollars,
            is_total_enough=self.asked.is_total_enough,
            reported=self.match.reported if self.match else None,
        )
        return UnitedStatesPart(folder, self.span, self.choice.policy.pool, maker, dates)

    def open_items(self, run: LotRun, part: Part, check: HistoryCheck) -> list[OpenItem]:
        """Return everything that is open, each once, in the order of its source; the part's own only where nothing else is."""
        found = told_once(self.history.open_items(), run.open_items())
        found += check.open_items(found)
        if self.match:
            found += self.match.open_items()
        return list(dict.fromkeys(found)) or part.open_items()

    def warnings(self, run: LotRun, marks: Marks, check: HistoryCheck, items: Iterable[OpenItem]) -> tuple[str, ...]:
        """Return what a reader has to know before the figures."""
        country, mode = self.country, self.history.mode
        year = country.year_name(self.asked.year)
        found = [self.choice.what_if] if self.choice.what_if else []
        if mode not in ("", LIVE):
            found.append(f"the run is in {mode} mode: this is pretend money, there is nothing to file")
        if country.is_experimental:
            found.append(f"the rules of {country.name} are experimental: have every figure checked")
        if marks.goes_beyond(self.span):
            found.append(
                f"history goes beyond {year}: remaining.jsonl is the state at its end, lots-open.csv that at the year's end"
            )
        notes = [*country.notes(run, self.asked.year), *(self.match.notes() if self.match else []), *check.notes()]
        if not marks.lines_in_year:
            notes.append(check.year_empty(year))
        found += [f"{note.where}: {note.what} [{note.code}]" for note in notes]
        return (*found, *self.asked.idle(items))


def write_report(
    history: History, asked: Asked, out: Path, form_1099da: Path | None = None, form_map: Path | None = None
) -> Report:
    """Write the bundle and return what is in it. `form_map` says how the file of Forms 1099-DA is to be read.

    Raises: Refused with every item that is open and not accepted; UserError when the words or `out` will not do.
    """
    check(out)
    with adding(), collected_seldom(), put_in_place(out) as folder:
        work = _Work(history, asked, form_1099da, form_map)
        told = _written(work, folder)
        write_summary(folder.sheet("summary.html"), told)
        write_manifest(folder, told)
        return Report(out=out, told=told, files=tuple(folder.digests()))


def _written(work: _Work, folder: Folder) -> Told:
    """Go through history and write all files but the summary and the manifest."""
    run, asked, span = work.run(), work.asked, work.span
    disposals, part = Disposals(folder), work.part(folder)
    identification = Identification(work.choice.policy)
    shadow = WashShadow(work.options.timezone) if asked.has_wash_sales else None
    check = HistoryCheck(work.history.booked_ns)
    is_long, hear_columns = work.known_terms(), (disposals.slices, *part.by_slice)

    def hear_slices(slices: Sequence[Slice]) -> None:
        given = columns_of(slices, is_long)
        for hear in hear_columns:
            hear(given)

    marks = run_pass(
        work.history.lines(),
        run,
        span,
        by_line=[*part.by_line, *identification.hearers()],
        by_slice=[hear_slices],
        every_line=[check.line, *part.every_line],
        every_slice=[shadow.take] if shadow else [],
        flush=folder.flush,
    )
    grids = part.close(marks, disposals.totals, run)
    items = work.open_items(run, part, check)
    refused = tuple(item for item in items if not asked.is_accepted(item))
    if refused:
        raise Refused(refused, asked.idle(items))
    write_remaining(folder, marks.at_last)
    write_open(folder, marks.at_end)
    identification.write(folder, span)
    write_open_items(folder, items)
    if shadow:
        grids += write_wash_sales(folder, shadow, marks.at_last, span)
    return _told(work, marks, items, work.warnings(run, marks, check, items), grids)


def _told(work: _Work, marks: Marks, items: list[OpenItem], warnings: tuple[str, ...], grids: list[Grid]) -> Told:
    asked, choice = work.asked, work.choice
    settings = {
        "method": choice.words,
        "lots over": ONE_POOL_WORDS if work.country.method_default is LotMethod.AVERAGE else choice.policy.pool.value,
        "time zone": work.options.timezone,
        "currency": work.country.ccy,
    }
    if work.country.code == UNITED_STATES:
        settings |= {
            "rows": asked.rows.value,
            "amounts": "whole dollars" if asked.is_in_whole_dollars else "cents",
            "wash sales": "shadow report added" if asked.has_wash_sales else "no",
            "Forms 1099-DA": "matched" if work.match else "none given",
        }
    if work.country.has_local_options:
        rate = asked.rate_default
        settings["default rate"] = "none" if rate is None else f"{rate:f} {work.country.ccy} for 1 USD"
        settings["transfer fees"] = "a cost" if asked.is_transfer_fee_allowable else "no cost"
    return Told(
        country=work.country.code,
        country_name=work.country.name,
        year=work.country.year_name(asked.year),
        method=choice.words,
        settings=settings,
        counts={
            "lines of history": marks.lines,
            "lines in the year": marks.lines_in_year,
            "disposals by lot": marks.slices,
            "lots at year end": len(marks.at_end),
        },
        ledger_head=work.history.head_hash,
        mode=work.history.mode,
        code_version=__version__,
        warnings=warnings,
        accepted=tuple(items),
        grids=tuple(grids),
    )
