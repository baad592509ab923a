"""What a report was asked for, checked word by word before a line of history is read."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import LotMethod
from arbot.domain.units import parse_decimal
from arbot.ledger.jurisdictions.base import Country
from arbot.ledger.jurisdictions.us.form8949 import RowMode
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import OpenItem

YEAR_OF_ACCOUNTS = 2025
ONE_POOL = "one pool over all accounts is a what-if: from 2025 on lots are kept per account (26 CFR 1.1012-1(j))"


class Acceptance(msgspec.Struct, frozen=True):
    """An open item the user lets pass by name.

    `where` empty means every one of this code, else the line, with or without the account behind it.
    """

    code: str
    where: str = ""

    def covers(self, item: OpenItem) -> bool:
        """Return whether it names that item."""
        line = item.where.rpartition(" at ")[0]
        return self.code == item.code and self.where in ("", item.where, line)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The words of the command line. `method` and `pool` None: as the books and the configuration say."""

    country: str
    year: int
    method: LotMethod | None = None
    pool: Pool | None = None
    timezone: str | None = None
    is_in_whole_dollars: bool = False
    rows: RowMode = RowMode.LOTS
    has_wash_sales: bool = False
    rate_default: Decimal | None = None
    is_transfer_fee_allowable: bool = False
    is_total_enough: bool = False  # sales that need no correction go to lines 1a and 8a without rows
    accepted: tuple[Acceptance, ...] = ()

    def is_accepted(self, item: OpenItem) -> bool:
        """Return whether the user let this item pass."""
        return any(acceptance.covers(item) for acceptance in self.accepted)

    def idle(self, items: Iterable[OpenItem]) -> tuple[str, ...]:
        """Return in words what was accepted and is not among what is open."""
        found = list(items)
        return tuple(
            f"--accept {':'.join(filter(None, (one.code, one.where)))} names nothing that is open"
            for one in self.accepted
            if not any(one.covers(item) for item in found)
        )


def parse_asked(
    *,
    country: str,
    year: int,
    method: str | None = None,
    pool: str | None = None,
    timezone: str | None = None,
    is_in_whole_dollars: bool = False,
    rows: str = "lots",
    has_wash_sales: bool = False,
    is_total_enough: bool = False,
    rate_default: str | None = None,
    is_transfer_fee_allowable: bool = False,
    accept: tuple[str, ...] = (),
) -> Asked:
    """Return what was asked. Raises: UserError with every mistake."""
    mistakes: list[Mistake] = []
    methods = [known.value for known in LotMethod]
    for option, given, known in (
        ("--method", method, methods),
        ("--pool", pool, [known.value for known in Pool]),
        ("--rows", rows, [known.value for known in RowMode]),
    ):
        if given is not None and given not in known:
            mistakes.append(Mistake(option, f"there is no {given!r}", f"use one of {', '.join(known)}"))
    mistakes += [
        Mistake("--accept", f"{text!r} names no code", "write CODE or CODE:WHERE as the refusal lists them")
        for text in accept
        if not text.partition(":")[0]
    ]
    if rate_default is not None and not _is_plain(rate_default):
        mistakes.append(Mistake("--rate-default", f"{rate_default!r} is no number", "write it plainly, such as 0.78"))
    if mistakes:
        raise UserError(*mistakes)
    return Asked(
        country=country,
        year=year,
        method=LotMethod(method) if method else None,
        pool=Pool(pool) if pool else None,
        timezone=timezone,
        is_in_whole_dollars=is_in_whole_dollars,
        rows=RowMode(rows),
        has_wash_sales=has_wash_sales,
        is_total_enough=is_total_enough,
        rate_default=parse_decimal(rate_default) if rate_default is not None else None,
        is_transfer_fee_allowable=is_transfer_fee_allowable,
        accepted=tuple(Acceptance(code, where) for code, _, where in (text.partition(":") for text in accept)),
    )


def _is_plain(text: str) -> bool:
    try:
        parse_decimal(text)
    except ValueError:
        return False
    return True


class Choice(msgspec.Struct, frozen=True):
    """The policy a report runs under, in words, and why it could not be filed, if so."""

    policy: LotPolicy
    words: str
    what_if: str = ""


def choose(asked: Asked, books: LotPolicy, method: LotMethod, country: Country) -> Choice:
    """Return the policy of the books, or of a what-if when another order was asked for than they hold.

    The units that the books name are the units sold (Notice 2026-20, 4.05; 26 CFR 1.1012-1(j)(2)), so an order asked for
    afterwards can be looked at and not filed. Where nothing is recorded the country's own order holds.
    """
    default = country.method_default
    settled = msgspec.structs.replace(books, pool=asked.pool or books.pool, method=default, method_by_year={})
    if default is LotMethod.AVERAGE:
        return Choice(settled, "the country's pools")
    is_pooled = country.code == "us" and settled.pool is Pool.UNIVERSAL and asked.year >= YEAR_OF_ACCOUNTS
    why = [ONE_POOL] if is_pooled else []
    in_books = {order.method for order in (*books.orders, *books.by_order.values())}
    held = ", ".join(sorted(one.value for one in in_books))
    has_nothing = not in_books and not books.picks
    if asked.method is None or in_books == {method} or (has_nothing and method is default):
        words = f"{held} as recorded, {default.value} before" if held else default.value
        return Choice(settled, f"{words}, and picks" if books.picks else words, "; ".join(why))
    told = held or ("picks" if books.picks else f"no order, so {default.value}")
    why.append(f"--method {method.value} is a what-if: the books hold {told}; only the recorded order can be filed")
    bare = msgspec.structs.replace(settled, method=method, orders=(), picks={}, by_order={})
    return Choice(bare, f"{method.value} (what-if)", "; ".join(why))
