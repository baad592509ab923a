"""The format of disasters: every mistake at once, variants laid over the rest, and worlds that are what the file says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from arbot.backtest.stress.file import load, parse
from arbot.backtest.stress.kinds import KINDS
from arbot.backtest.stress.protections import PROTECTIONS, without
from arbot.backtest.stress.world import World
from arbot.domain.errors import UserError
from arbot.domain.ids import Asset
from arbot.engine.config import EngineConfig

FOLDER = Path(__file__).resolve().parents[2] / "backtests" / "disasters"
NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=10)


def a_file(**changes):
    venue = {"symbols": ["BTC/USD"], "balances": {"USD": "1000", "BTC": "1"}}
    return {
        "title": "a test",
        "about": "a test",
        "sources": ["nobody"],
        "protections": ["size_caps"],
        "first": NOON,
        "last": LATER,
        "watch": {"kind": "venue", "node": "kraken"},
        "pennies": {"chance": "0"},
        "assets": {"BTC": {"price": [[NOON, 100], [LATER, 121]]}},
        "venues": {"kraken": venue, "coinbase": venue},
        **changes,
    }


def test_all_mistakes_are_told_together():
    """A file with five mistakes of five kinds tells all five."""
    events = [
        {"at": NOON, "kind": "earthquake"},
        {"at": NOON, "kind": "acks_slower", "venue": "kraken"},
        {"at": NOON, "kind": "rejects", "venue": "nowhere"},
    ]
    document = a_file(events=events, protections=["hope"], last=NOON)
    with pytest.raises(UserError) as caught:
        parse(document, "test")
    told = " ".join(str(one) for one in caught.value.mistakes)
    assert [word for word in ("earthquake", "factor", "nowhere", "hope", "last") if word not in told] == []


def test_wrong_values_are_told_together():
    """Unknown keys, paths that go back and moments without a zone are told with their places."""
    document = a_file(
        assets={"BTC": {"price": [[LATER, 100], [NOON, 121]]}},
        seeds=3,
        first=dt.datetime(2026, 1, 5),  # noqa: DTZ001 - the mistake
    )
    with pytest.raises(UserError) as caught:
        parse(document, "test")
    assert sorted(one.where for one in caught.value.mistakes) == [
        "test: assets.BTC.price",
        "test: first",
        "test: seeds",
    ]


def test_axes_make_every_combination():
    """Two axes of two options make four variants, each with its own events."""
    options = [{"name": "a"}, {"name": "b", "over": {"events": [{"at": NOON, "kind": "rejects", "venue": "kraken"}]}}]
    made = parse(a_file(axes=[{"name": "x", "options": options}, {"name": "y", "options": options}]), "test")
    assert [(one.variant, len(one.events)) for one in made] == [("a, a", 0), ("a, b", 1), ("b, a", 1), ("b, b", 2)]


def test_prices_go_through_their_points_whatever_the_noise():
    """Noise is zero at every given point, and the same seed gives the same world."""
    (calm,) = parse(a_file(fine=[{"at": NOON, "until": LATER}]), "test")
    noisy_asset = {"BTC": {"price": [[NOON, 100], [LATER, 121]], "volatility": "5"}}
    (noisy,) = parse(a_file(fine=[{"at": NOON, "until": LATER}], assets=noisy_asset), "test")
    one, other = World(calm).prices["BTC"], World(noisy).prices["BTC"]
    assert one[0] == pytest.approx(100)
    assert one[300] == pytest.approx(110)
    assert other[0] == pytest.approx(100)
    assert abs(other[300] - 110) > 0.001
    assert np.array_equal(other, World(noisy).prices["BTC"])


def test_every_shipped_file_is_right_and_says_its_sources():
    """All disasters load, name their sources, and mark what was assumed."""
    files = sorted(FOLDER.glob("*.toml"))
    assert len(files) >= 13
    for path in files:
        for one in load(path):
            assert one.sources, path.name
            assert one.assumptions, path.name


def test_every_protection_can_be_switched_off():
    """Each protection changes the configuration, or what the engine hears."""
    config = EngineConfig(ccy=Asset("USD"), venues=(), instruments=())
    idle = [
        name
        for name, one in PROTECTIONS.items()
        if without(config, [name]) == config and not one.deaf_to and not one.hides_closures
    ]
    assert idle == []


def test_every_kind_says_what_it_is():
    """Kinds are told with their words, and are in use or documented alike."""
    assert [name for name, kind in KINDS.items() if not kind.about] == []
