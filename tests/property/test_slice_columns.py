"""For any slices: files spelled by the column say what rows made one by one say, whatever is in a name or an amount."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from arbot.domain.history import format_ts
from arbot.ledger.jurisdictions.us.form8949 import RowMaker, form_dates
from arbot.ledger.jurisdictions.us.terms import Terms, first_long_day
from arbot.ledger.lots.words import Slice, Why
from arbot.tax.bundle.adding import adding
from arbot.tax.bundle.columns import columns_of
from arbot.tax.bundle.disposals import Disposals
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.form_us import FormFiles
from tests.support.tax_slices import UTC_DAYS, a_slice, ns

TIMEZONE = "America/New_York"
PLAIN = ["kraken:T1", "X7:fee", "0x0a1b"]
ODD = ["a,b", 'q"q', "back\\slash", "ümlaut", "two\nlines", "50%", "{x}"]
AMOUNTS = st.one_of(
    st.sampled_from([Decimal("0.005"), Decimal("-0.004"), Decimal("1E+3"), Decimal("1E-9"), Decimal("120.50"), Decimal(0)]),
    st.decimals(min_value="-9e9", max_value="9e9", places=9, allow_nan=False, allow_infinity=False),
)  # fmt: skip
QUANTITIES = st.sampled_from([Decimal(text) for text in ("1", "100", "0.10", "2.5", "1E+2", "3E-9", "0.00000001")])
TIMES = ["2024-02-29T23:59:59.5Z", "2024-12-31T23:30:00Z", "2025-01-03T04:59:59.000000001Z", "2025-12-30T12:00:00Z"]
SOLD = "2025-12-31T00:00:01.25Z"


class RowByRow(RowMaker):
    """The maker of rows, for whom no row is plain."""

    @property
    def has_bare_rows(self) -> bool:
        """Return that every row has to be made by itself."""
        return False


@st.composite
def batches(draw: st.DrawFn, names: list[str]) -> list[list[Slice]]:
    """Return slices in batches of at least one."""
    made = [
        a_slice(
            disposal=draw(st.sampled_from(names)) + str(number),
            lot=draw(st.sampled_from(names)),
            account=draw(st.sampled_from(["kraken", "binance.sub1", "*"])),
            asset=draw(st.sampled_from(["BTC", "USDT"])),
            qty=draw(QUANTITIES),
            proceeds=draw(AMOUNTS),
            basis=draw(AMOUNTS),
            acquired=draw(st.sampled_from(TIMES)),
            sold=SOLD,
            why=draw(st.sampled_from(Why)),
            identified_ns=draw(st.sampled_from([0, ns("2025-01-02T03:04:05.6Z")])),
            seq=number,
        )
        for number in range(draw(st.integers(1, 6)))
    ]
    cut = draw(st.integers(0, len(made)))
    return [part for part in (made[:cut], made[cut:]) if part]


def any_names() -> st.SearchStrategy[list[list[Slice]]]:
    """Return batches without an odd name, and batches with one kind of them."""
    return st.one_of(batches(PLAIN), st.sampled_from(ODD).flatmap(lambda odd: batches([*PLAIN, odd])))


def forms(maker: RowMaker, parts: list[list[Slice]]) -> dict[str, bytes]:
    """Return the forms' files by name."""
    with TemporaryDirectory() as made, adding():
        folder = Folder(Path(made))
        files = FormFiles(folder, maker, form_dates(TIMEZONE))
        for part in parts:
            files.slices(columns_of(part, Terms(TIMEZONE).is_long))
        files.close()
        return {name: (Path(made) / name).read_bytes() for name in folder.digests()}


def maker(kind: type[RowMaker]) -> RowMaker:
    """Return a maker of a row per slice."""
    return kind(Terms(TIMEZONE).is_long, form_dates(TIMEZONE))


@given(any_names())
@settings(max_examples=80, deadline=None)
def test_rows_by_the_column_are_rows_one_by_one(parts: list[list[Slice]]) -> None:
    """Form, statements, summary and Schedule D have the same bytes, however their rows were made."""
    expected = forms(maker(RowByRow), parts)

    assert expected == forms(maker(RowMaker), parts)


@given(any_names())
@settings(max_examples=60, deadline=None)
def test_disposals_say_what_the_slices_are(parts: list[list[Slice]]) -> None:
    """Read back, the JSON and the CSV have every name, instant and digit of each slice, and the totals are their sums."""
    with TemporaryDirectory() as made, adding():
        folder = Folder(Path(made))
        disposals = Disposals(folder)
        for part in parts:
            disposals.slices(columns_of(part, Terms(TIMEZONE).is_long))
        folder.flush()
        told = [json.loads(line) for line in (Path(made) / "disposals.jsonl").read_text("utf-8").splitlines()]
        text = (Path(made) / "disposals.csv").read_text("utf-8")
        slices = [one for part in parts for one in part]

        expected = [spelled(one) for one in slices]
        assert expected == told
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        assert [["" if each is None else str(each) for each in row.values()] for row in expected] == rows
        assert sum(one.proceeds - one.basis for one in slices) == disposals.totals.gain


def spelled(one: Slice) -> dict[str, object]:
    """Return a slice as the exact disposals file has it, spelled the long way."""
    return {
        "disposal": one.disposal,
        "lot": one.lot,
        "asset": one.asset,
        "account": one.account,
        "qty": f"{one.qty:f}",
        "proceeds": f"{one.proceeds:f}",
        "basis": f"{one.basis:f}",
        "gain": f"{one.proceeds - one.basis:f}",
        "term": "L" if Terms(TIMEZONE).is_long(one.acquired_ns, one.sold_ns) else "S",
        "acquired": format_ts(one.acquired_ns),
        "sold": format_ts(one.sold_ns),
        "why": one.why.value,
        "method": one.method,
        "identified_at": format_ts(one.identified_ns) if one.identified_ns else None,
        "seq": one.seq,
    }


@given(st.integers(ns("2023-01-01"), ns("2025-12-31")), st.integers(-3, 3), st.integers(-(10**14), 10**14))
@example(ns("2023-03-01T23:59:59Z"), 0, 0)
@settings(max_examples=200, deadline=None)
def test_a_term_needs_no_day_when_it_is_surely_short(acquired_ns: int, days: int, shift_ns: int) -> None:
    """Around the anniversary and days before it, the shortcut says what the calendar says."""
    sold_ns = acquired_ns + (364 + days) * 86_400 * 10**9 + shift_ns

    expected = UTC_DAYS.of(sold_ns) >= first_long_day(UTC_DAYS.of(acquired_ns))
    assert expected == Terms("UTC").is_long(acquired_ns, sold_ns)
