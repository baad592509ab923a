"""What a country is: its currency, tax year, days, methods and rules as data, and how to begin a pass over history.

Rules of this file:
- A report asks nothing of a country that is not here, so it has no branch per country.
- A tax year is named for the calendar year in which it begins: 2025 is 2025/2026 where it does not begin in January.
- A note is told and does not block; an open item blocks a filing report until it is settled or accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import LotMethod
from arbot.ledger.jurisdictions.days import LocalDays, tax_year_days, tax_year_of
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import LotRun, OpenItem


class Rule(NamedTuple):
    """One rule a country's figures follow, where it is written, and as of when it was read."""

    text: str
    source: str
    date: str


class Table(NamedTuple):
    """A table of a country's report, all cells as text, ready for a CSV file named `name`.

    The summary page shows its columns `shown` under `title`; a table without a title is not shown there.
    """

    name: str
    header: tuple[str, ...]
    rows: Iterable[tuple[str, ...]]
    title: str = ""
    shown: tuple[str, ...] = ()


class CountryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a person may choose for a country.

    `timezone` "" is the country's own. `rate_default` is how many units of the country's currency one USD is worth, on
    lines that carry no such rate. `is_transfer_fee_allowable` counts the value of a transfer's fee as a cost.
    """

    timezone: str = ""
    rate_default: Decimal | None = None
    is_transfer_fee_allowable: bool = False


@runtime_checkable
class Telling(Protocol):
    """A run that has tables and notes of its own besides slices."""

    def tables(self, year: int) -> list[Table]:
        """Return the country's tables for a tax year; ask once history is finished."""
        ...

    def notes(self, year: int) -> list[OpenItem]:
        """Return what has to be told about a tax year and does not block."""
        ...


@runtime_checkable
class Noting(Protocol):
    """A run without tables whose notes are of no one year."""

    def notes(self) -> list[OpenItem]:
        """Return what has to be told and does not block."""
        ...


TermJudge = Callable[[int, int], bool]
"""(acquired_ns, sold_ns) -> is it held for more than the country's long term."""


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """A country as data, with the one function that begins its run."""

    code: str
    name: str
    ccy: str
    timezone: str
    year_begins: tuple[int, int]  # month and day
    methods: tuple[LotMethod, ...]
    method_default: LotMethod
    rules: tuple[Rule, ...]
    run: Callable[[LotPolicy, CountryOptions], LotRun]
    term: Callable[[str], TermJudge]  # of a time zone
    is_timezone_fixed: bool = False
    is_experimental: bool = False
    has_local_options: bool = True  # a default rate and the switch on transfer fees mean something

    def method(self, name: str = "") -> LotMethod:
        """Return the method of a name, the default for "". Raises: UserError on one the country does not know."""
        if not name:
            return self.method_default
        for method in self.methods:
            if method == name.lower():
                return method
        raise UserError(
            Mistake(f"--method {name}", f"is not a method of {self.name}", f"use {' or '.join(self.methods)}")
        )

    def begin(self, policy: LotPolicy, options: CountryOptions) -> LotRun:
        """Begin a pass over history; what a country has no choice in, it does not read. Raises: UserError."""
        return self.run(policy, self.settled(options))

    def settled(self, options: CountryOptions) -> CountryOptions:
        """Return the options with the country's time zone filled in. Raises: UserError on what the country cannot use."""
        if self.is_timezone_fixed and options.timezone not in {"", self.timezone}:
            raise UserError(
                Mistake(
                    f"timezone {options.timezone}",
                    f"the days of {self.name} are those of {self.timezone}",
                    "leave the time zone out",
                )
            )
        if not self.has_local_options and (options.rate_default is not None or options.is_transfer_fee_allowable):
            raise UserError(
                Mistake(
                    "default rate or transfer fees",
                    f"{self.name} has no choice in them",
                    "leave --rate-default and --transfer-fees-allowable out",
                )
            )
        if options.rate_default is not None and options.rate_default <= 0:
            raise UserError(
                Mistake(
                    f"rate {options.rate_default}",
                    "is no rate",
                    f"give how many {self.ccy} one USD was worth, such as 0.78",
                )
            )
        return msgspec.structs.replace(options, timezone=options.timezone or self.timezone)

    def year_at(self, ts_ns: int, timezone: str = "") -> int:
        """Return the tax year of an instant."""
        return self.year_of(LocalDays(timezone or self.timezone).of(ts_ns))

    def year_of(self, day: int) -> int:
        """Return the tax year of a local day."""
        return tax_year_of(day, self.year_begins)

    def year_name(self, year: int) -> str:
        """Return "2025", or "2025/2026" where the tax year spans two calendar years."""
        return year_name(year, self.year_begins)

    def year_bounds_ns(self, year: int, timezone: str = "") -> tuple[int, int]:
        """Return the instants at which a tax year begins and at which the next one does."""
        days = tax_year_days(year, self.year_begins)
        local = LocalDays(timezone or self.timezone)
        return local.begin_ns(days.start), local.begin_ns(days.stop)

    def tables(self, run: LotRun, year: int) -> list[Table]:
        """Return the tables of a finished run and the rules behind them; of a country with forms, the rules alone."""
        told = run.tables(year) if isinstance(run, Telling) else []
        return [*told, Table("rules", ("rule", "source", "read_on"), self.rules)]

    def notes(self, run: LotRun, year: int) -> list[OpenItem]:
        """Return what a run has to tell about a tax year that does not block."""
        if isinstance(run, Telling):
            return run.notes(year)
        return run.notes() if isinstance(run, Noting) else []


def year_name(year: int, begins: tuple[int, int]) -> str:
    """Return the name of the tax year that begins in `year`."""
    return str(year) if begins == (1, 1) else f"{year}/{year + 1}"


def no_long_term(_timezone: str) -> TermJudge:
    """Return the judge of a country that taxes long and short holding alike: nothing is long."""
    return _never_long


def _never_long(_acquired_ns: int, _sold_ns: int) -> bool:
    return False
