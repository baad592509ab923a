"""What everything we hold and have under way comes to, by what it stands on: a plain value, built by `risk.exposure`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.ids import Asset
from arbot.domain.registry import NodeKind
from arbot.domain.units import ZERO

Node = tuple[NodeKind, str]


class Stand(NamedTuple):
    """One thing that an amount stands on, and the share of it that is lost when this fails."""

    node: Node
    loss_share: Decimal


@dataclass(slots=True)
class ExposureTable:
    """Money in the reporting currency. Built once per version of the state and never changed afterwards."""

    whole: Decimal = ZERO  # all balances, and what is between venues
    exposure: dict[Node, Decimal] = field(default_factory=dict)
    loss: dict[Node, Decimal] = field(default_factory=dict)  # of that, what goes with the node
    long: Decimal = ZERO  # open residuals, and legs that may come to stand alone: what loses when prices fall
    short: Decimal = ZERO  # and what loses when they rise
    stuck: dict[str, Decimal] = field(
        default_factory=dict
    )  # by cloud region: legs that could not be closed from outside
    transit_loss: dict[str, Decimal] = field(default_factory=dict)  # by chain: what is in flight, if the chain stands
    unpriced: tuple[Asset, ...] = ()  # held without a rate: nothing may be concluded
    is_lasting: bool = True  # made of noted rates alone: good until the state's version changes
