"""Any CSV by a column map: columns, words, numbers, times of a zone, and what a map may not leave open."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import FillLine, OpeningLine, TransferLine
from arbot.tax.statements import generic
from arbot.tax.statements.common import Options

GERMAN_MAP = """
[file]
delimiter = ";"
decimal = ","
grouping = "."
skip_rows = 1
ignore = ["Kommentar"]

[time]
format = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"

[columns]
id = "Nr"
time = "Zeit"
side = "Art"
base = "Coin"
amount = "Menge"
price = "Kurs"
fee = "Entgelt"

[constants]
kind = "fill"
account = "bison"
quote = "EUR"

[values.side]
Kauf = "buy"
Verkauf = "sell"

[assets]
XBT = "BTC"
"""
GERMAN_HEADER = "Auszug 2025\nNr;Zeit;Art;Coin;Menge;Kurs;Entgelt;Kommentar"
PRICES = "time,asset,price,source\n2025-03-29T12:00:00Z,EUR,1.08,ecb\n2025-10-25T12:00:00Z,EUR,1.16,ecb\n"

WALLET_MAP = """
[time]
zone = "UTC"

[columns]
id = "Ref"
time = "Date"
kind = "What"
account = "Where"
asset = "Coin"
amount = "Amount"
fee = "Fee"
txid = "Hash"
why = "Why"
basis = "Cost"
acquired = "Bought"
usd_price = "USD"
note = "Note"
side = "Side"
symbol = "Pair"
cost = "Total"

