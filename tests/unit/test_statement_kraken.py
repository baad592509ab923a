"""Kraken's ledgers export: every sort of row, every vintage, and every refusal with its row and remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import DepositLine, FillLine, IncomeLine, OpeningLine, SpendLine, TransferLine, WithdrawalLine
from arbot.tax.statements import kraken
from arbot.tax.statements.common import Options
from arbot.tax.statements.gaps import check_balances
from arbot.tax.statements.kraken_rows import COLUMN_SETS, MEANINGS, Effect
from arbot.venues.kraken.assets import SUFFIXES_ELSEWHERE
from tests.support.kraken_statement import NEWEST, kraken_text

HEADER = "txid,refid,time,type,subtype,aclass,subclass,asset,wallet,amount,fee,balance"
PRICES = (
    "time,asset,price,source\n"
    "2025-01-01T00:00:00Z,EUR,1.04,ecb\n"
    "2025-01-01T00:00:00Z,USDT,1.001,book\n"
    "2025-01-01T00:00:00Z,ETH,3400,book\n"
    "2025-01-01T00:00:00Z,BTC,94000,book\n"
    "2025-01-01T00:00:00Z,DOT,7,book\n"
    "2025-01-01T00:00:00Z,KFEE,0.01,book\n"
)


def a_row(txid="L1", refid="R1", kind="trade", asset="ZUSD", amount="-100.0000", fee="0", **more):
    cells = {
        "time": "2025-01-01 10:00:00",
        "subtype": "",
        "aclass": "currency",
        "subclass": "",
        "wallet": "spot / main",
    }
    cells |= {"txid": txid, "refid": refid, "type": kind, "asset": asset, "amount": amount, "fee": fee, "balance": "0"}
    cells |= more
    return ",".join(cells[name] for name in HEADER.split(","))


@pytest.fixture
def statement(tmp_path):
    """Read rows under the newest common header, with prices and a map when given."""

    def of(*rows, prices=PRICES, map_text="", header=HEADER):
        path = tmp_path / "ledgers.csv"
        path.write_text("\n".join((header, *rows)) + "\n")
        prices_path, map_path = tmp_path / "prices.csv", tmp_path / "map.toml"
        prices_path.write_text(prices)
        map_path.write_text(map_text)
        return kraken.read(path, Options(map_path=map_path if map_text else None, prices_path=prices_path))

    return of


def no_trouble(found):
    assert found.mistakes == []
    assert found.open_items == []
    return found.lines


def test_trade_for_dollars_prices_itself(statement):
    """Two rows of one refid are one fill, gross, with the fee in its asset and the price of the coin from the trade."""
    (fill,) = no_trouble(
        statement(a_row("L1", "T1", fee="0.2600"), a_row("L2", "T1", asset="XXBT", amount="0.0010000000"))
    )
    assert isinstance(fill, FillLine)
    assert (fill.id, fill.symbol, fill.side, fill.order_id) == ("kraken:T1", "BTC/USD", "buy", "")
    assert (fill.amount, fill.cost, fill.price) == (Decimal("0.001"), Decimal(100), Decimal(100000))
    assert (fill.fee, fill.fee_ccy) == (Decimal("0.26"), "USD")
    assert (fill.px, fill.px_src) == ({"BTC": Decimal(100000)}, {"BTC": "trade"})
    assert fill.ts == "2025-01-01T10:00:00Z"


def test_quote_of_a_coin_trade_is_looked_up_and_the_base_follows(statement):
    """A sale of ETH for USDT takes the price of USDT from the file and that of ETH from the trade: one value for both."""
    (fill,) = no_trouble(
        statement(
            a_row("L1", "T1", asset="XETH", amount="-2"), a_row("L2", "T1", asset="USDT", amount="6800", fee="6.8")
        )
    )
    assert (fill.symbol, fill.side) == ("ETH/USDT", "sell")
    assert fill.px == {"USDT": Decimal("1.001"), "ETH": Decimal("3403.4")}
    assert fill.px_src["USDT"] == "book 2025-01-01T00:00:00Z"
    assert fill.cost * fill.px["USDT"] == fill.amount * fill.px["ETH"]


def test_rows_of_several_wallets_add_up(statement):
    """A sale filled from spot and earn is one fill of the sum (BittyTax pull request 499)."""
    (fill,) = no_trouble(
        statement(
            a_row("L1", "T1", asset="XETH", amount="-29.86"),
            a_row("L2", "T1", asset="XETH", amount="-1.55", wallet="earn / liquid"),
            a_row("L3", "T1", amount="100000"),
        )
    )
    assert (fill.side, fill.amount) == ("sell", Decimal("31.41"))


def test_fee_in_a_third_asset_is_the_fee_of_the_fill(statement):
    """A row without amount carries the fee; with two fee assets the second is a spend of its own."""
    rows = (a_row("L1", "T1"), a_row("L2", "T1", asset="XXBT", amount="0.001"))
    (fill,) = no_trouble(statement(*rows, a_row("L3", "T1", asset="KFEE", amount="0", fee="26")))
    assert (fill.fee, fill.fee_ccy, fill.px["KFEE"]) == (Decimal(26), "KFEE", Decimal("0.01"))
    charged = (a_row("L1", "T1", fee="0.1"), a_row("L2", "T1", asset="XXBT", amount="0.001", fee="0.000001"))
    fill, spend = no_trouble(statement(*charged))
    assert (fill.fee, fill.fee_ccy) == (Decimal("0.1"), "USD")
    assert isinstance(spend, SpendLine)
    assert (spend.id, spend.asset, spend.amount, spend.why) == ("kraken:T1:charge", "BTC", Decimal("0.000001"), "fee")


def test_instant_buy_is_a_trade(statement):
    """A spend and a receive of one refid are a trade."""
    (fill,) = no_trouble(
        statement(a_row("L1", "T1", "spend", fee="1.5"), a_row("L2", "T1", "receive", asset="XXBT", amount="0.001"))
    )
    assert (fill.symbol, fill.cost, fill.fee) == ("BTC/USD", Decimal(100), Decimal("1.5"))


def test_cash_comes_from_and_goes_to_the_bank(statement):
    """Cash is deposited and withdrawn; the venue's charge is a spend of its own."""
    lines = no_trouble(
        statement(
            a_row("L1", "Q1", "deposit", amount="500"),
            a_row("L2", "A1", "withdrawal", asset="ZEUR", amount="-200", fee="0.09", time="2025-01-01 11:00:00"),
        )
    )
    deposit, withdrawal, charge = lines
    assert isinstance(deposit, DepositLine)
    assert (deposit.id, deposit.asset, deposit.amount) == ("kraken:deposit:Q1", "USD", Decimal(500))
    assert isinstance(withdrawal, WithdrawalLine)
    assert (withdrawal.amount, withdrawal.px) == (Decimal(200), {"EUR": Decimal("1.04")})
    assert (charge.id, charge.amount) == ("kraken:withdrawal:A1:charge", Decimal("0.09"))


