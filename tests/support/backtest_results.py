"""Made-up results of backtests: none, one or many arbs, and names that try to break out of the page."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random

from arbot.backtest.result import (
    ArbRow,
    BinRow,
    DeclineRow,
    FillRow,
    Replayed,
    Result,
    RouteRow,
    SampleRow,
    Scanned,
    Scenario,
    Split,
    WindowRow,
    WinRow,
)
from arbot.backtest.windows import LATENCIES_MS
from arbot.observe.summary import Totals

START_NS = 1_790_000_000_000_000_000
DAY_NS = 86_400_000_000_000
MS = 1_000_000
_LATENCY_MS = {Scenario.NAIVE: 0.0, Scenario.REALISTIC: 63.5, Scenario.PESSIMISTIC: 190.25}
_SHARE = {Scenario.NAIVE: "1", Scenario.REALISTIC: "0.62", Scenario.PESSIMISTIC: "-0.15"}
VENUES = (("kraken", "coinbase"), ("coinbase", "kraken"), ("bitstamp", "kraken"))


def a_result(arbs: int, *, name: str = "two weeks of BTC", warnings: tuple[str, ...] = (), windows: int = 0) -> Result:
    """Return a result whose realistic column has so many arbs; equal arguments give equal results."""
    windows = windows or arbs * 3
    return Result(
        name=name,
        ccy="USD",
        tapes=("tapes/2026-09",),
        config_digest="c0ffee" * 10,
        code_version="0.3.0",
        seed=7,
        scanned=Scanned(
            rows=10_000_000,
            messages=6_200_000,
            candidates=48_000,
            first_ts_ns=START_NS,
            last_ts_ns=START_NS + 14 * DAY_NS,
            instruments=("BTC/USD@kraken", "BTC/USD@coinbase", "BTC/USD@bitstamp"),
            crossed=12,
            one_sided=3,
        ),
        columns=tuple(a_column(scenario, arbs, windows) for scenario in Scenario),
        warnings=warnings,
        settings={"backtest.request_ms": "60", "strategy.edge_net_bps_min": "2", "fees kraken": "taker 0.0026"},
    )


def a_column(scenario: Scenario, arbs: int, windows: int) -> Replayed:
    """Return one column, its split adding up."""
    chance = Random(f"{scenario}{arbs}")
    rows = tuple(an_arb(number, scenario, chance, arbs) for number in range(arbs))
    split = Split(
        edge=sum((row.edge for row in rows), Decimal(0)),
        slippage=sum((row.slippage for row in rows), Decimal(0)),
        unwinds=sum((row.unwinds for row in rows), Decimal(0)),
        fees=sum((row.fees for row in rows), Decimal(0)),
        transfer_costs=Decimal("4.5") if arbs > 1 else Decimal(0),
        inventory=Decimal("-310.25"),
        inventory_moved=Decimal("-41.75") if arbs else Decimal(0),
    )
    change = split.edge + split.slippage + split.unwinds - split.fees - split.transfer_costs + split.inventory
    reasons = {"no_edge": 41_200, "cool_down": 380, "book_age_recv": 95, "balance_short": 11}
    samples = tuple(some_samples(rows, change))
    return Replayed(
        scenario=scenario,
        digest=f"{scenario.value[:1]}" * 64,
        totals=some_totals(rows, reasons),
        equity_start=Decimal(250000),
        equity_end=Decimal(250000) + change,
        deposits=Decimal(0),
        drawdown_max=Decimal("655.31"),
        split=split,
        fill_ratio=0.913 if arbs else 0.0,
        orders=2 * arbs,
        rejects=arbs // 20,
        ledger_matches_venues=True,
        arbs=rows,
        fills=tuple(fill for row in rows for fill in some_fills(row)),
        samples=samples,
        windows=tuple(
            WindowRow(
                buy_venue="kraken",
                sell_venue="coinbase",
                symbol="BTC/USD",
                start_ts_ns=START_NS + number * DAY_NS // 100,
                end_ts_ns=START_NS + number * DAY_NS // 100 + 9_000 * MS // (number + 1),
                edge_net_bps_peak=14.5 - number / 100,
            )
            for number in range(min(windows, 50))
        ),
        windows_total=windows,
        win=tuple(some_wins(windows)),
        routes=tuple(some_routes(rows, windows)),
        declines=tuple(
            DeclineRow(
                buy_venue="kraken",
                sell_venue="coinbase",
                symbol="BTC/USD",
                reason=reason,
                count=count,
                edge_net_bps_max=Decimal("-3.25") if reason == "no_edge" else Decimal("8.75") if arbs else Decimal(-9),
            )
            for reason, count in reasons.items()
        ),
        order_hash=f"{scenario.value[-1:]}" * 64,
        latency_ms=_LATENCY_MS[scenario] if arbs else 0.0,
        edges=tuple(
            BinRow(
                edge_net_bps_low=low,
                edge_net_bps_high=high,
                windows=int(windows * share),
                seconds=windows * share * 0.3,
            )
            for low, high, share in ((2.0, 5.0, 0.55), (5.0, 10.0, 0.3), (10.0, 20.0, 0.12), (20.0, 50.0, 0.03))
        )
        if windows
        else (),
    )


def an_arb(number: int, scenario: Scenario, chance: Random, count: int) -> ArbRow:
    """Return one arb of a column."""
    buy, sell = VENUES[number % 3]
    edge = Decimal(str(round(chance.uniform(0.5, 9), 4)))
    kept = edge * Decimal(_SHARE[scenario])
    fees, slippage = Decimal("0.35"), Decimal(str(round(-chance.uniform(0, 0.4), 4)))
    is_missed, opened = number % 17 == 5, START_NS + (number + 1) * 14 * DAY_NS // (count + 1)
    unwinds = Decimal(0) if is_missed else kept - edge
    if is_missed:
        edge = fees = slippage = Decimal(0)
    return ArbRow(
        arb_id=f"1-{number + 1}",
        opened_ts_ns=opened,
        closed_ts_ns=opened + 80 * MS,
        buy_venue=buy,
        sell_venue=sell,
        symbol="BTC/USD",
        qty=Decimal("0.015"),
        leg_qty_buy=Decimal(0) if is_missed else Decimal("0.015"),
        leg_qty_sell=Decimal(0) if is_missed else Decimal("0.0148"),
        edge_gross_bps=Decimal("61.2345"),
        edge_net_bps=Decimal("9.8765"),
        edge=edge,
        slippage=slippage,
        unwinds=unwinds,
        fees=fees,
        pnl_net=edge + slippage + unwinds - fees,
        unhedged_ms=chance.randrange(20, 900),
        state="missed" if is_missed else "flat",
        rejects=int(number % 20 == 19),
    )


def some_fills(arb: ArbRow) -> list[FillRow]:
    """Return the fills of both legs."""
    legs = (("buy", arb.buy_venue, arb.leg_qty_buy), ("sell", arb.sell_venue, arb.leg_qty_sell))
    return [
        FillRow(
            ts_ns=arb.opened_ts_ns + 60 * MS,
            arb_id=arb.arb_id,
            client_order_id=f"ab{arb.arb_id}{side}",
            purpose="leg",
            venue=venue,
            symbol=arb.symbol,
            side=side,
            qty=qty,
            price=Decimal("64000.1") if side == "buy" else Decimal("64390.25"),
            fee=Decimal("0.175"),
            fee_asset="USD",
            liquidity="taker",
        )
        for side, venue, qty in legs
        if qty
    ]


def some_totals(rows: tuple[ArbRow, ...], reasons: dict[str, int]) -> Totals:
    """Return the totals of some arbs."""
    net = sum((row.pnl_net for row in rows), Decimal(0))
    fees = sum((row.fees for row in rows), Decimal(0))
    return Totals(
        arbs_opened=len(rows),
        arbs_flat=len(rows),
        arbs_missed=sum(row.state == "missed" for row in rows),
        arbs_stranded=0,
        fills=2 * len(rows),
        volume_quote=Decimal("1920.5") * len(rows),
        pnl_gross=net + fees,
        fees=fees,
        pnl_net=net,
        unhedged_seconds_max=Decimal("0.896") if rows else Decimal(0),
        orders_unknown=0,
        orders_unknown_settled=0,
        opportunities_declined=reasons,
    )


def some_samples(rows: tuple[ArbRow, ...], change: Decimal) -> list[SampleRow]:
    """Return 400 samples that end at the change of equity."""
    samples = []
    for number in range(400):
        ts_ns = START_NS + number * 14 * DAY_NS // 399
        done = [row for row in rows if row.closed_ts_ns <= ts_ns]
        realised = sum((row.pnl_net for row in done), Decimal(0))
        wave = Decimal(round(300 * math.sin(number / 25) * (399 - number) / 399, 2))
        equity = Decimal(250_000) + change * number / 399 + wave
        samples.append(
            SampleRow(
                ts_ns=ts_ns,
                equity=equity,
                realised=realised,
                unhedged=Decimal(960 * (number % 9 == 0) * bool(rows)),
                value_by_venue={"kraken": equity * 4 / 10, "coinbase": equity * 4 / 10, "bitstamp": equity * 2 / 10},
                limit_use={
                    "arbs_open": 0.5 * (number % 40 < 3),
                    "counterparty_share": 0.53,
                    "loss_day": (number % 50) / 90,
                },
            )
        )
    return samples


def some_wins(windows: int) -> list[WinRow]:
    """Return shares that fall with the latency."""
    shares = [math.exp(-latency / 300) if windows else 0.0 for latency in LATENCIES_MS]
    return [
        WinRow(latency_ms=latency, windows=int(windows * share), share=share)
        for latency, share in zip(LATENCIES_MS, shares, strict=True)
    ]


def some_routes(rows: tuple[ArbRow, ...], windows: int) -> list[RouteRow]:
    """Return a row for each pair of venues that has something to tell."""
    routes = []
    for buy, sell in VENUES[: 3 if windows else 0]:
        mine = [row for row in rows if (row.buy_venue, row.sell_venue) == (buy, sell)]
        routes.append(
            RouteRow(
                buy_venue=buy,
                sell_venue=sell,
                symbol="BTC/USD",
                windows=windows // 3,
                window_ms_median=140.5,
                arbs=len(mine),
                missed=sum(row.state == "missed" for row in mine),
                volume=Decimal("1920.5") * len(mine),
                edge=sum((row.edge for row in mine), Decimal(0)),
                fees=sum((row.fees for row in mine), Decimal(0)),
                pnl_net=sum((row.pnl_net for row in mine), Decimal(0)),
                fill_ratio=0.91 if mine else 0.0,
            )
        )
    return routes
