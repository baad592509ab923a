"""What a replay is said to have come to: each part of the money as a trader would compute it by hand."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest

from arbot.backtest.collect import Collector
from arbot.backtest.marks import Marks
from arbot.backtest.result import Replayed, SampleRow, Scenario
from arbot.backtest.samples import Samples
from arbot.domain.decisions import OpportunityDeclined, Outcome, Reason
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import BooksMoved, Envelope, Event, MovementState, TransferReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import ZERO
from arbot.engine.config import RiskLimits
from tests.support.engine_world import MS, START_NS, FakeMarket, World, an_instrument

NO_WINDOWS = np.empty((0, 5), np.int64)
EDGE = """
    kraken   book bid 99.8x5 ask 100.0x1 100.2x1
    coinbase book bid 101.0x1 100.9x1 ask 101.2x5
"""


class Watched(World):
    """A world whose every step a collector takes in."""

    def __init__(self, *venues: str, **options: object) -> None:
        self.collector: Collector | None = None
        super().__init__(venues or ("kraken", "coinbase"), **options)  # type: ignore[arg-type]
        for venue in self.instruments:
            self.line(f"{venue} book bid 99.8x5 ask 100.2x5")
        self.collector = Collector(
            ccy=Asset("USD"),
            instruments=tuple(self.instruments.values()),
            market=self.market,
            balances=lambda: {name: venue.totals for name, venue in self.engine.state.venues.items()},
            scenario=Scenario.REALISTIC,
            limits=RiskLimits(),
        )
        self.collector.sample(self.now_ns)

    def give(self, event: Event) -> list[str]:
        words = super().give(event)
        if self.collector is not None:
            self.collector.observe(*self.log[-1])
        return words

    def play(self, table: str, deposits: Decimal = ZERO, transfer_costs: Decimal = ZERO) -> Replayed:
        for line in filter(str.strip, table.splitlines()):
            self.line(line)
        return self.ended(deposits, transfer_costs)

    def transfer(self, venue: str, asset: str, qty: str) -> None:
        """Let money come to a venue or leave it."""
        totals = self.engine.state.venue(VenueId(venue)).totals
        totals[Asset(asset)] += Decimal(qty)
        self.give(
            TransferReported(
                venue=VenueId(venue),
                transfer_id=f"{self.seq}",
                asset=asset,
                qty=Decimal(qty),
                fee=ZERO,
                state=MovementState.DONE,
                venue_ts_ns=self.now_ns,
            )
        )

    def ended(self, deposits: Decimal = ZERO, transfer_costs: Decimal = ZERO) -> Replayed:
        assert self.collector is not None
        instruments = tuple(self.instruments.values())
        return self.collector.replayed(
            digest="d",
            now_ns=self.now_ns,
            windows=NO_WINDOWS,
            bests=(),
            instrument=lambda index: instruments[index],
            ledger_matches_venues=True,
            deposits=deposits,
            transfer_costs=transfer_costs,
        )


def parts(result: Replayed) -> dict[str, Decimal]:
    split = result.split
    return {
        name: getattr(split, name).normalize() for name in ("edge", "slippage", "unwinds", "fees", "inventory_moved")
    }


def whole(result: Replayed) -> Decimal:
    split = result.split
    return split.edge + split.slippage + split.unwinds - split.fees - split.transfer_costs + split.inventory


# What each table comes to, computed by hand. The arb buys 2 at (100.0 + 100.2) / 2 = 100.1 and sells 2 at
# (101.0 + 100.9) / 2 = 100.95: it promises 2 x 0.85 = 1.70. At the end both mids are 100 unless a book says otherwise.
BOTH = "\nkraken sent\ncoinbase sent\nkraken accepted\ncoinbase accepted\n"
CALM = "\nkraken book bid 99.8x5 ask 100.2x5\ncoinbase book bid 99.8x5 ask 100.2x5"
SCENARIOS = {
    "both legs as seen": (
        f"{EDGE}{BOTH}kraken filled 2 @100.1 fee 0.2 USD\ncoinbase filled 2 @100.95 fee 0.2 USD{CALM}",
        "edge 1.7 slippage 0 unwinds 0 fees 0.4 inventory_moved 0",
        "flat 2 2",
    ),
    "both legs, better and worse than seen": (
        f"{EDGE}{BOTH}kraken filled 1 @100.0\nkraken filled 1 @100.3\ncoinbase filled 2 @101.0{CALM}",
        "edge 1.7 slippage 0 unwinds 0 fees 0 inventory_moved 0",  # the buy 0.10 worse, the sale 0.10 better
        "flat 2 2",
    ),
    "missed": (
        f"{EDGE}{BOTH}kraken expired\ncoinbase expired{CALM}",
        "edge 0 slippage 0 unwinds 0 fees 0 inventory_moved 0",
        "missed 0 0",
    ),
    "half a leg missing, hedged on the second venue": (
        (
            f"{EDGE}{BOTH}kraken filled 2 @100.1\ncoinbase filled 1 @101.0\ncoinbase expired\n"
            f"coinbase sent\ncoinbase filled 1 @100.9{CALM}"
        ),
        # edge on 1, slippage: sold 1 at 101 instead of 100.95; the hedge sold at 100.9 what had cost 100.1
        "edge 0.85 slippage 0.05 unwinds 0.8 fees 0 inventory_moved 0",
        "flat 2 1",
    ),
    "a leg missing, unwound where it was bought": (
        (
            f"{EDGE}{BOTH}coinbase invalid\nkraken filled 2 @100.1 fee 0.2 USD\ncoinbase expired\n"
            f"kraken sent\nkraken filled 2 @99.8 fee 0.2 USD{CALM}"
        ),
        "edge 0 slippage 0 unwinds -0.6 fees 0.4 inventory_moved 0",
        "flat 2 0",
    ),
    "sold first, the buying leg missing, bought back dearer": (
        (
            f"{EDGE}{BOTH}kraken invalid\ncoinbase filled 2 @100.95\nkraken expired\n"
            f"coinbase sent\ncoinbase filled 2 @101.2{CALM}"
        ),
        "edge 0 slippage 0 unwinds -0.5 fees 0 inventory_moved 0",
        "flat 0 2",
    ),
    "less than a minimum is left over and carried": (
        f"{EDGE}{BOTH}kraken filled 2 @100.1\ncoinbase filled 1.95 @100.95\ncoinbase expired{CALM}",
        # 0.05 is kept: bought at 100.1, worth 100 at the end
        "edge 1.6575 slippage 0 unwinds 0 fees 0 inventory_moved -0.005",
        "flat 2 1.95",
    ),
    "the gap between the venues stays": (
        (
            f"{EDGE}{BOTH}kraken filled 2 @100.1\ncoinbase filled 2 @100.95\n"
            "kraken book bid 99.8x5 ask 100.2x5\ncoinbase book bid 100.8x5 ask 101.2x5"
        ),
        # what was bought is worth 100 each, what was sold would be worth 101 each
        "edge 1.7 slippage 0 unwinds 0 fees 0 inventory_moved -2",
        "flat 2 2",
    ),
    "a fee in base": (
        f"{EDGE}{BOTH}kraken filled 2 @100.1 fee 0.01 BTC\ncoinbase filled 2 @100.95{CALM}",
        # at the mid of kraken's book when it was charged: (99.8 + 100.0) / 2
        "edge 1.7 slippage 0 unwinds 0 fees 0.999 inventory_moved -0.001",
        "flat 2 2",
    ),
    "a fill that is told twice and one that is taken back": (
        (
            f"{EDGE}{BOTH}kraken filled 2 @100.1\nkraken again\nkraken busted\nkraken filled 2 @100.1\n"
            f"coinbase filled 2 @100.95{CALM}"
        ),
        "edge 1.7 slippage 0 unwinds 0 fees 0 inventory_moved 0",
        "flat 2 2",
    ),
    "unwound, and then the missing leg turns out to have filled": (
        (
            f"{EDGE}{BOTH}coinbase invalid\nkraken filled 2 @100.1\ncoinbase expired\nkraken sent\nkraken filled 2 @99.8\n"
            f"coinbase book bid 101.0x5 ask 101.2x5\ncoinbase late 2 @100.95\ncoinbase sent\ncoinbase filled 2 @101.2{CALM}"
        ),
        # both legs filled after all: 1.70; selling at 99.8 and buying back at 101.2 cost 2.80
        "edge 1.7 slippage 0 unwinds -2.8 fees 0 inventory_moved 0",
        "flat 2 2",
    ),
}


class TestSplit:
    """Where the money came from."""

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_each_part_is_what_a_trader_would_compute(self, name):
        """The parts of every scenario are the ones written beside it, and the arb's row says how it ended."""
        table, expected, row = SCENARIOS[name]
        result = LateWorld().play(table)
        words = iter(expected.split())
        assert {part: Decimal(number) for part, number in zip(words, words, strict=True)} == parts(result)
        state, bought, sold = row.split()
        (arb,) = result.arbs
        assert (state, Decimal(bought), Decimal(sold)) == (arb.state, arb.leg_qty_buy, arb.leg_qty_sell)
        assert arb.pnl_net == arb.edge + arb.slippage + arb.unwinds - arb.fees

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_the_parts_are_the_change_of_equity(self, name):
        """The parts add up to the change of equity without the smallest remainder."""
        result = LateWorld().play(SCENARIOS[name][0])
        assert result.equity_end - result.equity_start == whole(result)

    def test_what_was_held_anyway_is_told_apart_from_what_was_moved(self):
        """A rise of all prices is inventory but not the arbs' doing: 20 BTC that rise by 10 are 200."""
        table = f"{SCENARIOS['both legs as seen'][0]}\nkraken book bid 109.8x5 ask 110.2x5\ncoinbase book bid 109.8x5 ask 110.2x5"
        split = LateWorld().play(table).split
        assert (Decimal(200), ZERO) == (split.inventory, split.inventory_moved)

    def test_balances_that_nothing_explains_are_not_taken_for_profit_of_arbs(self):
        """Money that came from nowhere is in inventory, and the arbs' own figures do not know it."""
        world = LateWorld()
        world.engine.state.venue(VenueId("kraken")).totals[Asset("USD")] += 7
        result = world.play(CALM)
        assert {"edge": ZERO, "slippage": ZERO, "unwinds": ZERO, "fees": ZERO, "inventory_moved": 7} == parts(result)

    def test_a_deposit_is_no_profit_and_its_later_rise_is_the_markets(self):
        """1 BTC comes at 100 and everything rises to 110: 100 paid in, and 210 of market moves on 21 BTC."""
        world = LateWorld()
        world.transfer("kraken", "BTC", "1")
        up = "kraken book bid 109.8x5 ask 110.2x5\ncoinbase book bid 109.8x5 ask 110.2x5"
        result = world.play(up, deposits=Decimal(100))
        assert (Decimal(210), ZERO) == (result.split.inventory, result.split.inventory_moved)
        assert result.equity_end - result.equity_start - 100 == whole(result)

    def test_a_transfer_takes_back_the_gap_that_arbs_left(self):
        """2 BTC went from the dear venue to the cheap one and are carried back for 0.01 BTC: no gap is left."""
        world = LateWorld()
        world.play(SCENARIOS["the gap between the venues stays"][0])
        world.transfer("kraken", "BTC", "-2")
        world.transfer("coinbase", "BTC", "1.99")
        result = world.play("", transfer_costs=Decimal("1.01"))  # 0.01 at coinbase's mid
        assert (Decimal("1.7"), ZERO) == (result.split.edge, result.split.inventory_moved)
        assert result.equity_end - result.equity_start == whole(result)

    def test_parts_that_are_not_the_cash_are_refused(self):
        """An arb whose fills were tampered with is found out when it is taken apart."""
        world = LateWorld()
        world.play(SCENARIOS["both legs as seen"][0])
        arb = next(iter(world.collector._arbs.values()))
        arb.sell_average = Decimal("NaN")
        with pytest.raises((InvariantBroken, ArithmeticError)):
            arb.parts()