[values.kind]
in = "deposit"
out = "withdrawal"
pay = "spend"
got = "income"
start = "opening"
trade = "fill"
"""
WALLET_HEADER = "Ref,Date,What,Where,Coin,Amount,Fee,Hash,Why,Cost,Bought,USD,Note,Side,Pair,Total"


@pytest.fixture
def statement(tmp_path):
    """Read a text by a map."""

    def of(map_text, text, **options):
        path, map_path, prices_path = (tmp_path / name for name in ("file.csv", "map.toml", "prices.csv"))
        path.write_text(text + "\n")
        map_path.write_text(map_text)
        prices_path.write_text(PRICES)
        return generic.read(path, Options(map_path=map_path, prices_path=prices_path, **options))

    return of


def german(*rows):
    return "\n".join((GERMAN_HEADER, *rows))


def wallet(*rows):
    return "\n".join((WALLET_HEADER, *(row + "," * (15 - row.count(",")) for row in rows)))


def test_german_file_is_read(statement):
    """Decimal comma, grouping, other words, a constant quote and local time give a gross fill at its instant."""
    found = statement(GERMAN_MAP, german("1;30.03.2025 12:00:00;Kauf;XBT;0,05;80.000,50;4,00;ok"))
    assert (found.mistakes, found.open_items) == ([], [])
    (fill,) = found.lines
    assert isinstance(fill, FillLine)
    assert (fill.id, fill.venue, fill.symbol, fill.side) == ("bison:1", "bison", "BTC/EUR", "buy")
    assert (fill.amount, fill.price, fill.cost) == (Decimal("0.05"), Decimal("80000.50"), Decimal("4000.025"))
    assert (fill.fee, fill.fee_ccy, fill.ts) == (Decimal(4), "EUR", "2025-03-30T10:00:00Z")
    assert fill.px["EUR"] == Decimal("1.08")
    assert found.rows == {"bison:1": (3,)}


def test_daylight_saving_is_kept(statement):
    """The hour before and after the clock was put forward are one hour apart in UTC."""
    rows = ("1;30.03.2025 01:59:59;Kauf;XBT;1;80.000;0;", "2;30.03.2025 03:00:00;Kauf;XBT;1;80.000;0;")
    assert [line.ts for line in statement(GERMAN_MAP, german(*rows)).lines] == [
        "2025-03-30T00:59:59Z", "2025-03-30T01:00:00Z",
    ]  # fmt: skip


def test_time_that_never_was_is_refused(statement):
    """A local time in the hour that was left out names its row."""
    (mistake,) = statement(GERMAN_MAP, german("1;30.03.2025 02:30:00;Kauf;XBT;1;80.000;0;")).mistakes
    assert mistake.where == "file.csv row 3"
    assert "does not exist in Europe/Berlin" in mistake.what


@pytest.mark.parametrize(("fold", "ts"), [("earlier", "2025-10-26T00:30:00Z"), ("later", "2025-10-26T01:30:00Z")])
def test_time_that_was_twice_is_refused_unless_the_map_says_which(statement, fold, ts):
    """When clocks are put back a local time is two instants: nobody guesses."""
    text = german("1;26.10.2025 02:30:00;Kauf;XBT;1;80.000;0;")
    (mistake,) = statement(GERMAN_MAP, text).mistakes
    assert "exists twice in Europe/Berlin" in mistake.what
    (line,) = statement(GERMAN_MAP.replace("[time]", f'[time]\nfold = "{fold}"'), text).lines
    assert line.ts == ts


ISO_MAP = WALLET_MAP.replace('zone = "UTC"', 'zone = ""')


@pytest.mark.parametrize(
    ("times", "is_mixed"),
    [
        (("2025-01-01T10:00:00Z", "2025-01-01T11:00:00Z"), False),
        (("2025-01-01T10:00:00+01:00", "2025-01-01T11:00:00+01:00"), False),
        (("2025-01-01T10:00:00Z", "2025-01-01T11:00:00+01:00"), True),
    ],
)
def test_several_zones_in_one_file_are_refused_with_rows(statement, times, is_mixed):
    """All times of a file have one zone; else a row of each is named."""
    rows = [f"{number},{text},in,bank,USD,5" for number, text in enumerate(times)]
    mistakes = statement(ISO_MAP, wallet(*rows)).mistakes
    assert [mistake.where for mistake in mistakes] == (["file.csv rows 2, 3"] if is_mixed else [])


def test_offsets_of_the_zone_of_the_map_go_together(statement):
    """Summer and winter offsets are one zone when the map names it; a foreign offset is refused."""
    berlin = WALLET_MAP.replace("UTC", "Europe/Berlin")
    rows = ("1,2025-01-01T10:00:00+01:00,in,bank,USD,5", "2,2025-07-01T10:00:00+02:00,in,bank,USD,5")
    found = statement(berlin, wallet(*rows))
    assert found.mistakes == []
    assert [line.ts for line in found.lines] == ["2025-01-01T09:00:00Z", "2025-07-01T08:00:00Z"]
    (mistake,) = statement(berlin, wallet("1,2025-07-01T10:00:00+01:00,in,bank,USD,5")).mistakes
    assert "is not in the zone of the file" in mistake.what


def test_unix_times_are_read(statement):
    """Seconds and milliseconds since 1970 are instants."""
    seconds = WALLET_MAP.replace("[time]", '[time]\nformat = "unix_s"')
    (line,) = statement(seconds, wallet("1,1735689600.25,in,bank,USD,5")).lines
    assert line.ts == "2025-01-01T00:00:00.25Z"
    millis = WALLET_MAP.replace("[time]", '[time]\nformat = "unix_ms"')
    (line,) = statement(millis, wallet("1,1735689600250,in,bank,USD,5")).lines
    assert line.ts == "2025-01-01T00:00:00.25Z"


def test_every_kind_is_read(statement):
    """Openings, fills by total, income, spends, and moves that one transaction id ties together."""
    found = statement(
        WALLET_MAP,
        wallet(
            "o1,2025-01-01T00:00:00Z,start,cold,BTC,0.5,,,,21000,2023-06-15T12:00:00Z",
            "t1,2025-01-02T00:00:00Z,trade,hot,,0.1,1,,,,,,,sell,BTC-USD,9500",
            "i1,2025-01-03T00:00:00Z,got,hot,SOL,2,,,reward,,,200",
            "s1,2025-01-04T00:00:00Z,pay,hot,SOL,1,,,payment,,,210",
            "x1,2025-01-05T00:00:00Z,out,hot,SOL,0.9,0.1,0xab,,,,220",
            "x2,2025-01-05T00:10:00Z,in,cold,SOL,0.9,,0xab,,,,221",
        ),
    )
    assert found.mistakes == []
    opening, fill, income, spend, transfer = found.lines
    assert isinstance(opening, OpeningLine)
    assert (opening.id, opening.basis, opening.acquired) == ("cold:o1", Decimal(21000), "2023-06-15T12:00:00Z")
    assert (fill.symbol, fill.cost, fill.price, fill.fee, fill.fee_ccy) == (
        "BTC/USD", Decimal(9500), Decimal(95000), Decimal(1), "USD",
    )  # fmt: skip
    assert (income.why, income.px, spend.why) == ("reward", {"SOL": Decimal(200)}, "payment")
    assert isinstance(transfer, TransferLine)
    assert (transfer.id, transfer.src, transfer.dst) == ("hot:withdrawal:x1", "hot", "cold")
    assert (transfer.sent, transfer.received, transfer.fee, transfer.txid) == (
        Decimal("1.0"), Decimal("0.9"), Decimal("0.1"), "0xab",
    )  # fmt: skip
    assert (transfer.ts, transfer.ts_in) == ("2025-01-05T00:00:00Z", "2025-01-05T00:10:00Z")
    assert [item.code for item in found.open_items] == [
        "missing_price"
    ]  # of the transfer: a row's own price is not taken


def test_equal_amounts_are_not_matched(statement):
    """The same coins out and in at nearly the same time stay two open items without a common transaction id."""
    found = statement(
        WALLET_MAP,
        wallet("x1,2025-01-05T00:00:00Z,out,hot,SOL,1", "x2,2025-01-05T00:00:10Z,in,cold,SOL,1"),
    )
    assert [item.code for item in found.open_items] == ["unmatched_transfer", "unmatched_transfer"]
    assert found.lines == []


REFUSED = [
    ("kind", "1,2025-01-01T00:00:00Z,lent,hot,SOL,1", "kind 'lent' is not in [values.kind]"),
    ("why", "1,2025-01-01T00:00:00Z,got,hot,SOL,1,,,luck", "why 'luck' is none of"),
    ("missing", "1,2025-01-01T00:00:00Z,start,hot,SOL,1", "opening needs basis, acquired"),
    ("negative", "1,2025-01-01T00:00:00Z,in,hot,SOL,-1", "amount -1 is negative"),
    ("account", "1,2025-01-01T00:00:00Z,in,my hot,SOL,1", "is no account name"),
    ("asset", "1,2025-01-01T00:00:00Z,in,hot,sol,1", "'sol' is no asset"),
    ("time", "1,yesterday,in,hot,SOL,1", "time 'yesterday' is not like"),
    ("no id", ",2025-01-01T00:00:00Z,in,hot,SOL,1", "the id is empty"),
    ("side", "1,2025-01-01T00:00:00Z,trade,hot,,1,,,,,,,,long,BTC-USD,1", "side 'long' is neither"),
    ("symbol", "1,2025-01-01T00:00:00Z,trade,hot,,1,,,,,,,,buy,BTCUSD,1", "does not say where base ends"),
    ("no cost", "1,2025-01-01T00:00:00Z,trade,hot,,1,,,,,,,,buy,BTC-USD,", "a price or a cost, above zero"),
    ("later", "1,2025-01-01T00:00:00Z,start,hot,SOL,1,,,,5,2025-01-02T00:00:00Z", "acquired is after"),
]


@pytest.mark.parametrize(("row", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_row_that_is_not_understood_stops_the_file(statement, row, said):
    """Each refusal names file, row and content."""
    (mistake,) = statement(WALLET_MAP, wallet(row)).mistakes
    assert mistake.where == "file.csv row 2"
    assert said in mistake.what


def test_more_received_than_sent_is_refused(statement):
    """One transaction cannot bring more than it took: both rows are named."""
    rows = ("x1,2025-01-05T00:00:00Z,out,hot,SOL,1,,0xab", "x2,2025-01-05T00:10:00Z,in,cold,SOL,1.1,,0xab")
    (mistake,) = statement(WALLET_MAP, wallet(*rows)).mistakes
    assert mistake.where == "file.csv rows 2, 3"


MAPS = [
    ("field", WALLET_MAP.replace("[values.kind]", '[values.mood]\nx = "y"\n[values.kind]'), "'mood' is no field"),
    ("no id", WALLET_MAP.replace('id = "Ref"', ""), "id has no column"),
    ("no account", WALLET_MAP.replace('account = "Where"', ""), "account has no column"),
    ("zone", WALLET_MAP.replace("UTC", "Mars/Base"), "no zone is called 'Mars/Base'"),
    ("section", WALLET_MAP + "[moods]\n", "unknown section moods"),
    ("toml", WALLET_MAP + "= 5\n", "is not TOML"),
    ("word", WALLET_MAP.replace("[time]", '[time]\ncolour = "red"'), "unknown field `colour`"),
    ("signs", WALLET_MAP + '[file]\ngrouping = "."\n', "decimal and grouping are the same sign"),
    ("twice", WALLET_MAP + '[constants]\nwhy = "fee"\n', "why has a column as well"),
    ("unexplained", WALLET_MAP.replace('note = "Note"', ""), "column 'note' is not explained"),
    ("not there", WALLET_MAP.replace('"Ref"', '"Number"'), "column 'number' of the map is not in the file"),
]


@pytest.mark.parametrize(("map_text", "said"), [case[1:] for case in MAPS], ids=[case[0] for case in MAPS])
def test_map_that_leaves_something_open_is_refused(statement, map_text, said):
    """A map is checked against itself and against the header before a row is read."""
    with pytest.raises(UserError) as refused:
        statement(map_text, wallet())
    assert said in str(refused.value)


def test_options_replace_zone_and_account(statement):
    """--timezone and --account stand above the map."""
    text = german("1;30.03.2025 12:00:00;Kauf;XBT;1;1;0;")
    (line,) = statement(GERMAN_MAP, text, timezone="America/New_York", account="other").lines
    assert (line.ts, line.venue) == ("2025-03-30T16:00:00Z", "other")
