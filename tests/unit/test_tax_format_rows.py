"""Headers byte for byte, fee conventions, notation, and that nothing is lost in silence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.domain.history import Placed
from arbot.tax.formats.entries import entries
from arbot.tax.formats.losses import WORDS, Losses
from arbot.tax.formats.table_writer import rows, write_table
from arbot.tax.formats.tables import FORMATS, TABLES
from tests.support.tax_formats import placed, shown, table_rows

HEADERS = {
    "turbotax-transactions": "Date,Type,Sent Asset,Sent Amount,Received Asset,Received Amount,Fee Asset,Fee Amount,Market Value Currency,Market Value,Description,Transaction Hash,Transaction ID",
    "koinly": "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,Net Worth Amount,Net Worth Currency,Label,Description,TxHash",
    "cointracker": "Date,Received Quantity,Received Currency,Sent Quantity,Sent Currency,Fee Amount,Fee Currency,Tag",
    "coinledger": "Date (UTC),Platform (Optional),Asset Sent,Amount Sent,Asset Received,Amount Received,Fee Currency (Optional),Fee Amount (Optional),Type,Description (Optional),TxHash (Optional)",
    "taxbit": "Date and Time,Transaction Type,Sent Quantity,Sent Currency,Sending Source,Received Quantity,Received Currency,Receiving Destination,Fee,Fee Currency,Exchange Transaction ID,Blockchain Transaction Hash",
    "cointracking": '"Type","Buy Amount","Buy Currency","Sell Amount","Sell Currency","Fee","Fee Currency","Exchange","Trade-Group","Comment","Date"',
    "tokentax": "Type,BuyAmount,BuyCurrency,SellAmount,SellCurrency,FeeAmount,FeeCurrency,Exchange,Group,Comment,Date",
    "blockpit": "Date (UTC),Integration Name,Label,Outgoing Asset,Outgoing Amount,Incoming Asset,Incoming Amount,Fee Asset (optional),Fee Amount (optional),Comment (optional),Trx. ID (optional),Source Type,Source Name",
    "bittytax": "Type,Buy Quantity,Buy Asset,Buy Value in GBP,Sell Quantity,Sell Asset,Sell Value in GBP,Fee Quantity,Fee Asset,Fee Value in GBP,Wallet,Timestamp,Note",
    "rotki-trades": "Location,Spend Currency,Receive Currency,Receive Amount,Spend Amount,Fee,Fee Currency,Description,Timestamp",
    "rotki-events": "Type,Location,Currency,Amount,Fee,Fee Currency,Description,Timestamp",
}
"""What the programs compare, copied from their templates and not from the code."""

AMOUNTS = {
    "turbotax-transactions": ("Sent Amount", "Received Amount", "Fee Amount"),
    "koinly": ("Sent Amount", "Received Amount", "Fee Amount"),
    "cointracker": ("Sent Quantity", "Received Quantity", "Fee Amount"),
    "coinledger": ("Amount Sent", "Amount Received", "Fee Amount (Optional)"),
    "taxbit": ("Sent Quantity", "Received Quantity", "Fee"),
    "cointracking": ("Sell Amount", "Buy Amount", "Fee"),
    "tokentax": ("SellAmount", "BuyAmount", "FeeAmount"),
    "blockpit": ("Outgoing Amount", "Incoming Amount", "Fee Amount (optional)"),
    "bittytax": ("Sell Quantity", "Buy Quantity", "Fee Quantity"),
    "rotki-trades": ("Spend Amount", "Receive Amount", "Fee"),
}
"""The columns of what went, what came and the fee."""

# sent, received, fee of F1 to F13 (facts of the fee cases), gross, the fee on top
GROSS = {
    "f01": ("6000", "2", "9"),
    "f02": ("2", "7000", "10"),
    "f03": ("0.1", "2", "6"),
    "f04": ("6400", "2", "0.002"),
    "f05": ("2", "6400", "0.002"),
    "f06": ("1", "3200", "0.004"),
    "f08": ("3200", "1", "0.004"),
    "f09": ("1", "3200", "0.004"),
    "f10": ("1", "3200", "0.001"),
    "f11": ("3200", "1", "0.001"),
    "f13": ("1", "3200", ""),
}
# ... and with the fee in the amount that it is charged in, as CoinLedger has it
INCLUDED = GROSS | {"f01": ("6009", "2", "9"), "f05": ("2.002", "6400", "0.002"), "f10": ("1.001", "3200", "0.001")}


@pytest.mark.parametrize("name", list(HEADERS))
def test_headers_are_those_of_the_templates(name: str, tmp_path: Path) -> None:
    """Begin each file with the vendor's header, byte for byte, and a line feed."""
    out = tmp_path / "out.csv"

    write_table(TABLES[name], [], out, Losses())

    assert f"{HEADERS[name]}\n".encode() == out.read_bytes()


