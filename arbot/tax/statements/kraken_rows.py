"""Kraken's ledgers export, row by row: its column sets, its words for what happened, its names of assets.

Rules of this file:
- Column sets, each seen in public issues and samples: nine without `subtype` (before 2021); ten with it (2021: robertwb/
  bitcoin-taxes#19); eleven with `wallet` (March 2024: BittyTax#355, #372); twelve with `subclass` (2025: BittyTax#469);
  thirteen with `amountusd`, sixteen with `feeusd`, `balanceusd`, `feecurrency` (2026, seen in parsers of the public).
- Words for types and subtypes: support.kraken.com article 360001169383 (copies up to 2026) and BittyTax#310, #424, #499,
  CoinTaxman#97, #185. A word that is not in the table stops the file.
- Times are UTC (same article). balance = balance before + amount - fee.
- A row without txid announces a deposit or withdrawal; it states no balance and has no effect (CoinTaxman#87, #97).
- Assumption: an asset on a staking suffix (`DOT28.S`, `USDC.M`, `BTC.F`, `ETH2`) is the asset itself, held elsewhere at
  Kraken; one account has both. Tokenised stock (`.T`) is refused.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from arbot.domain.history import NS_PER_S
from arbot.tax.statements.common import asset_of, demand_no_offset, excerpt, number_of
from arbot.venues.kraken.assets import LEGACY_IDS, field_name

_OLDEST: Final = ("txid", "refid", "time", "type", "aclass", "asset", "amount", "fee", "balance")
_WITH_SUBTYPE: Final = (*_OLDEST[:4], "subtype", *_OLDEST[4:])
_WITH_WALLET: Final = (*_WITH_SUBTYPE[:7], "wallet", *_WITH_SUBTYPE[7:])
_WITH_SUBCLASS: Final = (*_WITH_WALLET[:6], "subclass", *_WITH_WALLET[6:])
_WITH_USD: Final = (*_WITH_SUBCLASS, "amountusd")
_WITH_FEE_CURRENCY: Final = (*_WITH_USD, "feeusd", "balanceusd", "feecurrency")
COLUMN_SETS: Final = (_OLDEST, _WITH_SUBTYPE, _WITH_WALLET, _WITH_SUBCLASS, _WITH_USD, _WITH_FEE_CURRENCY)
"""Every header the export has had, oldest first."""

TRADES_MARK: Final = frozenset({"ordertxid", "pair"})
"""Columns of the other export, of trades: it lacks deposits, balances and the asset of the fee."""


class Effect(StrEnum):
    """What a row does to the account."""

    TRADE = "trade"  # all rows of one refid
    MOVE = "move"  # comes from or goes to outside
    ASK = "ask"  # the venue's word has several meanings: somebody has to say which
    INCOME = "income"
    PAIR = "pair"  # both halves of a move inside the account
    HALF_OUT = "half_out"  # one half, the other has another refid
    HALF_IN = "half_in"
    EARN_OLD = "earn_old"  # January to spring 2024: reward or move, by the rows themselves
    REFUSED = "refused"


class Meaning(NamedTuple):
    """Effect of a word pair; `why` is the income's word, or what is told when the row is refused."""

    effect: Effect
    why: str = ""


_MARGIN: Final = Meaning(Effect.REFUSED, "margin trading is out of scope")
_FUTURES: Final = Meaning(Effect.REFUSED, "moves to and from the futures wallet are out of scope")
_DELISTED: Final = Meaning(Effect.REFUSED, "a delisting converts in rows that nothing ties together")
_CORRECTED: Final = Meaning(Effect.REFUSED, "the venue corrected the account by hand")

