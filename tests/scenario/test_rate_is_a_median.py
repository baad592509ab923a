"""What an asset is worth in the caps is the median over the books that speak: one venue's wick moves nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.ids import Asset
from arbot.engine.config import RiskLimits
from tests.support.engine_world import World

VENUES = ("kraken", "coinbase", "bitstamp")
BTC = Asset("BTC")


def world_at(*mids: str, limits: RiskLimits = RiskLimits()) -> World:  # noqa: B008 - frozen
    """Return a world in which each venue's book is around one of these prices."""
    world = World(VENUES, limits=limits, edge_net_bps_min="9999")
    for venue, mid in zip(VENUES, mids, strict=False):
        world.line(f"{venue} book bid {Decimal(mid) - 1}x1 ask {Decimal(mid) + 1}x1")
    return world


@pytest.mark.parametrize(
    ("mids", "expected"), [(("100", "101", "55"), "100"), (("55", "101", "100"), "100"), (("100", "103"), "101.5")]
)
def test_the_middle_book_decides_in_any_order(mids: tuple[str, ...], expected: str) -> None:
    """Take the middle of three whichever venue has the wick, and the mean of two."""
    assert Decimal(expected) == world_at(*mids).engine.state.rate(BTC)


def test_books_that_went_silent_are_outvoted_and_then_better_than_nothing() -> None:
    """Leave out what was not heard of lately while another speaks; when none does, take the median of what they last said."""
    world = world_at("100", "90", "80", limits=RiskLimits(book_age_recv_ms_max=1_000))
    for venue in ("coinbase", "bitstamp"):
        world.line(f"{venue} silent")
    world.line("wait 3s")
    world.line("operator resume")
    assert Decimal(100) == world.engine.state.rate(BTC)

    world.line("kraken silent")
    world.line("wait 3s")
    world.line("operator pause")
    assert Decimal(90) == world.engine.state.rate(BTC)


def test_invalid_books_have_no_say_and_none_is_no_rate() -> None:
    """Price nothing by books that failed their checks, also between steps, when nothing may be remembered."""
    world = world_at("100", "90", "80")
    world.line("kraken invalid")
    assert Decimal(85) == world.engine.state.rate(BTC)
    for venue in ("coinbase", "bitstamp"):
        world.line(f"{venue} invalid")
    assert world.engine.state.rate(BTC) is None
    assert not world.engine.state.is_priced(BTC)
    assert {} == world.engine.state.rates_of_step
