"""The tables [health], [pegs] and [news] of the config file: what they become, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arbot.domain.errors import UserError
from arbot.settings.load import parse
from arbot.settings.show import show

PRETEND = {"balances": {"USD": "1000"}}
BASE: dict[str, Any] = {
    "run": {"name": "x", "mode": "paper", "symbols": ["BTC/USD"]},
    "venues": {"kraken": {"adapter": "kraken"}, "coinbase": {"adapter": "coinbase"}},
    "paper": {"venues": {"kraken": PRETEND, "coinbase": PRETEND}},
}
WINDOW = {"venue": "kraken", "starts_at": "2027-01-31T05:00:00Z", "ends_at": "2027-01-31T07:30:00+01:00"}
HOUR_NS = 3_600_000_000_000


def test_a_maintenance_window_is_told_to_the_engine(tmp_path: Path) -> None:
    """Take offsets into account, and give the engine whole nanoseconds."""
    settings = parse(BASE | {"health": {"maintenance": [WINDOW | {"weekly": True}]}}, base=tmp_path)
    (rule,) = settings.engine_config().maintenance

    assert (1_801_371_600_000_000_000, True) == (rule.from_ns, rule.is_weekly)
    assert rule.until_ns - rule.from_ns == HOUR_NS * 3 // 2
    assert "2027-01-31T05:00:00+00:00" in show(settings)


@pytest.mark.parametrize(
    ("tables", "where"),
    [
        ({"health": {"maintenance": [WINDOW | {"venue": "bitstamp"}]}}, "health.maintenance.0.venue"),
        ({"health": {"maintenance": [WINDOW | {"ends_at": "2027-01-31T05:00:00Z"}]}}, "health.maintenance.0.ends_at"),
        (
            {"health": {"maintenance": [WINDOW | {"starts_at": "2027-01-31T05:00:00"}]}},
            "health.maintenance.0.starts_at",
        ),
        ({"health": {"maintenance": [WINDOW | {"starts_at": "at five"}]}}, "health.maintenance.0.starts_at"),
        ({"health": {"reject_share_max": "1.5"}}, "health.reject_share_max"),
        ({"health": {"recovery_s": 9_000, "recovery_s_max": 60}}, "health.recovery_s"),
        ({"health": {"require_network_status": 1}}, "health.require_network_status"),
        ({"pegs": {"peg_return_bps": 500}}, "pegs.peg_return_bps"),
        ({"news": {"edge_news_bps": 400}}, "news.edge_news_bps"),
        ({"news": {"mid_news_bps": 200}}, "news.mid_news_bps"),
    ],
)
def test_what_makes_no_sense_is_refused(tables: dict[str, Any], where: str, tmp_path: Path) -> None:
    """Name the key that is wrong."""
    with pytest.raises(UserError) as caught:
        parse(BASE | tables, base=tmp_path)

    assert [where] == [mistake.where.rpartition(" ")[2] for mistake in caught.value.mistakes]