class LateWorld(Watched):
    """One more word: `<venue> late 2 @100` fills the first order that was sent there, long after it ended."""

    def venue_line(self, venue: VenueId, text: str) -> list[str]:
        if text.startswith("late "):
            last = self.intents[:]
            first = next(intent for intent in last if intent.venue == venue)
            self.intents.append(first)
            try:
                return super().venue_line(venue, text.replace("late", "filled"))
            finally:
                self.intents.remove(first)
                self.intents[:] = last + self.intents[len(last) :]
        return super().venue_line(venue, text)


class TestRows:
    """Arbs, fills, declines and samples."""

    def test_fills_carry_the_purpose_of_their_order(self):
        """Fills are rows in the order they were told, named after arb, order and purpose."""
        result = LateWorld().play(SCENARIOS["half a leg missing, hedged on the second venue"][0])
        assert [("leg", "kraken", "buy"), ("leg", "coinbase", "sell"), ("hedge", "coinbase", "sell")] == [
            (fill.purpose, fill.venue, fill.side) for fill in result.fills
        ]
        assert {"1-1"} == {fill.arb_id for fill in result.fills}

    def test_fill_ratio_counts_the_legs(self):
        """Three of the four that both legs ordered were filled by them: three quarters, by value a little more."""
        result = LateWorld().play(SCENARIOS["half a leg missing, hedged on the second venue"][0])
        assert pytest.approx((2 * 100.2 + 100.9) / (2 * 100.2 + 2 * 100.9)) == result.fill_ratio
        assert (result.orders, result.rejects, result.routes[0].arbs) == (3, 0, 1)

    def test_a_carried_residual_is_flushed_against_the_mid(self):
        """Two residuals of 0.05 make a minimum order: sold at the bid of 99.8 under a mid of 100, it costs 0.02."""
        world = LateWorld()
        arb = f"{EDGE}{BOTH}kraken filled 2 @100.1\ncoinbase filled 1.95 @100.95\ncoinbase expired{CALM}\nwait 1s"
        world.play(arb)
        world.play(arb.replace(CALM, "").replace("wait 1s", "").replace("coinbase expired", ""))
        world.play("kraken book bid 99.8x5 ask 100.2x5\ncoinbase book bid 99.8x5 ask 100.2x5\ncoinbase expired")
        result = world.play(
            "coinbase filled 0.1 @99.8" if world.intents[-1].venue == "coinbase" else "kraken filled 0.1 @99.8"
        )
        flush = result.arbs[-1]
        assert ("flush", Decimal("0.1"), Decimal("-0.02")) == (flush.state, flush.qty, flush.unwinds)
        assert result.equity_end - result.equity_start == whole(result)

    def test_declines_are_counted_by_route_and_reason_with_the_best_edge(self):
        """Ten thousand declines are one row that remembers how good the best of them was."""
        world = LateWorld()
        kraken, coinbase = (world.instruments[VenueId(name)].id for name in ("kraken", "coinbase"))
        for number in range(10_000):
            declined = OpportunityDeclined(
                buy=kraken, sell=coinbase, reason=Reason.NO_EDGE, edge_net_bps=Decimal(number % 7)
            )
            moved = Envelope(number, START_NS, BooksMoved(instruments=(kraken,)))
            world.collector.observe(moved, Outcome(decisions=(declined,)))
        (row,) = world.ended().declines
        assert ("kraken", "coinbase", "BTC/USD", "no_edge", 10_000, Decimal(6)) == (
            row.buy_venue, row.sell_venue, row.symbol, row.reason, row.count, row.edge_net_bps_max,
        )  # fmt: skip
        assert {"no_edge": 10_000} == world.ended().totals.opportunities_declined

    def test_the_moment_of_one_leg_is_in_exposure_and_limit_use(self):
        """2 BTC bought and not yet sold at about 100 are 200 unhedged, though the arb is flat at the next sample."""
        result = LateWorld().play(SCENARIOS["both legs as seen"][0])
        peak = max(result.samples, key=lambda sample: sample.unhedged)
        assert Decimal("199.8") == peak.unhedged  # at kraken's mid of 99.9
        assert 0.5 == max(sample.limit_use["arbs_open"] for sample in result.samples)

    def test_equal_runs_have_equal_order_hashes_and_others_do_not(self):
        """The hash of orders and fills depends on them and on nothing else."""
        one, two = (LateWorld().play(SCENARIOS["both legs as seen"][0]) for _ in range(2))
        other = LateWorld().play(SCENARIOS["missed"][0])
        assert one.order_hash == two.order_hash
        assert re.fullmatch("[0-9a-f]{64}", one.order_hash)
        assert one.order_hash != other.order_hash


