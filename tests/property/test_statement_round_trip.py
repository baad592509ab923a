"""A history written as a Kraken ledger and read back is the same history, in every vintage of the export."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.history import DepositLine, FillLine, IncomeLine, TransferLine, WithdrawalLine, format_ts
from arbot.domain.units import EXACT
from arbot.tax.statements import kraken
from arbot.tax.statements.common import Options
from arbot.tax.statements.gaps import check_balances
from arbot.tax.statements.kraken import QUOTES
from tests.support.kraken_statement import NEWEST, kraken_text

START_S = 1_735_689_600
COINS = ("BTC", "ETH", "SOL", "USDT")  # one without a rank among the quotes: between two, the given one is
amounts = st.integers(1, 10**14).map(lambda number: Decimal(number).scaleb(-8))
PRICES = "time,asset,price,source\n" + "".join(
    f"2025-01-01T00:00:00Z,{asset},{number}.5,book\n" for number, asset in enumerate((*COINS, "EUR"), start=1)
)


@st.composite
def a_line(draw, number):
    common = {"id": f"kraken:R{number}", "ts": format_ts((START_S + 7 * number) * 10**9)}
    kind = draw(st.sampled_from(["fill", "fill", "fill", "deposit", "withdrawal", "income", "transfer"]))
    amount = draw(amounts)
    if kind == "fill":
        pair = draw(st.lists(st.sampled_from([*COINS, "USD", "EUR"]), min_size=2, max_size=2, unique=True))
        quote, base = sorted(pair, key=lambda asset: QUOTES.index(asset) if asset in QUOTES else 99)
        fee = draw(st.one_of(st.just(Decimal(0)), amounts, amounts.map(lambda number: -number)))
        return FillLine(
            **common, venue="kraken", symbol=f"{base}/{quote}", base=base, quote=quote,
            side=draw(st.sampled_from(["buy", "sell"])), amount=amount, price=Decimal(1), cost=draw(amounts),
            fee=fee, fee_ccy=draw(st.sampled_from([base, quote, "SOL"])) if fee else quote, order_id="",
        )  # fmt: skip
    if kind == "transfer":
        fee = draw(amounts)
        return TransferLine(
            **common | {"id": f"kraken:withdrawal:R{number}"}, ts_in=common["ts"], src="kraken", dst="cold",
            asset=draw(st.sampled_from(COINS)), sent=EXACT.add(amount, fee), received=amount, fee=fee,
        )  # fmt: skip
    if kind == "income":
        return IncomeLine(**common, venue="kraken", asset=draw(st.sampled_from(COINS)), amount=amount, why="reward")
    line = DepositLine if kind == "deposit" else WithdrawalLine
    common["id"] = f"kraken:{kind}:R{number}"
    return line(**common, venue="kraken", asset=draw(st.sampled_from(["USD", "EUR"])), amount=amount)


@st.composite
def histories(draw):
    return [draw(a_line(number)) for number in range(draw(st.integers(1, 12)))]


def entries(lines):
    return "".join(
        f'[[transfers]]\nasset = "{line.asset}"\nsrc = "kraken"\ndst = "cold"\nsent = "{line.sent:f}"\n'
        f'received = "{line.received:f}"\nat = "{line.ts}"\narrives = "{line.ts_in}"\n'
        f'out = "{line.id.rpartition(":")[2]}"\n'
        for line in lines
        if isinstance(line, TransferLine)
    )


def terms(line):
    """Return what happened, without prices, and without the id of a reward, which is the row's own."""
    if isinstance(line, FillLine):
        return (line.id, line.ts, line.symbol, line.side, line.amount, line.cost, line.fee, line.fee_ccy)
    if isinstance(line, TransferLine):
        return (line.id, line.ts, line.ts_in, line.src, line.dst, line.asset, line.sent, line.received, line.fee)
    name = "" if isinstance(line, IncomeLine) else line.id
    return (type(line), name, line.ts, line.asset, line.amount)


@settings(max_examples=40, deadline=None)
@given(lines=histories(), vintage=st.integers(0, NEWEST))
def test_history_written_as_a_ledger_is_read_back(tmp_path_factory, lines, vintage):
    """Fills with fees and rebates in any asset, cash, rewards and transfers survive the export to the last digit."""
    folder = tmp_path_factory.mktemp("statement")
    (folder / "ledgers.csv").write_text(kraken_text(lines, vintage))
    (folder / "prices.csv").write_text(PRICES)
    (folder / "map.toml").write_text(entries(lines))
    options = Options(map_path=folder / "map.toml", prices_path=folder / "prices.csv")
    found = kraken.read(folder / "ledgers.csv", options)
    assert found.mistakes == []
    assert found.open_items == []
    assert [terms(line) for line in found.lines] == [terms(line) for line in lines]
    assert check_balances(found.balances) == []
