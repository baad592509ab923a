"""The United Kingdom's run: fees, rates, openings, notes, tables and year edges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arbot.domain.errors import UserError
from arbot.domain.history import HistoryLine, Placed, parse_ts
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.registry import COUNTRIES, country
from arbot.ledger.jurisdictions.uk import UNITED_KINGDOM, UkRun
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import Slice, Why

RATE = CountryOptions(rate_default=Decimal("0.8"))


def opening(ts: str, asset: str, amount: str, basis: str, acquired: str, **more: Any) -> dict[str, Any]:
    """Return an opening line."""
    fields = {"kind": "opening", "id": f"o-{ts}-{asset}", "ts": ts, "venue": "kraken", "asset": asset}
    return {**fields, "amount": amount, "basis": basis, "acquired": acquired, **more}


def fill(ts: str, side: str, pair: str, amount: str, cost: str, **more: Any) -> dict[str, Any]:
    """Return a fill line, without a fee unless told."""
    base, quote = pair.split("/")
    fields = {"kind": "fill", "id": f"f-{ts}-{side}", "ts": ts, "venue": "kraken", "symbol": pair, "base": base}
    fields |= {"quote": quote, "side": side, "amount": amount, "price": "1", "cost": cost, "fee": "0", "fee_ccy": quote}
    return {**fields, "order_id": "o", "px": {base: "1", quote: "1"}, **more}


def ran(*rows: dict[str, Any], options: CountryOptions = RATE) -> tuple[UkRun, list[Slice]]:
    """Return a finished run over lines in order of time, and its slices."""
    run, slices = UkRun(options), []
    for seq, row in enumerate(rows):
        line = msgspec.convert(row, HistoryLine, strict=False)
        slices += run.feed(Placed(line, parse_ts(line.ts), seq))
    return run, slices + run.finish()


def table(run: UkRun, name: str, year: int = 2024) -> list[dict[str, str]]:
    """Return the rows of a table by header."""
    (found,) = (each for each in run.tables(year) if each.name == name)
    return [dict(zip(found.header, row, strict=True)) for row in found.rows]


HELD = opening("2025-01-01T00:00:00Z", "ETH", "10", "10000", "2024-01-01T00:00:00Z")


def test_a_fee_against_cash_is_wholly_of_the_coin() -> None:
    """Bought and sold for pounds: the fee raises the cost of the one and lowers the proceeds of the other."""
    run, slices = ran(
        fill("2025-01-02T10:00:00Z", "buy", "ETH/GBP", "1", "1000", fee="5"),
        fill("2025-01-02T11:00:00Z", "sell", "ETH/GBP", "1", "1100", fee="7"),
    )
    assert [(Decimal(1093), Decimal(1005), "same-day")] == [(each.proceeds, each.basis, each.method) for each in slices]
    (row,) = table(run, "uk-disposals")
    assert ("1100.00", "1012.00", "88.00") == (row["proceeds"], row["allowable_costs"], row["gain"])
    assert [] == run.notes(2024)


def test_a_fee_in_a_third_token_is_a_disposal_and_a_cost() -> None:
    """BNB paid for selling ETH for dollars: its value lowers the proceeds, and the BNB is disposed of for it."""
    bnb = opening("2025-01-01T00:00:01Z", "BNB", "1", "400", "2024-01-01T00:00:00Z")
    px = {"ETH": "3000", "BNB": "600"}
    _, slices = ran(
        HELD, bnb, fill("2025-01-05T00:00:00Z", "sell", "ETH/USD", "1", "3000", fee="0.01", fee_ccy="BNB", px=px)
    )
    told = {each.asset: (each.proceeds, each.basis, each.why) for each in slices}
    assert {
        "ETH": (Decimal("2395.2"), Decimal(800), Why.SELL),
        "BNB": (Decimal("4.8"), Decimal("3.2"), Why.FEE),
    } == told


def test_a_rebate_in_tokens_is_a_purchase_at_its_value() -> None:
    """The trade keeps its proceeds and cost, and the rebate joins the day's purchase."""
    px = {"ETH": "3000", "USDT": "1"}
    run, slices = ran(
        HELD, fill("2025-01-05T00:00:00Z", "sell", "ETH/USDT", "1", "3000", fee="-2", fee_ccy="USDT", px=px)
    )
    assert [Decimal(2400)] == [each.proceeds for each in slices]
    assert [("USDT", Decimal(3002), Decimal("2401.6"))] == [
        (each.asset, each.qty, each.basis) for each in run.remaining() if each.asset == "USDT"
    ]