def test_announced_row_without_txid_has_no_effect(statement):
    """A deposit that is announced and then booked under the same refid counts once."""
    found = statement(
        a_row("", "Q1", "deposit", amount="500", balance=""),
        a_row("", "Q2", "deposit", amount="7", balance=""),
        a_row("L1", "Q1", "deposit", amount="500"),
    )
    assert [line.id for line in no_trouble(found)] == ["kraken:deposit:Q1"]
    assert found.passed == {"announced, booked by another row or not yet": 2}


def test_failed_withdrawal_that_comes_back_has_no_effect(statement):
    """A withdrawal and its exact return under one refid change nothing (BittyTax issue 287)."""
    found = statement(
        a_row("L1", "A1", "withdrawal", asset="XXBT", amount="-1", fee="0.0002"),
        a_row("L2", "A1", "withdrawal", asset="XXBT", amount="1", fee="-0.0002"),
    )
    assert no_trouble(found) == []
    assert found.passed == {"taken back by another row": 2}


@pytest.mark.parametrize(
    ("kind", "subtype", "why"),
    [(kind, subtype, meaning.why) for (kind, subtype), meaning in MEANINGS.items() if meaning.effect is Effect.INCOME],
)
def test_every_sort_of_income_is_income_of_what_was_credited(statement, kind, subtype, why):
    """A reward is income of amount less commission, at its price, whatever the export calls it."""
    (line,) = no_trouble(
        statement(a_row("L1", "S1", kind, asset="DOT28.S", amount="0.10", fee="0.02", subtype=subtype))
    )
    assert isinstance(line, IncomeLine)
    assert (line.id, line.asset, line.amount, line.why) == ("kraken:L1", "DOT", Decimal("0.08"), why)
    assert line.px == {"DOT": Decimal(7)}
    assert line.note == "gross 0.1, commission 0.02"


