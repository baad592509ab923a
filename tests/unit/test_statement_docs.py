"""The worked examples of the guide are files that import as the guide says."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.tax.statements import coinbase, generic, kraken_rows
from arbot.tax.statements.common import Options
from arbot.tax.statements.kraken import QUOTES
from arbot.tax.statements.settling import read_settling

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "import-statements.md"
TEXT = GUIDE.read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"`(\w+\.(?:csv|toml))`[^`]*?:\n\n```\w+\n(.*?)```", TEXT, re.DOTALL))


def read(tmp_path, name, prices):
    for file in (f"{name}.csv", f"{name}.toml", prices):
        (tmp_path / file).write_text(BLOCKS[file])
    options = Options(map_path=tmp_path / f"{name}.toml", prices_path=tmp_path / prices)
    found = generic.read(tmp_path / f"{name}.csv", options)
    assert (found.mistakes, found.open_items) == ([], [])
    return found.lines


def test_german_trade_list_of_the_guide(tmp_path):
    """Two fills at their instants, in summer and in winter time."""
    buy, sell = read(tmp_path, "trades", "prices.csv")
    assert (buy.ts, buy.side, buy.cost) == ("2025-03-30T10:00:00Z", "buy", Decimal("4000.025"))
    assert (sell.ts, sell.side, sell.fee) == ("2025-10-26T11:00:00Z", "sell", Decimal("4.75"))


def test_wallets_of_the_guide(tmp_path):
    """An opening, one transfer of two rows, and a payment."""
    opening, transfer, spend = read(tmp_path, "wallets", "btc.csv")
    assert (opening.id, transfer.id, spend.id) == ("cold:1", "cold:withdrawal:2", "hot:4")
    assert (transfer.dst, transfer.sent, transfer.received) == ("hot", Decimal("0.2001"), Decimal("0.2"))


def test_entries_of_the_guide_are_entries(tmp_path):
    """The file of transfers, movements, settled rows and accounts is read."""
    text = re.search(r"```toml\n(\[\[transfers\]\].*?)```", TEXT, re.DOTALL)[1]
    (tmp_path / "links.toml").write_text(text)
    found = read_settling(tmp_path / "links.toml")
    assert [len(part) for part in (found.transfers, found.movements, found.settled, found.accounts)] == [1, 1, 1, 1]


@pytest.mark.parametrize("columns", [kraken_rows.COLUMN_SETS[0], coinbase.COLUMN_SETS[-1]])
def test_headers_of_the_guide_are_those_of_the_readers(columns):
    """The guide shows the headers letter by letter."""
    assert ",".join(columns) in TEXT


def test_words_of_the_guide_are_those_of_the_readers():
    """Every type and subtype that is read is in the guide, and so are the quotes in their order."""
    words = {word for pair in kraken_rows.MEANINGS for word in pair if word}
    told_as = {
        "tradespot",
        "dustsweeping",
        "margin trade",
        "welcomebonus",
        "airdrop",
        "spottofutures",
        "spotfromfutures",
    }
    assert {word for word in words if f"`{word}`" not in TEXT} == told_as
    assert ", ".join(QUOTES) in TEXT.replace("\n", " ")
