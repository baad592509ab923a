"""The answer as values: what is done and what it costs, the steps, and the price of everything that was not chosen.

Money in the reporting currency, quantities in their asset, times in hours.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.treasury.steps import Step
from arbot.treasury.ways import Cost, Method


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A way that is used. `qty` is how much of `asset` it brings to the target."""

    method: Method
    asset: str
    source: str
    target: str
    via: str
    network: str
    qty: Decimal
    cost: Cost
    hours: Decimal
    hours_p99: Decimal


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A way to mend one gap whole, with its price. `taken` is how much of the gap the plan mends by it."""

    method: Method
    via: str
    network: str
    cost: Cost
    hours: Decimal
    hours_p99: Decimal
    taken: Decimal
    hindered: str = ""  # why it could not mend the whole gap


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """So much lies at one venue and should lie at another; the choices are from cheap to dear."""

    asset: str
    source: str
    target: str
    qty: Decimal
    value: Decimal
    choices: tuple[Choice, ...]


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is still outside its band when all is done: negative lacks, positive is too much."""

    venue: str
    asset: str
    qty: Decimal
    cost: Decimal


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. Money in `ccy`; `optimum_gap` is how far above the best possible it may be, as a fraction."""

    ccy: str
    cost: Cost
    hours: Decimal
    hours_p99: Decimal
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    left: tuple[Left, ...]
    gaps: tuple[Gap, ...]
    prices: dict[str, Decimal]
    optimum_gap: float
    notes: tuple[str, ...]