@pytest.mark.parametrize("subtype", ["allocation", "deallocation", "autoallocation", "migration"])
def test_move_between_spot_and_earn_has_no_effect(statement, subtype):
    """Both halves of an earn move cancel out; several assets may share one refid."""
    found = statement(
        a_row("L1", "E1", "earn", asset="ADA", amount="-0.5", subtype=subtype),
        a_row("L2", "E1", "earn", asset="ADA", amount="0.5", subtype=subtype, wallet="earn / liquid"),
        a_row("L3", "E1", "earn", asset="XXBT", amount="-0.1", subtype=subtype),
        a_row("L4", "E1", "earn", asset="XBT.F", amount="0.1", subtype=subtype),
    )
    assert no_trouble(found) == []
    assert found.passed == {"moved between spot and earn": 4}


def test_staking_transfers_of_the_older_sort_have_no_effect(statement):
    """Their halves carry different refids; each is known by its word and sign."""
    found = statement(
        a_row("L1", "B1", "transfer", asset="DOT", amount="-5", subtype="spottostaking"),
        a_row("L2", "B2", "transfer", asset="DOT.S", amount="5", subtype="stakingfromspot"),
        a_row("L3", "B3", "transfer", asset="DOT.S", amount="-5", subtype="stakingtospot"),
        a_row("L4", "B4", "transfer", asset="DOT", amount="5", subtype="spotfromstaking"),
    )
    assert no_trouble(found) == []
    assert found.passed == {"moved between spot and staking": 4}


def test_earn_rows_without_subtype_are_told_by_themselves(statement):
    """Early in 2024 earn rows had refid Unknown and no subtype: a pair is a move, a single row a reward."""
    found = statement(
        a_row("L1", "Unknown", "earn", asset="BTC.M", amount="-0.01"),
        a_row("L2", "Unknown", "earn", asset="BTC", amount="0.01"),
        a_row("L3", "Unknown", "earn", asset="BTC", amount="0.0000000841", time="2025-01-01 11:00:00"),
    )
    assert [(line.id, line.amount) for line in no_trouble(found)] == [("kraken:L3", Decimal("0.0000000841"))]


def test_venue_valuation_prices_what_nobody_else_does(statement):
    """Exports with `amountusd` price a reward themselves, after the prices file."""
    header = HEADER + ",amountusd"
    row = a_row("L1", "S1", "staking", asset="SOL", amount="0.5", fee="0") + ",100.00"
    (line,) = no_trouble(statement(row, header=header))
    assert (line.px, line.px_src) == ({"SOL": Decimal(200)}, {"SOL": "kraken amountusd"})


