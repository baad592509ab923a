"""Names of accounts and commodities in text ledgers (beancount, hledger): two different things never share a name.

Rules of this file:
- `binance.sub1` is Assets:Exchange:Binance:Sub1, `wallet.cold` is Assets:Wallet:Cold, what is on its way Assets:InTransit;
  the asset is the last part. Parts begin with a capital or a digit and hold letters, digits and hyphens, as beancount has it.
- Two accounts whose names become one get a number in the order in which they are first met.
- A commodity begins with a letter: 1INCH is X-1INCH, and no asset of the ledger holds a hyphen.
"""

from __future__ import annotations

import re

from arbot.domain.history import IN_TRANSIT

_FORBIDDEN = re.compile(r"[^A-Za-z0-9-]")


class AccountNames:
    """The names given so far, one namer for each file."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {IN_TRANSIT: "Assets:InTransit"}
        self._taken: dict[str, str] = {"Assets:InTransit": IN_TRANSIT}

    def of(self, account: str, asset: str) -> str:
        """Return the account of an asset at a place."""
        path = self._paths.get(account) or self._named(account)
        return f"{path}:{asset}"

    def venue(self, account: str) -> str:
        """Return the place as the last part of an account of fees."""
        path = self._paths.get(account) or self._named(account)
        return path.split(":", 2)[-1]

    def _named(self, account: str) -> str:
        parts = [_part(text) for text in account.split(".")]
        root = "Assets:Wallet" if parts[0] == "Wallet" and len(parts) > 1 else "Assets:Exchange"
        path = ":".join([root, *(parts[1:] if root == "Assets:Wallet" else parts)])
        wanted, number = path, 1
        while path in self._taken:
            number += 1
            path = f"{wanted}-{number}"
        self._taken[path] = account
        self._paths[account] = path
        return path


def commodity(asset: str) -> str:
    """Return an asset as a commodity that begins with a letter."""
    return asset if asset[0].isalpha() else f"X-{asset}"


def _part(text: str) -> str:
    clean = _FORBIDDEN.sub("-", text) or "X"
    return clean[0].upper() + clean[1:] if clean[0] != "-" else f"X{clean}"
