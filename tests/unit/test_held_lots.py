"""Germany, Australia and Canada over history lines: terms, threshold, discount, wallets, denied losses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arbot.domain.history import HistoryLine, PickedLot, Placed, parse_ts
from arbot.domain.units import EXACT, ZERO
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.de import counting
from arbot.ledger.jurisdictions.local_effects import LocalEffects
from arbot.ledger.jurisdictions.registry import country
from arbot.ledger.lots.policy import LotPolicy, Pick
from arbot.ledger.lots.words import Acquire, LotRun, Slice
from tests.support.arb_year import placed_year

ONE_TO_ONE = CountryOptions(rate_default=Decimal(1))


def trade(ts: str, side: str, amount: str, cost: str, venue: str = "kraken", **more: Any) -> dict[str, Any]:
    """Return a fill of ETH against dollars."""
    fields = {"kind": "fill", "id": f"{side}-{ts}", "ts": f"{ts}T12:00:00Z", "venue": venue, "symbol": "ETH/USD"}
    fields |= {"base": "ETH", "quote": "USD", "side": side, "amount": amount, "price": "1", "cost": cost}
    return {**fields, "fee": "0", "fee_ccy": "USD", "order_id": "o", "px": {"ETH": "1"}, **more}


def ran(code: str, *rows: dict[str, Any], policy: LotPolicy | None = None) -> tuple[LotRun, list[Slice]]:
    """Return a finished run of a country and its slices; one USD is one unit of its currency."""
    run, slices = country(code).begin(policy or LotPolicy(), ONE_TO_ONE), []
    for seq, row in enumerate(rows):
        line = msgspec.convert(row, HistoryLine, strict=False)
        slices += run.feed(Placed(line, parse_ts(line.ts), seq))
    return run, slices + run.finish()


def table(code: str, run: LotRun, name: str, year: int = 2025) -> list[dict[str, str]]:
    """Return the rows of a table by header."""
    (found,) = (each for each in country(code).tables(run, year) if each.name == name)
    return [dict(zip(found.header, row, strict=True)) for row in found.rows]


@pytest.mark.parametrize(
    ("year", "net", "expected"),
    [
        (2024, "999.99", "0"),
        (2024, "1000", "1000"),
        (2024, "1000.01", "1000.01"),
        (2024, "-5", "-5"),
        (2024, "0", "0"),
        (2023, "999.99", "999.99"),
    ],
)
def test_germany_counts_all_or_nothing(year: int, net: str, expected: str) -> None:
    """Below 1,000 nothing of a gain counts, from 1,000 on all of it; losses count; before 2024 no threshold is applied."""
    assert Decimal(expected) == counting(year, Decimal(net))


def test_germany_frees_what_was_held_beyond_a_year() -> None:
    """Sold on the anniversary counts, the day after is free; FIFO takes the wallet's own lots."""
    run, slices = ran(
        "de",
        trade("2024-03-01", "buy", "1", "1000"),
        trade("2024-03-01", "buy", "1", "10", venue="binance"),
        trade("2024-03-02", "buy", "1", "1000"),
        trade("2025-03-01", "sell", "1", "2100"),
        trade("2025-03-03", "sell", "1", "5000"),
    )
    assert [Decimal(1000), Decimal(1000)] == [each.basis for each in slices]
    (row,) = table("de", run, "de-tax-years")
    assert ("1100.00", "4000.00", "1000", "1100.00") == (
        row["net_within_year"],
        row["net_beyond_year_free"],
        row["free_below"],
        row["net_that_counts"],
    )
    assert [("binance", "ETH", "1", "10.00")] == [tuple(each.values()) for each in table("de", run, "de-wallets")]
    is_long = country("de").term("Europe/Berlin")
    assert [False, True] == [is_long(each.acquired_ns, each.sold_ns) for each in slices]


def test_australia_shows_the_discount_apart() -> None:
    """Half of what was gained beyond 12 months is shown and not taken off; the year begins in July."""
    run, _ = ran(
        "au",
        trade("2024-03-01", "buy", "2", "2000"),
        trade("2025-02-28", "sell", "1", "1500"),
        trade("2025-07-02", "sell", "1", "1900"),
    )
    first, second = table("au", run, "au-tax-years")
    assert ("2024/2025", "500.00", "0.00", "0.00") == (
        first["tax_year"],
        first["gains_to_12_months"],
        first["gains_beyond_12_months"],
        first["discount_at_most"],
    )
    assert ("2025/2026", "900.00", "450.00", "900.00") == (
        second["tax_year"],
        second["gains_beyond_12_months"],
        second["discount_at_most"],
        second["net_before_discount"],
    )