@pytest.mark.parametrize(("is_allowable", "gain"), [(False, Decimal("23.2")), (True, Decimal("-0.8"))])
def test_a_transfer_fee_is_allowable_only_when_chosen(*, is_allowable: bool, gain: Decimal) -> None:
    """The fee units are disposed of at their value; chosen, the same value is a cost."""
    move = {"kind": "transfer", "id": "x", "ts": "2025-02-01T00:00:00Z", "ts_in": None, "src": "kraken", "dst": "cold"}
    move |= {"asset": "ETH", "sent": "2", "received": "1.99", "fee": "0.01", "px": {"ETH": "3000"}}
    options = CountryOptions(rate_default=Decimal("0.8"), is_transfer_fee_allowable=is_allowable)
    run, slices = ran({**HELD, "basis": "1000"}, move, options=options)
    assert [gain] == [each.proceeds - each.basis for each in slices]
    (row,) = table(run, "uk-disposals")
    assert ("24.00", f"{gain:.2f}") == (row["proceeds"], row["gain"])


def test_the_rate_of_the_line_goes_before_the_default() -> None:
    """Fx of the line, then the line's own price of a pound, then the default."""
    px = {"ETH": "2000", "GBP": "1.25", "USDT": "1"}
    usd = {"px": {"ETH": "2000"}}
    for more, pounds in (
        ({"fx": {"GBP": "0.5"}, "px": {"ETH": "2000", "USDT": "1"}}, 1000),
        ({"px": px}, 1600),
        ({"px": {"ETH": "2000", "USDT": "1"}}, 1600),
    ):
        _, slices = ran(HELD, fill("2025-01-05T00:00:00Z", "sell", "ETH/USDT", "1", "2000", **more))
        assert [Decimal(pounds)] == [each.proceeds for each in slices]
    _, slices = ran(HELD, fill("2025-01-05T00:00:00Z", "sell", "ETH/USD", "1", "2000", fx={"GBP": "0.75"}, **usd))
    assert [Decimal(1500)] == [each.proceeds for each in slices]


def test_lines_without_a_rate_are_one_open_item() -> None:
    """All of them are counted, the first and the last are named, and no figure is made of them."""
    run, slices = ran(
        HELD,
        fill("2025-01-05T00:00:00Z", "sell", "ETH/USD", "1", "2000"),
        fill("2025-01-06T00:00:00Z", "sell", "ETH/USD", "1", "2000"),
        options=CountryOptions(),
    )
    (item,) = (each for each in run.open_items() if each.code == "missing_rate")
    assert f"3 lines, {HELD['id']} to f-2025-01-06T00:00:00Z-sell" == item.where
    assert [] == slices


def test_a_line_without_a_price_takes_units_away_and_makes_no_figure() -> None:
    """The price is asked for; the units have left the pool at its average, and nobody assumes a value."""
    run, slices = ran(HELD, fill("2025-01-05T00:00:00Z", "sell", "ETH/USDT", "4", "2000", px={"ETH": "500"}))
    assert ["missing_price"] == [each.code for each in run.open_items()]
    assert [] == slices
    assert [("ETH", Decimal(6), Decimal(4800))] == [(each.asset, each.qty, each.basis) for each in run.remaining()]


def test_more_than_was_ever_acquired_is_refused() -> None:
    """The part that is there has its slice; the open item names line, account and missing units."""
    run, slices = ran(HELD, fill("2025-01-05T00:00:00Z", "sell", "ETH/USD", "12", "24000"))
    assert [(Decimal(10), Decimal(16000))] == [(each.qty, each.proceeds) for each in slices]
    (item,) = run.open_items()
    assert ("no_basis", "f-2025-01-05T00:00:00Z-sell at kraken") == (item.code, item.where)
    assert item.what.startswith("2 ETH disposed of on 2025-01-05")


def test_an_opening_after_a_disposal_is_told() -> None:
    """It would have changed the pool of that disposal, so it is an open item; long before one it is not."""
    sale = fill("2025-02-01T00:00:00Z", "sell", "ETH/USD", "1", "3000")
    late = opening("2025-02-20T00:00:00Z", "ETH", "5", "1000", "2025-01-20T00:00:00Z")
    assert ["opening_late"] == [each.code for each in ran(HELD, sale, late)[0].open_items()]
    after = opening("2025-04-20T00:00:00Z", "ETH", "5", "1000", "2025-03-10T00:00:00Z")
    assert [] == ran(HELD, sale, after)[0].open_items()


def test_an_opening_of_the_window_is_told_too() -> None:
    """Bought within 30 days after a disposal it would have been matched with it."""
    sale = fill("2025-02-01T00:00:00Z", "sell", "ETH/USD", "1", "3000")
    within = opening("2025-03-20T00:00:00Z", "ETH", "5", "1000", "2025-03-03T00:00:00Z")
    assert ["opening_late"] == [each.code for each in ran(HELD, sale, within)[0].open_items()]