class TestWindows:
    """What the scanner's windows are told as."""

    def test_windows_become_shares_bins_and_routes(self):
        """Of three windows of 4, 20 and 3000 ms two last 5 ms and one lasts 500; the peaks fall into bins of bps."""
        world = LateWorld()
        instruments = tuple(world.instruments.values())
        bps = 10**8
        windows = np.array(
            [
                [0, 1, START_NS, START_NS + 4 * MS, 3 * bps],
                [0, 1, START_NS, START_NS + 20 * MS, 4 * bps],
                [1, 0, START_NS, START_NS + 3000 * MS, 12 * bps],
            ]
        )
        result = world.collector.replayed(
            digest="d", now_ns=START_NS, windows=windows, bests=[(0, 1, -3 * bps, 5), (1, 0, 12 * bps, 6)], instrument=lambda index: instruments[index],
            ledger_matches_venues=True, deposits=ZERO, transfer_costs=ZERO,
        )  # fmt: skip
        assert {0: 3, 5: 2, 20: 2, 50: 1, 500: 1, 5000: 0} == {
            row.latency_ms: row.windows for row in result.win if row.latency_ms in (0, 5, 20, 50, 500, 5000)
        }
        assert [(2.0, 5.0, 2), (5.0, 10.0, 0), (10.0, 20.0, 1)] == [
            (row.edge_net_bps_low, row.edge_net_bps_high, row.windows) for row in result.edges
        ]
        assert [("kraken", "coinbase", 2, 12.0), ("coinbase", "kraken", 1, 3000.0)] == [
            (row.buy_venue, row.sell_venue, row.windows, row.window_ms_median) for row in result.routes
        ]
        assert (3, "coinbase") == (result.windows_total, result.windows[0].buy_venue)
        assert [("coinbase", Decimal(12), 6), ("kraken", Decimal(-3), 5)] == [
            (row.buy_venue, row.edge_net_bps, row.ts_ns) for row in result.best_edges
        ]


class TestSamples:
    """The account over time."""

    def test_thinning_keeps_drawdown_and_peaks(self):
        """However many samples come, few are kept, and the deepest fall and the largest exposure are among them."""
        samples = Samples(samples_max=100)
        for number in range(10_000):
            equity = Decimal(1000) if number != 5_001 else Decimal(900)
            unhedged = Decimal(50) if number == 7_777 else ZERO
            row = SampleRow(
                ts_ns=number,
                equity=equity,
                realised=ZERO,
                unhedged=unhedged,
                value_by_venue={},
                limit_use={"x": number / 1e4},
            )
            samples.add(row)
        rows = samples.rows
        assert len(rows) <= 100
        assert (Decimal(100), Decimal(900)) == (samples.drawdown_max, min(row.equity for row in rows))
        assert Decimal(50) == max(row.unhedged for row in rows)
        assert (9_999, 0.9999) == (rows[-1].ts_ns, max(row.limit_use["x"] for row in rows))
        assert sorted(row.ts_ns for row in rows) == [row.ts_ns for row in rows]

    def test_an_asset_priced_late_is_valued_from_the_start(self):
        """The first price of something that was held all the while is no profit."""
        world = World()
        collector = Collector(
            ccy=Asset("USD"), instruments=tuple(world.instruments.values()), market=world.market,
            balances=lambda: {VenueId("kraken"): {Asset("USD"): Decimal(5), Asset("BTC"): Decimal(2)}},
            scenario=Scenario.NAIVE, limits=RiskLimits(),
        )  # fmt: skip
        collector.sample(START_NS)
        world.line("kraken book bid 99x1 ask 101x1")
        collector.sample(START_NS + 1)
        result = collector.replayed(
            digest="d", now_ns=START_NS + 2, windows=NO_WINDOWS, instrument=lambda _: an_instrument("kraken"),
            ledger_matches_venues=True, deposits=ZERO, transfer_costs=ZERO,
        )  # fmt: skip
        assert (Decimal(205), Decimal(205)) == (result.equity_start, result.equity_end)
        assert {Decimal(205)} == {sample.equity for sample in result.samples}
        assert (ZERO, ()) == (result.drawdown_max, result.unpriced)

    def test_what_never_has_a_price_is_named(self):
        """An asset without a book counts for nothing and is told by name."""
        collector = Collector(
            ccy=Asset("USD"), instruments=(an_instrument("kraken"),), market=FakeMarket(),
            balances=lambda: {VenueId("kraken"): {Asset("USD"): Decimal(5), Asset("ETH"): Decimal(2)}},
            scenario=Scenario.NAIVE, limits=RiskLimits(),
        )  # fmt: skip
        result = collector.replayed(
            digest="d", now_ns=START_NS, windows=NO_WINDOWS, instrument=lambda _: an_instrument("kraken"),
            ledger_matches_venues=True, deposits=ZERO, transfer_costs=ZERO,
        )  # fmt: skip
        assert (Decimal(5), ("ETH at kraken",)) == (result.equity_end, result.unpriced)