def test_australia_takes_the_parcel_that_was_named_in_time() -> None:
    """A pick recorded before the sale goes before FIFO."""
    second, sale = "buy-2024-03-02", "sell-2025-02-28"
    recorded_ns = parse_ts("2025-02-01T00:00:00Z")
    picks = {sale: Pick(lots=(PickedLot(second, Decimal(1)),), recorded_ns=recorded_ns)}
    _, slices = ran(
        "au",
        trade("2024-03-01", "buy", "1", "1000"),
        trade("2024-03-02", "buy", "1", "1400"),
        trade("2025-02-28", "sell", "1", "1500"),
        policy=LotPolicy(picks=picks),
    )
    assert [(second, "pick", Decimal(1400))] == [(each.lot, each.method, each.basis) for each in slices]


def test_canada_keeps_a_denied_loss_in_the_cost() -> None:
    """Bought back within 30 days: the loss is shown as denied, the gain is nothing, and the pool is dearer by it."""
    run, slices = ran(
        "ca",
        trade("2025-01-05", "buy", "10", "1000"),
        trade("2025-02-10", "sell", "10", "700", fee="2"),
        trade("2025-02-20", "buy", "10", "750"),
    )
    assert [Decimal(0)] == [each.proceeds - each.basis for each in slices]
    (row,) = table("ca", run, "ca-disposals")
    assert ("700.00", "2.00", "1000.00", "302.00", "0.00") == (
        row["proceeds"],
        row["outlays"],
        row["adjusted_cost_base"],
        row["denied_loss"],
        row["net_gain"],
    )
    assert [("ETH", "10", "1052.00")] == [tuple(each.values()) for each in table("ca", run, "ca-pools")]


def test_canada_tells_losses_whose_days_are_not_over() -> None:
    """A loss within 30 days of the end of history may still be denied; a gain needs no such note."""
    run, _ = ran("ca", trade("2025-01-05", "buy", "10", "1000"), trade("2025-02-10", "sell", "5", "400"))
    codes = [each.code for each in country("ca").notes(run, 2025)]
    assert ["foreign_cash", "history_ends_early"] == codes
    run, _ = ran("ca", trade("2025-01-05", "buy", "10", "1000"), trade("2025-02-10", "sell", "5", "900"))
    assert ["foreign_cash"] == [each.code for each in country("ca").notes(run, 2025)]


@pytest.mark.parametrize("code", ["de", "au", "ca", "uk"])
def test_a_sale_of_nothing_is_refused_everywhere(code: str) -> None:
    """Every country names the line and assumes no basis."""
    run, slices = ran(code, trade("2025-01-05", "sell", "1", "1000"))
    assert ["no_basis"] == [item.code for item in run.open_items()]
    assert "sell-2025-01-05 at kraken" == run.open_items()[0].where
    assert [] == slices


@pytest.mark.parametrize("code", ["de", "au", "ca"])
def test_experimental_countries_say_so_and_name_their_rules(code: str) -> None:
    """Each is marked, and its rules are a table of its report."""
    each = country(code)
    assert each.is_experimental
    run, _ = ran(code, trade("2025-01-05", "buy", "1", "1000"))
    assert list(each.rules) == list(each.tables(run, 2025)[-1].rows)


@pytest.mark.parametrize(("code", "ccy"), [("uk", "GBP"), ("de", "EUR"), ("ca", "CAD"), ("au", "AUD")])
def test_nothing_is_lost_in_an_arbitrage_year(code: str, ccy: str) -> None:
    """What coins cost, and how many came, is what disposals took plus what is left, to the last digit."""
    placed = list(placed_year(400, seed=7))
    effects = LocalEffects(ccy, Decimal(1), given_share=Decimal("0.5") if code == "uk" else Decimal(1))
    bought: dict[str, tuple[Decimal, Decimal]] = {}
    for each in placed:
        for effect in effects.of(each):
            if isinstance(effect, Acquire):
                qty, basis = bought.get(effect.asset, (ZERO, ZERO))
                bought[effect.asset] = (qty + effect.qty, EXACT.add(basis, effect.basis))
    run, found = country(code).begin(LotPolicy(), ONE_TO_ONE), dict[str, tuple[Decimal, Decimal]]()
    slices = [part for each in placed for part in run.feed(each)] + run.finish()
    assert [] == run.open_items()
    for part in (*slices, *run.remaining()):
        qty, basis = found.get(part.asset, (ZERO, ZERO))
        found[part.asset] = (qty + part.qty, EXACT.add(basis, part.basis))
    assert bought == found
