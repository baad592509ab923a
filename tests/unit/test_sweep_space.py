"""Which settings a sweep asks, and how mistakes in asking are told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.backtest.sweep_space import (
    candidate,
    digest_of,
    draws,
    grid,
    parse_axes,
    points,
    read_base,
    shares_scan,
)
from arbot.domain.errors import UserError
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.load import parse
from tests.support.sweep_tapes import three_streams

CONFIG = """
[run]
name = "swept"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = "10000", BTC = "1" }
[paper.venues.coinbase]
balances = { USD = "10000", BTC = "1" }
taker_bps = 12
[backtest]
latency = "fixed"
request_ms = 60
"""


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "arbot.toml"
    path.write_text(CONFIG)
    return read_base(path, tmp_path)


def test_grid_is_every_combination(base):
    """A grid asks every combination once, and each is a whole config with just those keys changed."""
    axes = parse_axes(["limits.arbs_open_max=1,2", "backtest.request_ms=20,60.5,100"], is_random=False)
    made = points(base, axes, grid(axes))
    expected = [(arbs, Decimal(ms)) for arbs in (1, 2) for ms in ("20", "60.5", "100")]
    found = [point.settings for point in made]
    assert expected == [(one.limits.arbs_open_max, one.backtest.request_ms) for one in found]
    assert {"limits.arbs_open_max": "1", "backtest.request_ms": "60.5"} == made[1].values
    assert len({digest_of(one) for one in found}) == 6
    assert "arbs_open_max" not in str(base.document)


def test_short_keys_reach_params_and_accounts(base):
    """Strategy parameters and fees of a venue may be named without the tables they lie in."""
    axes = parse_axes(["strategy.edge_net_bps_min=7", "venues.kraken.taker_bps=9"], is_random=False)
    (point,) = points(base, axes, grid(axes))
    one = point.settings
    assert {"edge_net_bps_min": 7} == one.strategy.params
    assert Decimal(9) == one.paper.venues["kraken"].taker_bps
    assert shares_scan(one, axes)


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("limits.arbs_open_maxi=1,2", "limits.arbs_open_maxi", "there is no such key"),
        ("nowhere.at_all=1", "nowhere", "there is no such key"),
        ("run.name.below=1", "--grid run.name.below", "name is not a table"),
        ("limits.arbs_open_max=0", "limits.arbs_open_max", "not positive"),
        ("limits.arbs_open_max", "--grid limits.arbs_open_max", "not key=value"),
        ("limits.arbs_open_max=1,,2", "--grid", "empty or stands there twice"),
        ("limits.arbs_open_max=1..3", "--grid", "needs --random"),
        ("limits.arbs_open_max=3..1", "--grid", "goes up"),
        ("limits.arbs_open_max=log:0..1", "--grid", "above zero"),
    ],
)
def test_mistakes_name_the_key(base, text, place, told):
    """An unknown key, a value out of bounds and an axis that cannot be read are mistakes of the user that say where."""

    def ask():
        axes = parse_axes([text], is_random=False)
        points(base, axes, grid(axes))

    with pytest.raises(UserError) as error:
        ask()
    assert any(place in one.where and told in one.what for one in error.value.mistakes), str(error.value)


def test_draws_repeat_and_stay_inside(base):
    """Random settings are the same for the same seed, unlike one another, inside their ranges, whole where bounds are."""
    texts = ["limits.arbs_open_max=1..9", "backtest.request_ms=log:0.5..200", "execution.depth_max=5,25"]
    axes = parse_axes(texts, is_random=True)
    drawn = list(draws(axes, 40, seed=3))
    assert list(draws(axes, 40, seed=3)) == drawn
    assert list(draws(axes, 40, seed=4)) != drawn
    assert len(set(drawn)) == len(drawn) == 40
    assert all(type(arbs) is int and 1 <= arbs <= 9 for arbs, _, _ in drawn)
    assert all(Decimal("0.5") <= ms <= 200 for _, ms, _ in drawn)
    assert sum(ms < 10 for _, ms, _ in drawn) > 10, "half of the logarithms lie below 10"
    assert len(points(base, axes, iter(drawn))) == 40


def test_few_combinations_are_drawn_once():
    """When there are fewer settings than asked for, each is drawn once."""
    axes = parse_axes(["execution.depth_max=5,25"], is_random=True)
    assert [(5,), (25,)] == sorted(draws(axes, 10, seed=1))


def test_other_keys_do_not_share_the_scan(base):
    """A key the compiled pass knows nothing of, or another strategy, sends every setting through the full engine."""
    axes = parse_axes(["backtest.reject_share=0,0.1"], is_random=False)
    (point, _) = points(base, axes, grid(axes))
    assert not shares_scan(point.settings, axes)
    axes = parse_axes(["strategy.name=own.strategy"], is_random=False)
    (point,) = points(base, axes, grid(axes))
    assert not shares_scan(point.settings, ())


def test_digest_is_of_what_matters(base):
    """The name of the run and its log do not make a setting another one; a fee does."""
    one, other = ({**base.document, "run": {**base.document["run"], "name": name}} for name in ("one", "other"))
    axes = parse_axes(["venues.kraken.taker_bps=9"], is_random=False)
    (dearer,) = points(base, axes, grid(axes))
    digests = [digest_of(parse(document, base=base.folder)) for document in (one, other, dearer.document)]
    assert digests[0] == digests[1] != digests[2]


def test_candidate_is_what_the_settings_say(base):
    """The compiled pass gets the fees, latencies, balances and thresholds of the setting, by venue."""
    axes = parse_axes(["backtest.venues.coinbase.request_ms=5", "strategy.edge_net_bps_min=3"], is_random=False)
    (point,) = points(base, axes, grid(axes))
    streams = three_streams()[:2]
    made = candidate(point.settings, streams, {}, load_strategy, Path())
    assert {"kraken": (60_000_000,), "coinbase": (5_000_000,)} == made.request_ns
    assert {"kraken": (30_000_000,), "coinbase": (30_000_000,)} == made.answer_ns
    assert Decimal("0.0012") == made.taker[streams[1].instrument.id]
    assert Decimal(3) == made.edge_net_bps_min
    assert Decimal(10_000) == made.balances["kraken"]["USD"]