MEANINGS: Final[Mapping[tuple[str, str], Meaning]] = {
    ("trade", ""): Meaning(Effect.TRADE),
    ("trade", "tradespot"): Meaning(Effect.TRADE),
    ("spend", ""): Meaning(Effect.TRADE),
    ("receive", ""): Meaning(Effect.TRADE),
    ("spend", "dustsweeping"): Meaning(Effect.TRADE),
    ("receive", "dustsweeping"): Meaning(Effect.TRADE),
    ("deposit", ""): Meaning(Effect.MOVE),
    ("withdrawal", ""): Meaning(Effect.MOVE),
    ("hybridearnwithdrawal", ""): Meaning(Effect.ASK),
    ("transfer", ""): Meaning(Effect.ASK),  # airdrop, fork, or the OTC desk
    ("transfer", "airdrop"): Meaning(Effect.INCOME, "airdrop"),
    ("earn", "airdrop"): Meaning(Effect.INCOME, "airdrop"),
    ("earn", "reward"): Meaning(Effect.INCOME, "reward"),
    ("staking", ""): Meaning(Effect.INCOME, "reward"),
    ("reward", ""): Meaning(Effect.INCOME, "reward"),
    ("reward", "welcomebonus"): Meaning(Effect.INCOME, "other"),
    ("invite bonus", ""): Meaning(Effect.INCOME, "other"),
    ("dividend", ""): Meaning(Effect.INCOME, "other"),
    ("earn", "allocation"): Meaning(Effect.PAIR),
    ("earn", "deallocation"): Meaning(Effect.PAIR),
    ("earn", "autoallocation"): Meaning(Effect.PAIR),
    ("earn", "migration"): Meaning(Effect.PAIR),
    ("earn", ""): Meaning(Effect.EARN_OLD),
    ("transfer", "spottostaking"): Meaning(Effect.HALF_OUT),
    ("transfer", "stakingfromspot"): Meaning(Effect.HALF_IN),
    ("transfer", "stakingtospot"): Meaning(Effect.HALF_OUT),
    ("transfer", "spotfromstaking"): Meaning(Effect.HALF_IN),
    ("transfer", "spottofutures"): _FUTURES,
    ("transfer", "spotfromfutures"): _FUTURES,
    ("transfer", "delistingconversion"): _DELISTED,
    ("earn", "delistingconversion"): _DELISTED,
    ("margin", ""): _MARGIN,
    ("margin trade", ""): _MARGIN,
    ("rollover", ""): _MARGIN,
    ("settled", ""): _MARGIN,
    ("adjustment", ""): _CORRECTED,
}

SUBCLASSES: Final = frozenset({"", "fiat", "crypto", "cryptocurrency", "stable_coin"})
REFIDS_OF_NOTHING: Final = frozenset({"", "Unknown"})

_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?", re.ASCII)
_ELSEWHERE = re.compile(r"([A-Z0-9]+?)(?:\d\d)?\.(?:S|M|B|F|P|HOLD)", re.ASCII)
_STAKED: Final = {"ETH2": "ETH"}


class Row(NamedTuple):
    """One row with its numbers read. `balance` None: the row states none."""

    number: int
    txid: str
    refid: str
    ts_ns: int
    type: str
    subtype: str
    spelled: str  # the asset as written
    asset: str
    wallet: str
    amount: Decimal
    fee: Decimal
    balance: Decimal | None
    amount_usd: Decimal | None
    ts_digits: int


def read_row(number: int, cells: Mapping[str, str]) -> Row:
    """Return the row of `cells`. Raises: ValueError saying which cell is wrong."""
    for column, known in (("aclass", frozenset({"currency"})), ("subclass", SUBCLASSES)):
        if cells.get(column, min(known)) not in known:
            raise ValueError(f"{column} {excerpt(cells[column])} is not known")
    asset = field_asset(cells["asset"])
    if fee_asset := cells.get("feecurrency", ""):
        named = field_asset(fee_asset)
        if named != asset:
            raise ValueError(f"feecurrency {named} is not the asset of the row, {asset}")
    ts_ns, ts_digits = _time(cells["time"])
    balance, amount_usd = cells["balance"], cells.get("amountusd", "")
    return Row(
        number=number,
        txid=cells["txid"],
        refid=cells["refid"],
        ts_ns=ts_ns,
        type=cells["type"].lower(),
        subtype=cells.get("subtype", "").lower(),
        spelled=cells["asset"],
        asset=asset,
        wallet=cells.get("wallet", ""),
        amount=number_of(cells["amount"]),
        fee=number_of(cells["fee"]),
        balance=number_of(balance) if balance else None,
        amount_usd=number_of(amount_usd) if amount_usd else None,
        ts_digits=ts_digits,
    )


@lru_cache(maxsize=4096)
def field_asset(spelled: str) -> str:
    """Return the field's word for one of Kraken's asset names: XXBT -> BTC, DOT28.S -> DOT. Raises: ValueError."""
    match = _ELSEWHERE.fullmatch(spelled)
    name = match[1] if match else spelled
    name = LEGACY_IDS.get(name, name)
    return asset_of(field_name(_STAKED.get(name, name)))


def _time(text: str) -> tuple[int, int]:
    match = _TIME.fullmatch(text)
    if match is None:
        demand_no_offset(text)
        raise ValueError(f"time {excerpt(text)} is not like 2025-01-31 23:59:59")
    minute, second, fraction = match.groups()
    if int(second) > 59:
        raise ValueError(f"time {excerpt(text)} has no such second")
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    return (_minute(minute) + int(second)) * NS_PER_S + nanos, len(fraction or "")


@lru_cache(maxsize=4096)
def _minute(text: str) -> int:
    return timegm(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timetuple())
