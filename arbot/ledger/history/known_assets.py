"""Names of assets that are no misspelling, for telling a new coin from a slip of the pen.

Rules of this file:
- The list decides nothing about money: an asset that is not in it is as good as one that is, once history says where it
  came from. It is only asked about units that left and never came.
- Assumption: the coins that most venues list, by the field's names (BTC, not XBT), as of November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from arbot.domain.history import CASH

STABLECOINS: Final = frozenset({  # parity-ok: names that are known, no value
    "BUSD", "DAI", "EURC", "EURT", "FDUSD", "FRAX", "GUSD", "PYUSD", "RLUSD", "TUSD", "USDC", "USDD", "USDE", "USDG",
    "USDP", "USDS", "USDT",
})  # fmt: skip
COINS: Final = frozenset({
    "AAVE", "ADA", "ALGO", "APT", "ARB", "ATOM", "AVAX", "BCH", "BNB", "BTC", "CRO", "DOGE", "DOT", "EOS", "ETC",
    "ETH", "FIL", "HBAR", "ICP", "INJ", "LINK", "LTC", "MATIC", "MKR", "NEAR", "OP", "PEPE", "POL", "SHIB", "SOL",
    "STETH", "SUI", "TON", "TRX", "UNI", "WBTC", "WETH", "XLM", "XMR", "XRP", "XTZ", "ZEC",
})  # fmt: skip
KNOWN: Final = CASH | STABLECOINS | COINS

VENUE_WORDS: Final = {
    "XBT": "BTC",
    "XXBT": "BTC",
    "XDG": "DOGE",
    "XXDG": "DOGE",
    "XETH": "ETH",
    "ZUSD": "USD",
    "ZEUR": "EUR",
}
"""Names that a venue has and nobody else: Kraken's, as its documentation lists them (November 2026)."""


def nearest(asset: str, others: Iterable[str]) -> str:
    """Return the name that was most likely meant, out of the known ones and those of a history; "" when none is close."""
    if asset in VENUE_WORDS:
        return VENUE_WORDS[asset]
    spelled = {**{name: name for name in sorted({*KNOWN, *others} - {asset})}, **VENUE_WORDS}
    close = get_close_matches(asset, sorted(spelled), n=1)
    return spelled[close[0]] if close else ""
