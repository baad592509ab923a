"""Kraken's names of assets, mapped to the field's: XXBT and XBT are BTC, ZUSD is USD.

The venue's own table (`Assets`) gives ids and short names; only the two that differ from everyone else's are ours to
know. Suffixes mark money that is elsewhere (staked, lent, held) and cannot be traded; they never count as the asset.
Source: https://docs.kraken.com/api-reference/account-data/get-extended-balance, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbot.domain.ids import Asset

FIELD_NAMES: dict[str, str] = {"XBT": "BTC", "XDG": "DOGE"}
"""Short names of Kraken that nobody else uses."""

LEGACY_IDS: dict[str, str] = {
    **{f"X{name}": name for name in ("ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC")},
    **{f"Z{name}": name for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
}
"""Ids of the first assets, X for coins and Z for cash, as the statements spell them: id -> short name.
Source: https://docs.kraken.com/api-reference/market-data/get-asset-info, 2026-11."""

SUFFIXES_ELSEWHERE = frozenset({"F", "S", "M", "B", "P", "T", "HOLD"})
"""Flexible earn, staked, opt-in rewards, bonded, parachain, tokenised, held."""


def field_name(altname: str) -> Asset:
    """Return the field's word for one of Kraken's short names."""
    return Asset(FIELD_NAMES.get(altname, altname))


def asset_table(assets: Mapping[str, Any]) -> dict[str, Asset]:
    """Return id and short name -> asset from the result of `Assets`. Entries without a short name are left out."""
    table: dict[str, Asset] = {}
    for asset_id, facts in assets.items():
        altname = facts.get("altname") if isinstance(facts, dict) else None
        if isinstance(altname, str) and altname and "." not in altname:
            table[asset_id] = table[altname] = field_name(altname)
    return table
