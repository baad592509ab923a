"""Coinbase's fills export: both column sets, both signs, and every refusal with its row."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.tax.statements import coinbase
from arbot.tax.statements.common import Options

HEADER = "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit"
BUY = "default,381617,XLM-USD,BUY,2019-06-26T09:43:18.503Z,1782.00000000,XLM,0.112815,0.301554495,-201.337884495,USD"
SELL = "default,7d2b-f00d,BTC-USD,SELL,2025-11-25T11:29:22.362Z,0.5,BTC,60000.00,60.00,29940.00,USD"


@pytest.fixture
def statement(tmp_path):
    """Read rows under the newest header, with a map and prices when given."""

    def of(*rows, header=HEADER, map_text="", prices="time,asset,price,source\n"):
        path, map_path, prices_path = (tmp_path / name for name in ("fills.csv", "map.toml", "prices.csv"))
        path.write_text("\n".join((header, *rows)) + "\n")
        map_path.write_text(map_text)
        prices_path.write_text(prices)
        return coinbase.read(path, Options(map_path=map_path if map_text else None, prices_path=prices_path))

    return of


def test_row_is_a_fill(statement):
    """Cost is the total without its fee, gross; the coin is priced by the trade; numbers as ids carry the product."""
    found = statement(SELL, BUY)
    assert (found.mistakes, found.open_items) == ([], [])
    buy, sell = found.lines
    assert (buy.id, buy.side, buy.cost, buy.fee) == (
        "coinbase:XLM-USD:381617", "buy", Decimal("201.036330000"), Decimal("0.301554495"),
    )  # fmt: skip
    assert (buy.ts, buy.px) == ("2019-06-26T09:43:18.503Z", {"XLM": Decimal("0.112815")})
    assert (sell.id, sell.side, sell.amount, sell.cost, sell.fee, sell.fee_ccy) == (
        "coinbase:7d2b-f00d", "sell", Decimal("0.5"), Decimal(30000), Decimal(60), "USD",
    )  # fmt: skip
    assert found.rows == {sell.id: (2,), buy.id: (3,)}
    assert found.ts_digits == 3


def test_export_without_portfolio_says_the_same(statement):
    """The older column set lacks the portfolio and nothing else."""
    assert statement(BUY).lines == statement(BUY.partition(",")[2], header=HEADER.partition(",")[2]).lines


def test_portfolio_has_an_account_of_its_own(statement):
    """Another portfolio than the main one is refused until the map names its account."""
    row = SELL.replace("default", "Arbitrage")
    (mistake,) = statement(row).mistakes
    assert "portfolio 'Arbitrage' has lots of its own" in mistake.what
    (line,) = statement(row, map_text='[accounts]\nArbitrage = "coinbase.arb"\n').lines
    assert (line.venue, line.id) == ("coinbase.arb", "coinbase.arb:7d2b-f00d")


def test_quote_that_is_no_dollar_needs_a_price(statement):
    """A fill against USDC is open without a price of USDC, and priced with one."""
    row = SELL.replace("BTC-USD", "BTC-USDC").removesuffix("USD") + "USDC"
    assert [item.code for item in statement(row).open_items] == ["missing_price"]
    found = statement(row, prices="time,asset,price,source\n2025-11-25T11:00:00Z,USDC,0.9998,book\n")
    assert found.open_items == []
    assert found.lines[0].px == {"USDC": Decimal("0.9998"), "BTC": Decimal(59988)}


REFUSED = [
    ("side", SELL.replace("SELL", "sell"), "side 'sell' is neither BUY nor SELL"),
    ("sign of a sale", SELL.replace("29940.00", "-29940.00"), "total -29940 has the wrong sign"),
    ("sign of a purchase", BUY.replace("-201", "201"), "has the wrong sign"),
    ("total", SELL.replace("29940.00", "29941.00"), "leave 30001, size x price is 30000"),
    ("unit of the size", SELL.replace(",BTC,", ",USD,"), "product BTC-USD is told in USD and USD"),
    ("unit of the total", SELL.removesuffix("USD") + "EUR", "product BTC-USD is told in BTC and EUR"),
    ("product", SELL.replace("BTC-USD", "BTCUSD"), "is no asset"),
    ("no id", SELL.replace("7d2b-f00d", ""), "trade id is empty"),
    ("time", SELL.replace("Z,0.5", ",0.5"), "not a UTC time"),
    ("size", SELL.replace(",0.5,", ",0,"), "must be above zero"),
    ("exponent", SELL.replace(",0.5,", ",5E-1,"), "'5E-1' is not a plain number"),
]


@pytest.mark.parametrize(("row", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_row_that_is_not_understood_stops_the_file(statement, row, said):
    """Each refusal names file, row and content."""
    (mistake,) = statement(BUY, row).mistakes
    assert mistake.where == "fills.csv row 3"
    assert said in mistake.what


def test_trade_id_twice_is_refused_unless_the_row_is_the_same(statement):
    """A row twice is counted, a trade id with two contents names both rows."""
    assert statement(SELL, SELL).passed == {"the same row again": 1}
    (mistake,) = statement(SELL, SELL.replace("60.00,29940.00", "50.00,29950.00")).mistakes
    assert mistake.where == "fills.csv rows 2, 3"


def test_other_header_is_refused(statement):
    """A column nobody knows stops the file."""
    with pytest.raises(UserError, match="mood is not known"):
        statement(header=HEADER + ",mood")
