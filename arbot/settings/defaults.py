"""What `arbot demo` runs on when no file is named: the same as config/demo.toml, which a test compares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arbot.settings.load import merged, parse
from arbot.settings.model import Settings

_PRETEND = {"balances": {"USD": "100000", "BTC": "2", "DOGE": "500000"}}

DEMO: Mapping[str, Mapping[str, Any]] = {
    "run": {
        "name": "demo",
        "mode": "demo",
        "state_dir": "state/demo",
        "symbols": ["BTC/USD"],
        "log_level": "warning",
    },
    "http": {"port": 0},
    "venues": {
        "kraken": {"adapter": "kraken", "poll_interval_ms": 5_000},
        "coinbase": {"adapter": "coinbase", "poll_interval_ms": 5_000},
    },
    "paper": {"venues": {"kraken": _PRETEND, "coinbase": _PRETEND}},
    "limits": {"notional_per_arb_max": 2_000, "inventory_notional_max": 500_000},
    "sim": {"seed": 7},
    "tape": {"dir": "tape"},
}


def demo(base: Path, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
    """Return the demo's settings with its state in `base`/state/demo. Raises: UserError when an override is wrong."""
    return parse(merged(DEMO, overrides or {}), base=base, source="the demo's built-in settings")
