"""Which units a disposal takes, as fixed beforehand: scope of lots, standing orders, picks, who keeps the coins.

Rules of this file:
- Values only; what counts when is judged in identification.py (26 CFR 1.1012-1(j), Notice 2026-20, as of November 2026).
- Instants are ns since the epoch; 0 means that it was never done.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from arbot.domain.history import LotMethod, PickedLot


class Pool(StrEnum):
    """Over what lots are kept."""

    ACCOUNT = "account"
    UNIVERSAL = "universal"  # one pool over all accounts: history before 2025 only
    UNTIL_2025 = "until-2025"  # one pool before 2025-01-01, then per account as allocated (Rev. Proc. 2024-28)


class Custody(StrEnum):
    """Who keeps an account's coins, for the timing of identification."""

    BROKER = "broker"  # a U.S. digital asset broker
    SELF = "self"  # an own wallet, or a venue that is not such a broker


class AllocationKind(StrEnum):
    """How unused basis was spread over accounts as of 2025-01-01 (Rev. Proc. 2024-28 sections 4-6)."""

    SPECIFIC = "specific"
    GLOBAL = "global"


class StandingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """From when on which units go first, in a scope: an account and an asset, "" is all."""

    method: LotMethod
    recorded_ns: int = 0
    told_broker_ns: int = 0
    account: str = ""
    asset: str = ""


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """Units named for one disposal, in order. `before` is what was named for it earlier, the newest first."""

    lots: tuple[PickedLot, ...]
    recorded_ns: int = 0
    told_broker_ns: int = 0
    before: tuple[Pick, ...] = ()


class LotPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides which lots go, besides the lots themselves.

    `method` holds where no order does: FIFO by law; another one makes the result a what-if that cannot be filed.
    `method_by_year` replaces it from a year on. `picks` are by the id of the disposal's line, and so is `by_order`: what the
    order said that the line is a fill of. It was in the books before the order left.
    """

    method: LotMethod = LotMethod.FIFO
    method_by_year: Mapping[int, LotMethod] = {}
    pool: Pool = Pool.ACCOUNT
    orders: tuple[StandingOrder, ...] = ()
    picks: Mapping[str, Pick] = {}
    by_order: Mapping[str, StandingOrder] = {}
    custody: Mapping[str, Custody] = {}
    custody_default: Custody = Custody.BROKER
    allocation: AllocationKind | None = None
    allocation_completed_ns: int = 0
