"""Local days, tax years and anniversaries."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import NS_PER_S, parse_ts
from arbot.ledger.jurisdictions.days import (
    LocalDays,
    day_of,
    day_text,
    is_beyond_year,
    tax_year_days,
    tax_year_of,
)


@pytest.mark.parametrize(
    ("timezone", "ts", "expected"),
    [
        ("Europe/London", "2025-03-30T00:59:59Z", "2025-03-30"),
        ("Europe/London", "2025-03-30T23:00:00Z", "2025-03-31"),
        ("Europe/London", "2025-10-25T23:30:00Z", "2025-10-26"),
        ("Europe/London", "2025-10-26T23:30:00Z", "2025-10-26"),
        ("Europe/London", "2025-04-05T22:59:59.999999999Z", "2025-04-05"),
        ("Europe/London", "2025-04-05T23:00:00Z", "2025-04-06"),
        ("America/New_York", "2026-01-01T04:59:59Z", "2025-12-31"),
        ("Australia/Lord_Howe", "2025-06-30T13:29:59Z", "2025-06-30"),
        ("Australia/Lord_Howe", "2025-06-30T13:30:00Z", "2025-07-01"),
        ("Asia/Kathmandu", "2025-01-01T18:15:00Z", "2025-01-02"),
        ("UTC", "1969-12-31T23:59:59Z", "1969-12-31"),
    ],
)
def test_the_day_of_an_instant(timezone: str, ts: str, expected: str) -> None:
    """Days turn at the midnight of the place, before and after its clocks change."""
    assert expected == day_text(LocalDays(timezone).of(parse_ts(ts)))


@pytest.mark.parametrize("timezone", ["Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"])
def test_remembered_days_are_those_of_the_calendar(timezone: str) -> None:
    """Every quarter of an hour of two weeks with a change of clocks has the day that the calendar gives it."""
    days, zone = LocalDays(timezone), ZoneInfo(timezone)
    for begin in ("2025-03-25", "2025-10-20"):
        first_s = int(datetime.fromisoformat(begin).replace(tzinfo=UTC).timestamp())
        for at_s in range(first_s, first_s + 14 * 86_400, 900):
            assert datetime.fromtimestamp(at_s + 899, zone).toordinal() == days.of((at_s + 899) * NS_PER_S)


def test_a_day_begins_at_its_own_midnight() -> None:
    """The beginning of a day has that day, and the ns before it the one before."""
    days = LocalDays("Europe/London")
    for text in ("2025-03-30", "2025-03-31", "2025-10-26", "2025-10-27", "2025-04-06"):
        begin_ns, day = days.begin_ns(day_of(text)), day_of(text)
        assert (day - 1, day) == (days.of(begin_ns - 1), days.of(begin_ns))


def test_an_unknown_time_zone_is_refused() -> None:
    """The refusal names the zone and says what a name looks like."""
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        with pytest.raises(UserError, match="unknown time zone"):
            LocalDays(name)


@pytest.mark.parametrize(
    ("begins", "day", "expected"),
    [
        ((4, 6), "2025-04-05", 2024),
        ((4, 6), "2025-04-06", 2025),
        ((7, 1), "2025-06-30", 2024),
        ((7, 1), "2025-07-01", 2025),
        ((1, 1), "2025-01-01", 2025),
        ((1, 1), "2025-12-31", 2025),
    ],
)
def test_the_tax_year_of_a_day(begins: tuple[int, int], day: str, expected: int) -> None:
    """A tax year is named for the calendar year it begins in, and its days are exactly those."""
    assert expected == tax_year_of(day_of(day), begins)
    assert day_of(day) in tax_year_days(expected, begins)
    assert day_of(day) not in tax_year_days(expected + 1, begins)


@pytest.mark.parametrize(
    ("acquired", "sold", "expected"),
    [
        ("2024-01-15", "2025-01-15", False),
        ("2024-01-15", "2025-01-16", True),
        ("2023-02-28", "2024-02-28", False),
        ("2023-02-28", "2024-02-29", True),
        ("2024-02-29", "2025-02-28", False),
        ("2024-02-29", "2025-03-01", True),
        ("2025-01-01", "2025-01-01", False),
    ],
)
def test_beyond_a_year_is_after_the_anniversary(acquired: str, sold: str, *, expected: bool) -> None:
    """On the day of the same number a year later it is not yet beyond; 29 February ends on 28 February."""
    assert expected is is_beyond_year(day_of(acquired), day_of(sold))


def test_a_tax_year_has_all_days_once() -> None:
    """Years follow one another without gap or overlap, leap years included."""
    for begins in ((1, 1), (4, 6), (7, 1)):
        for year in range(2020, 2030):
            assert tax_year_days(year, begins).stop == tax_year_days(year + 1, begins).start
    assert 366 == len(tax_year_days(2023, (4, 6)))
    assert date(2024, 4, 5).toordinal() == tax_year_days(2023, (4, 6))[-1]
