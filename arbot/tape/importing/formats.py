"""The table of formats that `arbot data import --format` knows."""

from __future__ import annotations

from arbot.tape.importing import (
    bars_csv,
    binance,
    binance_logs,
    ccxt_lines,
    cryptofeed,
    cryptolake,
    lean,
    quotes_csv,
    tardis,
    wide_csv,
)
from arbot.tape.importing.contract import Format

_MODULES = (
    tardis,
    binance,
    binance_logs,
    ccxt_lines,
    wide_csv,
    cryptofeed,
    cryptolake,
    quotes_csv,
    lean,
    bars_csv,
)

FORMATS: dict[str, Format] = {known.name: known for module in _MODULES for known in module.FORMATS}
"""Name -> format, those with whole books first."""