def test_every_table_has_a_header_to_compare() -> None:
    """Leave no format out of these tests."""
    assert list(TABLES) == list(HEADERS)
    assert set(TABLES) <= set(FORMATS)


@pytest.mark.parametrize("name", list(AMOUNTS))
def test_fees_follow_the_convention_of_the_program(name: str) -> None:
    """Write F1 to F13 gross with the fee on top; only CoinLedger's amounts include it."""
    expected = INCLUDED if name == "coinledger" else GROSS
    made = {}
    for entry, row in rows(TABLES[name], shown(), Losses()):
        columns = dict(zip(HEADERS[name].replace('"', "").split(","), row, strict=True))
        if entry.id in expected:
            made[entry.id] = tuple(columns[column] for column in AMOUNTS[name])

    assert expected == made


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("turbotax-transactions", "Date", "02/29/2024 23:59:59"),
        ("koinly", "Date", "2024-02-29 23:59:59 UTC"),
        ("cointracker", "Date", "02/29/2024 23:59:59"),
        ("coinledger", "Date (UTC)", "02/29/2024 23:59:59"),
        ("taxbit", "Date and Time", "2024-02-29T23:59:59.5Z"),
        ("cointracking", "Date", "29.02.2024 23:59:59"),
        ("tokentax", "Date", "02/29/2024 23:59"),
        ("blockpit", "Date (UTC)", "2024-02-29 23:59:59"),
        ("bittytax", "Timestamp", "2024-02-29 23:59:59.500000 UTC"),
        ("rotki-trades", "Timestamp", "1709251199500"),
    ],
)
def test_times_are_written_as_the_program_reads_them(name: str, column: str, expected: str) -> None:
    """Write half a second before the end of 29 February in each program's notation, cut and never rounded up."""
    line = [one for one in shown() if one.line.id == "l2"]

    assert expected == table_rows(name, line)[-1][column]


@pytest.mark.parametrize("name", [name for name in AMOUNTS if name != "turbotax-transactions"])
def test_18_decimals_survive(name: str) -> None:
    """Write the smallest unit of ether and its price in full, without exponent."""
    line = [one for one in shown() if one.line.id == "f14"]
    sent, received, _ = AMOUNTS[name]

    (row,) = table_rows(name, line)

    assert ("0.0000000000000032", "0.000000000000000001") == (row[sent], row[received])


def test_turbotax_tells_of_the_digits_it_does_not_take() -> None:
    """Round to 8 decimals half even and count every amount that lost digits."""
    losses = Losses()
    lines = [one for one in shown() if one.line.id in {"f13", "f14"}]

    made = [row for _, row in rows(TABLES["turbotax-transactions"], lines, losses)]

    assert ["1", "0.32", "0"] == [row[3] or row[5] for row in made]
    assert [("rebate_row", 1, ["f13"]), ("digits", 2, ["f14", "f14"])] == [
        (one.code, one.count, one.first) for one in losses.told()
    ]


@pytest.mark.parametrize("name", list(TABLES))
def test_no_amount_is_negative(name: str) -> None:
    """Write rebates and payments as positive amounts on their side: programs reject a minus sign."""
    cells = [cell for row in table_rows(name, shown()) for cell in row.values()]

    assert [] == [cell for cell in cells if cell.startswith("-")]


