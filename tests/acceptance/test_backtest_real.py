"""Recorded markets from the foreign file to the result: imported, chosen, inspected, replayed, and checked by a naive replay."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.backtest.checked import warned
from arbot.backtest.replay import Replay
from arbot.backtest.result import Scenario
from arbot.backtest.run import plan, run, terms
from arbot.backtest.tapes import Allowances, TapeStock, open_stock
from arbot.domain.errors import UserError
from arbot.settings.load import parse
from arbot.settings.model import Settings
from arbot.tape.importing.contract import Options
from arbot.tape.importing.formats import FORMATS
from arbot.tape.importing.run import import_files
from arbot.tape.schema import Market
from tests.support.naive_replay import NaiveReplay

DATA = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[3] / "shared" / "data")
MS = 1_000_000
HELD = {"DOGE": "2000000", "BTC": "40", "ETH": "400"}


def source(*parts: str) -> Path:
    """Return a recording, or skip the test when it is not here."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no recorded data: set ARBOT_DATA to a folder with {'/'.join(parts)}")
    return path


def settings(symbol: str, venues: tuple[str, ...], **tables: dict) -> Settings:
    """Return a config of these venues with low fees, deep pockets and a freshness of 6 s."""
    base, quote = symbol.split("/")
    document = {
        "run": {"name": "real", "symbols": [symbol]},
        "venues": {venue: {"adapter": venue if venue in ("kraken", "coinbase") else f"ccxt:{venue.partition('-')[0]}"} for venue in venues},
        "paper": {
            "venues": {
                venue: {"balances": {quote: "1000000", base: HELD[base]}, "maker_bps": "0", "taker_bps": "1"}
                for venue in venues
            }
        },
        "limits": {
            "inventory_notional_max": 50_000_000, "book_age_recv_ms_max": 6_000, "book_age_venue_ms_max": 6_000,
            "book_skew_ms_max": 6_000, "notional_per_arb_max": 2_000,
        },
        "backtest": {
            "latency": "fixed", "request_ms": "100", "answer_ms": "50", "reject_share": "0", "timeout_share": "0",
            "orders_per_second": "1000", "orders_burst": 1000,
        },
    }  # fmt: skip
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table}
    return parse(document, base=Path.cwd(), source="a test")


def imported(out: Path, name: str, *paths: Path, **options: object) -> Path:
    """Import files and return the catalogue."""
    import_files(FORMATS[name], list(paths), out, Options(**options))
    return out


def stock(tape: Path, config: Settings, **allowed: object) -> TapeStock:
    """Return the stock of a config."""
    return open_stock([tape], config, mapping={}, allowances=Allowances(**allowed), cache_dir=tape / ".cache")


@pytest.fixture(scope="module")
def doge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tape of thirteen venues, imported from ccxt order books."""
    path = source("l2-snapshots", "ccxt13-doge-20240408")
    return imported(tmp_path_factory.mktemp("doge"), "ccxt-jsonl", path)


@pytest.mark.parametrize(
    ("symbol", "venues"),
    [
        ("DOGE/USD", ("bitfinex", "gemini", "kraken")),
        ("DOGE/USDT", ("bingx", "bitget", "gateio", "htx", "kucoin", "lbank", "mexc")),
    ],
)
@pytest.mark.parametrize("scenario", [Scenario.NAIVE, Scenario.REALISTIC])
def test_a_naive_replay_of_real_books_trades_the_same(
    doge: Path, symbol: str, venues: tuple[str, ...], scenario: Scenario
) -> None:
    """Send and fill the same orders as dictionaries and a list of things to do."""
    config = settings(symbol, venues, run={"name": "real", "symbols": [symbol], "ccy": symbol.split("/")[1]})
    told = terms(plan(config, stock(doge, config)), scenario)
    delays = (0, 0) if scenario is Scenario.NAIVE else (100 * MS, 50 * MS)
    naive = NaiveReplay(stock(doge, config), told, *delays)
    naive.run()
    column = Replay(stock(doge, config), terms(plan(config, stock(doge, config)), scenario)).run()

    assert sorted((one.client_order_id, one.side.value, one.qty, one.price) for _, one in naive.fills) == sorted(
        (one.client_order_id, one.side, one.qty, one.price) for one in column.fills
    )
    assert len(naive.orders) == column.orders
    assert column.orders > 20
    assert column.ledger_matches_venues


def test_the_inspector_speaks_before_the_replay(doge: Path) -> None:
    """Put the warnings about frozen feeds and whole seconds beside the result, and not those of other markets."""
    config = settings("DOGE/USD", ("bitfinex", "gemini", "kraken"))
    told = warned(stock(doge, config), [doge], cache_dir=doge / ".cache", is_wanted=True, goes_on=False)

    assert any("whole_seconds, DOGE/USD@{bitfinex, gemini, kraken}" in line for line in told)
    assert not any("USDT" in line for line in told)


def test_an_inverse_perpetual_is_never_traded_as_spot(doge: Path) -> None:
    """Refuse sizes in contracts, whatever the person says."""
    config = settings("DOGE/USD", ("kraken", "binance"))
    for derivatives in (False, True):
        with pytest.raises(UserError, match="contracts of 10 USD"):
            stock(doge, config, derivatives=derivatives)


def test_linear_perpetuals_are_traded_as_spot_only_when_told(tmp_path: Path) -> None:
    """Refuse basis as an arb unless it is asked for in words, and then say so in the report."""
    folder = source("l2-top10", "gate-binance-perp-20240509")
    books = sorted(folder.glob("*ETHUSDT_orderbook*.csv"))
    tape = imported(tmp_path / "perps", "wide-csv", *books, market=Market.LINEAR)
    config = settings("ETH/USDT", ("gate", "binance"), run={"name": "x", "symbols": ["ETH/USDT"], "ccy": "USDT"})
    with pytest.raises(UserError, match="--derivatives-as-spot"):
        stock(tape, config)
    chosen = stock(tape, config, derivatives=True)
    result = run(plan(config, chosen, warnings=chosen.warnings))

    assert [listed.instrument.id for listed in chosen.streams] == ["ETH/USDT@binance", "ETH/USDT@gate"]
    assert any("treated as spot" in line for line in result.warnings)
    assert result.scanned.crossed == 0
    assert all(column.ledger_matches_venues for column in result.columns)


def test_bars_and_quotes_without_sizes_are_not_traded_by_accident(tmp_path: Path) -> None:
    """Refuse both unless the person says so and how much to pretend; then replay, and put it into the report."""
    path = source("bars", "btc-stables-1min-20230301", "l1_1min.csv.gz")
    tape = imported(tmp_path / "l1", "quotes-csv", path)
    config = settings("BTC/USD", ("coinbase", "binanceus"), limits={"book_age_recv_ms_max": 60_000,
                      "book_age_venue_ms_max": 60_000, "book_skew_ms_max": 60_000, "inventory_notional_max": 50_000_000,
                      "notional_per_arb_max": 2_000})  # fmt: skip
    with pytest.raises(UserError, match="--assume-qty"):
        stock(tape, config)
    chosen = stock(tape, config, assume_qty=Decimal("0.05"))
    result = run(plan(config, chosen, warnings=chosen.warnings))

    assert any("0.05 BTC assumed" in line for line in result.warnings)
    assert result.scanned.messages > 20_000
    assert result.scanned.crossed == 9
    assert all(column.ledger_matches_venues for column in result.columns)


def test_bars_can_be_replayed_by_whoever_insists(tmp_path: Path) -> None:
    """Refuse bars, and fill one tick around the close at the end of each bar when told to."""
    path = source("bars", "btc-stables-1min-20230301", "bars_1min.csv.gz")
    tape = imported(tmp_path / "bars", "bars-csv", path)
    config = settings("BTC/USD", ("coinbase", "kraken"), limits={"book_age_recv_ms_max": 60_000,
                      "book_age_venue_ms_max": 60_000, "book_skew_ms_max": 60_000, "inventory_notional_max": 50_000_000,
                      "notional_per_arb_max": 2_000})  # fmt: skip
    with pytest.raises(UserError, match="--i-know-bars-are-not-executable"):
        stock(tape, config)
    chosen = stock(tape, config, assume_qty=Decimal("0.05"), bars=True)
    result = run(plan(config, chosen, chosen=[Scenario.REALISTIC], warnings=chosen.warnings))

    assert any("not executable" in line for line in result.warnings)
    assert result.columns[0].ledger_matches_venues
    assert len(result.columns[0].arbs) > 0


def test_one_book_has_no_edge_to_itself(tmp_path: Path) -> None:
    """Refuse to let one recorded venue play two of ours."""
    folder = source("l2-deltas", "binance-btc-20240808")
    tape = imported(tmp_path / "binance", "binance-depth-log", *sorted(folder.glob("spot_*08.gz")))
    config = settings("BTC/USDT", ("binance", "kraken"), run={"name": "x", "symbols": ["BTC/USDT"], "ccy": "USDT"})
    with pytest.raises(UserError, match="has no BTC/USDT of kraken"):
        stock(tape, config)
    with pytest.raises(UserError, match="no edge to itself"):
        open_stock([tape], config, mapping={"kraken": "binance"}, allowances=Allowances(), cache_dir=None)


def test_whole_books_of_two_engines_are_replayed(tmp_path: Path) -> None:
    """Follow spot and perpetual, thousands of levels each, from raw logs; the basis between them is called an arb only by hand."""
    folder = source("l2-deltas", "binance-btc-20240808")
    logs = [*sorted(folder.glob("spot_*.gz")), *sorted(folder.glob("usdm_*.gz"))]
    tape = imported(tmp_path / "binance", "binance-depth-log", *logs)
    config = settings(
        "BTC/USDT", ("binance", "binance-usdm"), run={"name": "x", "symbols": ["BTC/USDT"], "ccy": "USDT"}
    )
    result = run(plan(config, stock(tape, config, derivatives=True), chosen=[Scenario.REALISTIC]))

    assert result.scanned.messages == 6_493 + 1 + 6_547 + 1
    assert result.scanned.crossed == 0
    assert result.columns[0].ledger_matches_venues