def test_missing_price_is_an_open_item_with_the_line_to_add(statement):
    """A price that nobody knows is named with its row, asset and time; so is one that is older than a day."""
    found = statement(a_row("L1", "S1", "staking", asset="SOL", amount="0.5", fee="0"))
    (item,) = found.open_items
    assert (item.code, item.where) == ("missing_price", "ledgers.csv row 2")
    assert "2025-01-01T10:00:00Z,SOL," in item.remedy
    late = statement(a_row("L1", "S1", "staking", asset="DOT", amount="0.5", time="2025-01-02 00:00:01"))
    assert [item.code for item in late.open_items] == ["missing_price"]


TRANSFER = """
[[transfers]]
asset = "BTC"
src = "kraken"
sent = "0.5002"
at = "2025-01-01T10:00:00Z"
out = "A1"
dst = "wallet.cold"
received = "0.5"
arrives = "2025-01-01T10:25:41Z"
txid = "0x05"
"""


def test_coins_that_leave_need_another_end(statement):
    """Coins withdrawn are open until an entry names where they arrived; then they are one transfer."""
    row = a_row("L1", "A1", "withdrawal", asset="XXBT", amount="-0.5", fee="0.0002")
    found = statement(row)
    assert [item.code for item in found.open_items] == ["unmatched_transfer"]
    assert 'out = "A1"' in found.open_items[0].remedy
    (line,) = no_trouble(statement(row, map_text=TRANSFER))
    assert isinstance(line, TransferLine)
    assert (line.id, line.sent, line.received, line.fee) == (
        "kraken:withdrawal:A1", Decimal("0.5002"), Decimal("0.5"), Decimal("0.0002"),
    )  # fmt: skip
    assert (line.ts, line.ts_in, line.px) == (
        "2025-01-01T10:00:00Z", "2025-01-01T10:25:41Z", {"BTC": Decimal(94000)},
    )  # fmt: skip


def test_both_ends_of_a_transfer_give_the_same_line(statement):
    """The receiving row of a transfer with both ids gives the line that the sending row gave."""
    both = TRANSFER.replace('dst = "wallet.cold"', 'dst = "kraken"').replace('src = "kraken"', 'src = "wallet"')
    both += 'in = "Q1"\n'
    (line,) = no_trouble(
        statement(a_row("L1", "Q1", "deposit", asset="XXBT", amount="0.5", time="2025-01-01 10:25:41"), map_text=both)
    )
    assert (line.id, line.src, line.dst) == ("wallet:withdrawal:A1", "wallet", "kraken")


def test_transfer_entry_that_differs_from_its_row_is_refused(statement):
    """An entry must agree with its row to the last digit."""
    row = a_row("L1", "A1", "withdrawal", asset="XXBT", amount="-0.5", fee="0.0003")
    (mistake,) = statement(row, map_text=TRANSFER).mistakes
    assert "0.5003 BTC" in mistake.what
    assert "0.5002 BTC" in mistake.what


def test_movements_are_what_a_person_says(statement):
    """A coming is an opening or income, a going a spend, when an entry says so."""
    opening = '[[movements]]\nid = "Q1"\nas = "opening"\nbasis = "21000"\nacquired = "2023-06-15T12:00:00Z"\n'
    (line,) = no_trouble(statement(a_row("L1", "Q1", "deposit", asset="XXBT", amount="0.5"), map_text=opening))
    assert isinstance(line, OpeningLine)
    assert (line.amount, line.basis, line.acquired, line.px) == (
        Decimal("0.5"), Decimal(21000), "2023-06-15T12:00:00Z", {},
    )  # fmt: skip
    airdrop = '[[movements]]\nid = "L1"\nas = "income"\nwhy = "airdrop"\n'
    (line,) = no_trouble(statement(a_row("L1", "X1", "transfer", asset="DOT", amount="3"), map_text=airdrop))
    assert (type(line), line.why) == (IncomeLine, "airdrop")
    spend = '[[movements]]\nid = "A1"\nas = "spend"\nwhy = "payment"\n'
    row = a_row("L1", "A1", "withdrawal", asset="XXBT", amount="-0.5", fee="0.0002")
    line, charge = no_trouble(statement(row, map_text=spend))
    assert (line.why, line.amount, charge.amount) == ("payment", Decimal("0.5"), Decimal("0.0002"))


