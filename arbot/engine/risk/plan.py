"""What the rules judge: a proposed arb with everything they may look at."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.units import ZERO
from arbot.engine.state import State
from arbot.engine.strategy import Proposal


class Plan(NamedTuple):
    """A proposal with its instruments and fees looked up; prices are on the venues' ticks."""

    state: State
    proposal: Proposal
    buy: Instrument
    sell: Instrument
    fee_buy: FeeRate
    fee_sell: FeeRate
    buy_price: Decimal
    sell_price: Decimal


class Breach(NamedTuple):
    """A rule that says no, with what it measured against what it allows."""

    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO
