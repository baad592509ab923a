"""What a backtest repeats of the inspector's findings: all that is about what it replays, and nothing else."""

from __future__ import annotations

from pathlib import Path

from arbot.backtest.checked import warned
from arbot.backtest.tapes import Allowances, open_stock
from arbot.market.stream import Kind
from tests.support.tape_world import a_backtest
from tests.support.tapes import START, a_meta, message, written

S = 1_000_000_000


def polled(root: Path, venue: str, phase_s: int) -> None:
    """Write a tape of a venue that is looked at every ten seconds, and moves."""
    times = [START + (10 * look + phase_s) * S for look in range(200)]
    books = [((6_000_000 + number % 7, 500), (-6_000_900 - number % 5, 500)) for number in range(200)]
    written(root, [message(ts, Kind.SNAPSHOT, *book) for ts, book in zip(times, books, strict=True)], a_meta(venue))


def test_what_concerns_all_venues_of_a_base_is_repeated_too(tmp_path: Path) -> None:
    """Warn of venues that are polled out of phase: such a finding bears the name of the base, and of no series."""
    polled(tmp_path, "kraken", 0)
    polled(tmp_path, "coinbase", 5)
    settings = a_backtest(run={"symbols": ["BTC/USD"]})
    stock = open_stock([tmp_path], settings, mapping={}, allowances=Allowances(), cache_dir=None)

    told = warned(stock, [tmp_path], cache_dir=None, is_wanted=True, goes_on=True)

    assert ["phase_lag, BTC"] == [line.split(":")[0] for line in told if "phase_lag" in line]