def test_venue_word_with_several_meanings_is_asked_about(statement):
    """A transfer row without subtype may be an airdrop, a fork or the OTC desk: somebody has to say."""
    (item,) = statement(a_row("L1", "X1", "transfer", asset="DOT", amount="3")).open_items
    assert (item.code, item.where) == ("unexplained_movement", "ledgers.csv row 2")


def test_settled_row_is_left_out_and_counted(statement):
    """A row that an entry settles is passed over, even one that cannot be read."""
    settled = '[[settled]]\nid = "L1"\nreason = "booked by hand"\n'
    found = statement(a_row("L1", "M1", "margin", amount="0", fee="x"), map_text=settled)
    assert no_trouble(found) == []
    assert found.passed == {"settled by an entry": 1}


REFUSED = [
    ("unknown type", a_row(kind="lottery"), "type 'lottery', subtype '' is not known (L1: -100 USD)"),
    ("unknown subtype", a_row(subtype="newword"), "subtype 'newword' is not known"),
    ("margin", a_row(kind="margin"), "margin L1, -100 USD: margin trading is out of scope"),
    ("rollover", a_row(kind="rollover"), "margin trading is out of scope"),
    ("futures", a_row(kind="transfer", subtype="spottofutures"), "futures wallet"),
    ("delisting", a_row(kind="transfer", subtype="delistingconversion"), "a delisting converts"),
    ("adjustment", a_row(kind="adjustment"), "corrected the account by hand"),
    ("sign of a deposit", a_row(kind="deposit", amount="-5"), "deposit L1 of -5 USD has the wrong sign"),
    ("sign of a withdrawal", a_row(kind="withdrawal", amount="5"), "withdrawal L1 of 5 USD has the wrong sign"),
    ("sign of a reward", a_row(kind="staking", amount="-5"), "wrong sign"),
    ("sign of a half", a_row(kind="transfer", amount="5", subtype="spottostaking"), "wrong sign or a fee"),
    ("half a trade", a_row(), "trade R1 gives 100 USD for nothing, not one asset for another"),
    ("half a move", a_row(kind="earn", subtype="allocation"), "a move inside the account leaves -100 USD"),
    ("asset class", a_row(aclass="equity"), "aclass 'equity' is not known"),
    ("asset subclass", a_row(subclass="tokenized_asset"), "subclass 'tokenized_asset' is not known"),
    ("asset name", a_row(asset="TSLAx"), "'TSLAx' is no asset"),
    ("tokenised", a_row(asset="TSLA.T"), "'TSLA.T' is no asset"),
    ("number of a spreadsheet", a_row(amount="1E-8"), "'1E-8' is not a plain number"),
    ("empty number", a_row(fee=""), "'' is not a plain number"),
    ("time of a spreadsheet", a_row(time="18/09/2022 00:00"), "time '18/09/2022 00:00' is not like"),
    ("no such day", a_row(time="2025-02-30 00:00:00"), "day is out of range"),
    ("no txid", a_row(txid="", kind="trade"), "trade of -100 USD has no txid"),
    ("no refid", a_row(refid=""), "trade row L1 has no refid"),
    ("too few cells", "L1,R1", "has 2 cells, the header has 12"),
]