def test_a_disposal_belongs_to_the_year_of_its_own_day() -> None:
    """Sold on 5 April and bought back on 20 April: the gain is of the year that ended between them."""
    run, slices = ran(
        HELD,
        fill("2025-04-05T22:59:59Z", "sell", "ETH/USD", "1", "3000"),
        fill("2025-04-05T23:00:00Z", "sell", "ETH/USD", "1", "3000"),
        fill("2025-04-20T00:00:00Z", "buy", "ETH/USD", "1", "2500"),
    )
    assert ["30-day", "s104"] == [each.method for each in slices]
    rows = table(run, "uk-tax-years")
    assert [("2024/2025", "400.00"), ("2025/2026", "1600.00")] == [(row["tax_year"], row["net_gain"]) for row in rows]
    assert ["2025-04-05"] == [row["date"] for row in table(run, "uk-disposals", 2024)]
    assert ["2025-04-06"] == [row["date"] for row in table(run, "uk-disposals", 2025)]


def test_a_history_that_ends_within_the_30_days_says_so() -> None:
    """The note is of the year of the disposal only, and goes away once the days are covered."""
    sale = fill("2025-04-01T00:00:00Z", "sell", "ETH/USD", "1", "3000")
    deposit = {"kind": "deposit", "id": "d", "venue": "kraken", "asset": "GBP", "amount": "1"}
    for ts, codes in (("2025-05-01T00:00:00Z", ["history_ends_early"]), ("2025-05-02T00:00:00Z", [])):
        run, _ = ran(HELD, sale, {**deposit, "ts": ts})
        assert codes == [each.code for each in run.notes(2024) if each.code != "foreign_cash"]
        assert [] == [each.code for each in run.notes(2025) if each.code != "foreign_cash"]


def test_rows_round_in_favour_of_the_taxpayer() -> None:
    """Proceeds down, costs up, to the penny; whole pounds come from exact totals."""
    run, _ = ran(
        fill("2025-01-02T10:00:00Z", "buy", "ETH/GBP", "3", "100.001"),
        fill("2025-01-02T11:00:00Z", "sell", "ETH/GBP", "1", "150.009"),
    )
    (row,) = table(run, "uk-disposals")
    assert ("150.00", "33.34", "116.66") == (row["proceeds"], row["allowable_costs"], row["gain"])
    (total,) = table(run, "uk-tax-years")
    assert ("150", "34", "116", "0") == tuple(
        total[f"{name}_pounds"] for name in ("proceeds", "allowable_costs", "gains", "losses")
    )


def test_countries_are_found_by_code_and_unknown_ones_refused() -> None:
    """Any case will do; the refusal lists what there is."""
    assert UNITED_KINGDOM is country("UK")
    assert ["au", "ca", "de", "uk", "us"] == sorted(COUNTRIES)
    with pytest.raises(UserError, match=r"us \(United States\), uk \(United Kingdom\)"):
        country("fr")


def test_a_country_refuses_foreign_methods_and_clocks() -> None:
    """The United Kingdom pools by London days, whatever else is asked for."""
    assert "average" == UNITED_KINGDOM.method("")
    with pytest.raises(UserError, match="is not a method of United Kingdom"):
        UNITED_KINGDOM.method("fifo")
    with pytest.raises(UserError, match="Europe/London"):
        UNITED_KINGDOM.begin(LotPolicy(), CountryOptions(timezone="UTC"))


def test_options_that_mean_nothing_are_refused() -> None:
    """A default rate of nothing or less is none, and the United States value in dollars with no choice in fees."""
    for rate in ("0", "-0.8"):
        with pytest.raises(UserError, match="how many GBP one USD was worth"):
            UNITED_KINGDOM.settled(CountryOptions(rate_default=Decimal(rate)))
    for options in (RATE, CountryOptions(is_transfer_fee_allowable=True)):
        with pytest.raises(UserError, match="United States has no choice"):
            COUNTRIES["us"].begin(LotPolicy(), options)


def test_every_country_names_sources_and_bounds() -> None:
    """Each rule has a source and a date, and a tax year's instants are those of its time zone."""
    for each in COUNTRIES.values():
        assert all(rule.text and rule.source and rule.date for rule in each.rules)
        assert each.method_default in each.methods
    assert (parse_ts("2025-04-05T23:00:00Z"), parse_ts("2026-04-05T23:00:00Z")) == UNITED_KINGDOM.year_bounds_ns(2025)
    assert ("2025/2026", "2025") == (UNITED_KINGDOM.year_name(2025), COUNTRIES["us"].year_name(2025))