@pytest.mark.parametrize("name", [name for name in TABLES if not name.startswith("rotki")])
def test_balances_can_be_added_up_from_the_rows(name: str) -> None:
    """Give each program what adds up to our own balances of every asset, sides and fees together."""
    made: dict[str, Decimal] = {}
    for entry, _ in rows(TABLES[name], shown(), Losses()):
        for asset, change in (
            (entry.received_asset, entry.received),
            (entry.sent_asset, -entry.sent),
            (entry.fee_asset, -entry.fee),
        ):
            if asset:
                made[asset] = made.get(asset, Decimal(0)) + change

    assert {
        "USD": Decimal("110444.5"),
        "EUR": Decimal("0.05"),
        "BTC": Decimal(0),
        "BNB": Decimal("10.187"),
        "USDT": Decimal("26297.5699999999999968"),  # 100 more are on their way
        "ETH": Decimal("9.994200000000000001"),
        "1INCH": Decimal(7),
    } == made


def test_rotki_has_every_entry_in_one_of_its_files() -> None:
    """Write each entry either as a trade or as an event, and count in each file what is in the other."""
    history = [entry for one in shown() for entry in entries(one.line, Losses())]
    trades, events = (
        [entry.id for entry, _ in rows(TABLES[name], shown(), Losses())] for name in ("rotki-trades", "rotki-events")
    )

    assert len(history) == len(trades) + len(events)


def test_a_transfer_in_flight_has_only_its_leaving_side() -> None:
    """Write no arrival that has not happened, and tell of it."""
    losses = Losses()
    lines = [one for one in shown() if one.line.id == "x3"]

    made = [entry.event.value for entry, _ in rows(TABLES["koinly"], lines, losses)]

    assert ["move_out"] == made
    assert ["in_flight"] == [one.code for one in losses.told()]


def test_a_format_without_accounts_gets_a_file_for_each(tmp_path: Path) -> None:
    """Write one file per account into a folder, and say so when they are mixed in one file."""
    apart, mixed = Losses(), Losses()

    files = write_table(TABLES["koinly"], shown(), tmp_path / "made", apart)
    write_table(TABLES["koinly"], shown(), tmp_path / "one.csv", mixed)

    assert [
        ("koinly-binance.csv", 30),
        ("koinly-binance.sub1.csv", 1),
        ("koinly-kraken.csv", 9),
        ("koinly-wallet.cold.csv", 1),
    ] == [(one.path.name, one.rows) for one in files]
    assert "accounts_mixed" not in [one.code for one in apart.told()]
    assert "accounts_mixed" in [one.code for one in mixed.told()]


def test_a_year_leaves_nothing_out_in_silence(tmp_path: Path) -> None:
    """Write only the entries of a year, opening lots in the year they were entered, and count the others."""
    losses = Losses()
    text = '{"kind": "deposit", "id": "late", "ts": "2026-01-01T00:00:00Z", "venue": "kraken", "asset": "USD", "amount": "1"}'

    (file,) = write_table(TABLES["coinledger"], [*shown(), *placed([text])], tmp_path / "out.csv", losses, year=2025)

    assert len(table_rows("coinledger", shown())) == file.rows
    assert [("other_year", 1, ["late"])] == [
        (one.code, one.count, one.first) for one in losses.told() if one.code == "other_year"
    ]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Leave what was there when the lines break off in the middle."""
    out = tmp_path / "out.csv"
    out.write_text("before")
    good = shown()[0]
    bad = good._replace(line=msgspec.structs.replace(good.line, amount="no number"))  # type: ignore[type-var]

    with pytest.raises(TypeError):
        write_table(TABLES["coinledger"], [good, Placed(*bad)], out, Losses())

    assert ["before"] == [path.read_text() for path in tmp_path.iterdir()]


def test_every_loss_has_words() -> None:
    """Refuse to count what could not be explained."""
    with pytest.raises(KeyError):
        Losses().note("unheard_of", "x")
    assert all(text and text == text.strip() for text in WORDS.values())