@pytest.mark.parametrize(("row", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_row_that_is_not_understood_stops_the_file(statement, row, said):
    """Each refusal names file, row, content and a remedy; nothing is skipped."""
    found = statement(a_row("L0", "Q0", "deposit", amount="1"), row)
    (mistake,) = found.mistakes
    assert mistake.where == "ledgers.csv row 3"
    assert said in mistake.what
    assert mistake.remedy


def test_dust_of_several_assets_is_refused_with_its_rows(statement):
    """Several assets for one cannot be split: the rows are named."""
    (mistake,) = statement(
        a_row("L1", "D1", "spend", asset="ADA", amount="-1", subtype="dustsweeping"),
        a_row("L2", "D1", "spend", asset="DOT", amount="-1", subtype="dustsweeping"),
        a_row("L3", "D1", "receive", amount="3", subtype="dustsweeping"),
    ).mistakes
    assert mistake.where == "ledgers.csv rows 2, 3, 4"


def test_same_txid_with_other_content_is_refused(statement):
    """A row twice is counted; a txid with two contents is a mistake."""
    row = a_row("L1", "Q1", "deposit", amount="5")
    assert statement(row, row).passed == {"the same row again": 1}
    (mistake,) = statement(row, a_row("L1", "Q1", "deposit", amount="6")).mistakes
    assert "txid L1 stands twice" in mistake.what


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ("txid,ordertxid,pair,time,type,ordertype,price,cost,fee,vol,margin,misc,ledgers", 'choose "Ledgers"'),
        (HEADER + ",mood", "mood is not known"),
        ("txid,refid,time", "with all fields"),
    ],
)
def test_other_headers_are_refused(statement, header, remedy):
    """A header that was never the export's is refused with what to do."""
    with pytest.raises(UserError) as refused:
        statement(header=header)
    assert remedy in refused.value.mistakes[0].remedy


@pytest.mark.parametrize("vintage", range(NEWEST + 1))
def test_every_vintage_says_the_same(tmp_path, statement, vintage):
    """The same history in every column set the export has had is the same lines."""
    rows = (a_row("L00000", "T1", fee="0.2600"), a_row("L00001", "T1", asset="XXBT", amount="0.0010000000"))
    expected = no_trouble(statement(*rows))
    path = tmp_path / "vintage.csv"
    path.write_text(kraken_text(expected, vintage))
    assert path.read_text().splitlines()[0].split(",") == list(COLUMN_SETS[vintage])
    assert no_trouble(kraken.read(path, Options())) == expected


def test_newest_first_is_read_oldest_first(statement):
    """An export that runs backwards gives lines that run forwards."""
    found = statement(
        a_row("L2", "Q2", "deposit", amount="1", time="2025-01-01 12:00:00"),
        a_row("L1", "Q1", "deposit", amount="1", time="2025-01-01 11:00:00"),
    )
    assert [line.id for line in no_trouble(found)] == ["kraken:deposit:Q1", "kraken:deposit:Q2"]


def test_first_row_whose_balance_does_not_follow_is_named(statement):
    """Per wallet and asset the first break is told; rows of one second may stand in any order."""
    found = statement(
        a_row("L1", "Q1", "deposit", amount="100", balance="100"),
        a_row("L3", "Q3", "deposit", amount="1", balance="106", time="2025-01-01 10:00:01"),
        a_row("L2", "Q2", "deposit", amount="5", balance="105", time="2025-01-01 10:00:01"),
        a_row("L4", "Q4", "deposit", amount="1", balance="108", time="2025-01-01 10:00:02"),
        a_row("L5", "Q5", "deposit", amount="1", balance="200", time="2025-01-01 10:00:03"),
    )
    (break_,) = check_balances(found.balances)
    assert (break_.number, break_.expected, break_.stated) == (5, Decimal(107), Decimal(108))
    assert str(break_) == ("row 5: balance 108 ZUSD in spot / main, the rows before give 107 (1 unexplained)")


def test_suffixes_of_the_venue_are_those_the_reader_takes_off():
    """Every suffix the gateway knows is either taken off or, for tokenised stock, refused."""
    assert {suffix for suffix in SUFFIXES_ELSEWHERE if _is_read(f"ABC.{suffix}")} == SUFFIXES_ELSEWHERE - {"T"}


def _is_read(spelled):
    try:
        return kraken_asset(spelled) == "ABC"
    except ValueError:
        return False


def kraken_asset(spelled):
    from arbot.tax.statements.kraken_rows import field_asset

    return field_asset(spelled)
