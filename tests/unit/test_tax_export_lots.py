"""Exports made of lots: what beancount, RP2 and TurboTax are told, names in text ledgers, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import LotMethod, Placed, parse_ts
from arbot.ledger.lots.policy import LotPolicy, StandingOrder
from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.asked import parse_asked
from arbot.tax.bundle.report import Refused
from arbot.tax.formats.accounts import AccountNames, commodity
from arbot.tax.formats.exporting import Exported, Wanted, export
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.matched import Matching
from arbot.tax.formats.rp2 import IN, INTRA, OUT, Sheets
from arbot.tax.formats.spreadsheet import write_spreadsheet
from arbot.tax.formats.tables import FORMATS
from tests.support.tax_formats import placed, shown

DIFFERENCE = OpenItem(
    "unexplained_difference", "kraken", "the venue has 1 BTC more", "book it with arbot ledger adjust"
)
OPENING = '{"kind": "opening", "id": "l1", "ts": "2025-01-01T00:00:00Z", "venue": "kraken", "asset": "BTC", "amount": "3", "basis": "10", "acquired": "2023-12-31T23:30:00Z"}'
SPEND = '{"kind": "spend", "id": "s1", "ts": "2025-01-02T03:00:00Z", "venue": "kraken", "asset": "BTC", "amount": "1", "why": "payment", "px": {"BTC": "20.005"}}'


BOOKS = LotPolicy()


class Told:
    """A history that was told."""

    def __init__(self, lines: list[Placed], *, policy: LotPolicy = BOOKS, items: tuple[OpenItem, ...] = ()) -> None:
        self._lines, self._policy, self._items = lines, policy, items

    def lines(self) -> Iterator[Placed]:
        """Return them."""
        return iter(self._lines)

    def policy(self) -> LotPolicy:
        """Return it."""
        return self._policy

    booked_ns = parse_ts("2100-01-01T00:00:00Z")

    def open_items(self) -> tuple[OpenItem, ...]:
        """Return them."""
        return self._items


def made(history: Told, name: str, out: Path, *, year: int | None = None, **asked: object) -> Exported:
    """Make an export."""
    words = {"country": "us", "year": year or 0, **asked}
    return export(history, Wanted(format=name, out=out, year=year, asked=parse_asked(**words)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    """Make the same files from the same history, whatever the format."""
    lines = [one for one in shown() if one.line.id not in {"l5", "f14"}]

    first = [path.path.read_bytes() for path in made(Told(lines), name, tmp_path / "one").files]
    again = [path.path.read_bytes() for path in made(Told(lines), name, tmp_path / "two").files]

    assert first
    assert first == again


def test_turbotax_gains_are_a_row_per_slice_in_local_days_and_cents(tmp_path: Path) -> None:
    """Write MM/DD/YYYY of the taxpayer's calendar, money half up, and the header of the vendor."""
    lines = placed([OPENING, SPEND])

    made(Told(lines), "turbotax", tmp_path / "gains.csv", year=2025, timezone="America/New_York")

    assert [
        "Currency Name,Purchase Date,Cost Basis,Date Sold,Proceeds",
        "BTC,12/31/2023,3.33,01/01/2025,20.01",
    ] == (tmp_path / "gains.csv").read_text().splitlines()


def test_turbotax_gains_of_another_year_are_not_in_the_file(tmp_path: Path) -> None:
    """Give a sale to the tax year of its local day: here it was still New Year's Eve."""
    lines = placed([OPENING, SPEND.replace("2025-01-02", "2026-01-01")])

    for year, expected in ((2024, 0), (2025, 1), (2026, 0)):
        (file,) = made(
            Told(lines),
            "turbotax",
            tmp_path / f"{year}.csv",
            year=year,
            timezone="America/Los_Angeles",
        ).files
        assert expected == file.rows


@pytest.mark.parametrize("name", ["turbotax", "beancount", "rp2"])
def test_lots_are_refused_while_something_is_open(name: str, tmp_path: Path) -> None:
    """Leave nothing on disk, name what is open, and go on once it was accepted by name."""
    lines = placed([OPENING, SPEND])
    history = Told(lines, items=(DIFFERENCE,))

    with pytest.raises(Refused) as refused:
        made(history, name, tmp_path / "out")

    assert (DIFFERENCE,) == refused.value.items
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]
    assert made(history, name, tmp_path / "out", accept=("unexplained_difference",)).files


@pytest.mark.parametrize("name", ["turbotax", "beancount", "rp2"])
def test_a_disposal_above_the_balance_is_refused(name: str, tmp_path: Path) -> None:
    """Assume no basis for units that no lot holds."""
    lines = placed([OPENING, SPEND.replace('"amount": "1"', '"amount": "4"')])

    with pytest.raises(Refused) as refused:
        made(Told(lines), name, tmp_path / "out")

    assert ["no_basis"] == [item.code for item in refused.value.items]
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_history_formats_are_made_and_tell_what_is_open(tmp_path: Path) -> None:
    """Write the history as it is, since nothing is filed from it, and hand on what is open."""
    done = made(Told(placed([OPENING]), items=(DIFFERENCE,)), "koinly", tmp_path / "koinly.csv")

    assert [DIFFERENCE] == done.open_items
    assert (tmp_path / "koinly.csv").exists()


def test_another_order_than_the_books_hold_is_a_what_if(tmp_path: Path) -> None:
    """Warn when a method is asked for that is not the recorded one."""
    books = LotPolicy(orders=(StandingOrder(method=LotMethod.HIFO, recorded_ns=1),))
    lines = placed([OPENING, SPEND])

    plain, asked = (
        made(Told(lines, policy=books), "turbotax", tmp_path / "out.csv", method=method).warnings
        for method in (None, "lifo")
    )

    assert not plain
    assert "what-if" in asked[0]


@pytest.mark.parametrize(
    ("name", "year", "asked", "expected"),
    [
        ("koinli", None, {}, ["--format"]),
        ("beancount", 2025, {"country": "uk", "pool": "universal"}, ["--country", "--year", "--pool"]),
        ("hledger", 2025, {}, ["--year"]),
        ("rp2", 2025, {"country": "de"}, ["--country", "--year"]),
        ("turbotax", 2025, {"country": "ca"}, ["--country"]),
    ],
)
def test_what_does_not_go_together_is_told_at_once(
    name: str, year: int | None, asked: dict[str, object], expected: list[str], tmp_path: Path
) -> None:
    """Name every option that does not fit the format, with what to write instead."""
    with pytest.raises(UserError) as error:
        made(Told([]), name, tmp_path / "out", year=year, **asked)

    assert expected == [mistake.where for mistake in error.value.mistakes]


def test_accounts_of_text_ledgers_never_share_a_name() -> None:
    """Give two accounts whose names become one a number, in the order in which they are met."""
    names = AccountNames()

    assert [
        "Assets:Exchange:Binance:BTC",
        "Assets:Exchange:Binance:Sub1:BTC",
        "Assets:Wallet:Cold:1INCH",
        "Assets:InTransit:USDT",
        "Assets:Exchange:A-b:BTC",
        "Assets:Exchange:A-b-2:BTC",
        "Assets:Exchange:A-b:BTC",
    ] == [
        names.of(account, asset)
        for account, asset in (
            ("binance", "BTC"),
            ("binance.sub1", "BTC"),
            ("wallet.cold", "1INCH"),
            ("in-transit", "USDT"),
            ("a_b", "BTC"),
            ("a-b", "BTC"),
            ("a_b", "BTC"),
        )
    ]
    assert ["BTC", "X-1INCH"] == [commodity("BTC"), commodity("1INCH")]


def test_rp2_is_fed_legs_with_their_fees_allocated() -> None:
    """Net what was withheld, give proceeds less the fee, and leave the fee of a transfer to the difference."""
    sheets = Sheets(Losses())
    lines = [one for one in shown() if one.line.id in {"l3", "l2", "l4", "f04", "f06", "f12"}]

    sheets.add(Matching(LotPolicy(), "UTC").each(lines))
    tables = {asset: list(rows) for asset, rows in sheets.tables()}

    eth = {row[-1]: row for row in tables["ETH"] if len(row) == len(IN) and row[0] != "timestamp"}
    assert (Decimal("1.998"), Decimal("6393.6")) == eth["f04"][6:8]
    assert (Decimal(1), Decimal(0), Decimal("3197.6")) == eth["f06"][6:9]
    assert ("binance", "owner", "binance.sub1", "owner", Decimal(3200), Decimal(1), Decimal("0.999")) == eth["f12"][2:9]
    assert [("IN",), IN, ("OUT",), OUT, ("INTRA",), INTRA] == [
        row for row in tables["ETH"] if row and (len(row) == 1 or row[0] == "timestamp") and row != ("TABLE END",)
    ]
    usdt = {row[-1]: row for row in tables["USDT"] if len(row) == len(OUT)}
    assert Decimal("6393.6") == usdt["f04"][8]
    assert "exchanges = binance, binance.sub1\n" in sheets.ini()


def test_a_spreadsheet_holds_what_was_written() -> None:
    """Write numbers as they are, text escaped, rows padded, and a mimetype first and uncompressed."""
    file = io.BytesIO()

    write_spreadsheet(file, [("A&B", [("x<y\x00", Decimal("1E-7"), None), ()])], 3)

    with ZipFile(file) as archive:
        assert ["mimetype", "META-INF/manifest.xml", "content.xml"] == archive.namelist()
        content = archive.read("content.xml").decode()
    assert '<table:table table:name="A&amp;B">' in content
    assert "<text:p>x&lt;y?</text:p>" in content
    assert 'office:value="0.0000001"' in content
    assert 6 == content.count("<table:table-cell")


def test_an_allocated_lot_is_exported_with_its_basis(tmp_path: Path) -> None:
    """Take a lot of a safe-harbour allocation as any other opening lot, and sell out of it."""
    lines = placed([OPENING.replace('"acquired"', '"allocation": "specific", "acquired"'), SPEND])

    made(Told(lines), "beancount", tmp_path / "out.beancount")

    text = (tmp_path / "out.beancount").read_text()
    assert 'Assets:Exchange:Kraken:BTC  3 BTC {{10 USD, 2023-12-31, "l1"}}' in text
    assert 'Assets:Exchange:Kraken:BTC  -1 BTC {"l1"}' in text
    assert "Income:Gain:Long:BTC" in text
