"""What a person or the daemon does, one thing at a time: the value that a plan is carried out from."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.units import ZERO


class Action(StrEnum):
    """What is done."""

    SELL = "sell"
    BUY = "buy"
    SEND = "send"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One trade or one withdrawal.

    A trade's `limit` is the worst price it is planned at. What is sent arrives whole; `fee` is paid on top of it, in the
    same asset. `is_later` steps wait for what was sent to arrive.
    """

    number: int = 0
    action: Action
    venue: str
    asset: str
    qty: Decimal
    quote: str = ""
    limit: Decimal = ZERO
    taker: Decimal = ZERO
    is_later: bool = False
    target: str = ""
    network: str = ""
    fee: Decimal = ZERO
    minutes_p50: Decimal = ZERO
    minutes_p99: Decimal = ZERO
    value: Decimal = ZERO
    is_large: bool = False  # asked about twice
    is_funded: bool = True  # without waiting for what trades of the plan bring
    request_key: str = ""