class TestMarks:
    """What things are worth."""

    BOOKS = {  # noqa: RUF012 - never changed
        ("kraken", "BTC/USD"): 100, ("coinbase", "BTC/USD"): 102, ("binance", "BTC/USDT"): 110,
        ("kraken", "USDT/USD"): 2, ("coinbase", "USD/EUR"): 4,
    }  # fmt: skip

    @pytest.mark.parametrize(
        ("venue", "asset", "value"),
        [
            ("kraken", "USD", "1"),
            ("kraken", "BTC", "100"),
            ("coinbase", "BTC", "102"),
            ("binance", "BTC", "220"),  # its own book in USDT, times USDT
            ("binance", "USDT", "2"),
            ("in transit", "BTC", "100"),
            ("coinbase", "EUR", "0.25"),
            ("kraken", "DOGE", None),
        ],
    )
    def test_each_asset_is_worth_what_the_nearest_book_says(self, venue, asset, value):
        """The venue's own book first, then through another quote, then any venue's, and nothing at par."""
        market = FakeMarket()
        instruments = [an_instrument(name, symbol) for name, symbol in self.BOOKS]
        for instrument, mid in zip(instruments, self.BOOKS.values(), strict=True):
            market.set(instrument.id, START_NS, f"{mid}x1", f"{mid}x1")
        marks = Marks(Asset("USD"), instruments, market)
        assert (None if value is None else Decimal(value)) == marks.refresh(VenueId(venue), Asset(asset))

    def test_the_last_price_holds_when_a_book_goes(self):
        """A book that is dropped keeps its last mid."""
        market, instrument = FakeMarket(), an_instrument("kraken")
        market.set(instrument.id, START_NS, "99x1", "101x1")
        marks = Marks(Asset("USD"), [instrument], market)
        assert Decimal(100) == marks.refresh(VenueId("kraken"), Asset("BTC"))
        market.valid[instrument.id] = False
        assert Decimal(100) == marks.refresh(VenueId("kraken"), Asset("BTC"))
