"""Everything that can be checked of a store without asking a venue again, with the journal number of each fault.

Rules of this file:
- The chain comes first: books whose journal was edited are not read any further, what they would say is worth nothing.
- A venue's balance that nobody can explain is a fault. What only a person can tell is open, and told apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from arbot.domain.errors import Mistake, UserError
from arbot.journal.anchor import read_anchor
from arbot.journal.verify import Problem, chain_problem
from arbot.ledger.history.checking import check_history
from arbot.ledger.history.settling import DIFFERENCE
from arbot.ledger.lots.words import OpenItem
from arbot.tax.history import open_history

if TYPE_CHECKING:
    from arbot.journal.store import SqlStore


class Checked(NamedTuple):
    """What was found: faults of the books, and what is open in them."""

    entries: int
    problems: tuple[Problem, ...]
    items: tuple[OpenItem, ...]


def check_books(store: SqlStore, anchor_file: Path | None = None) -> Checked:
    """Verify a store, against an anchor kept elsewhere if one is given. Raises: UserError, StoreFailed."""
    problems = list(store.verify())
    if anchor_file is not None:
        anchor = read_anchor(anchor_file)
        if anchor is None:
            remedy = "name the file that `arbot ledger anchor --out FILE` wrote"
            raise UserError(Mistake(str(anchor_file), "there is no anchor here", remedy))
        with store.database.read(is_snapshot=True) as connection:
            problem = chain_problem(connection, anchor)
        if problem is not None and problem not in problems:
            problems.append(problem)
    items: list[OpenItem] = [] if problems else _open_items(store)
    problems += [Problem(seq=one.seq, what=f"{one.where}: {one.what}") for one in items if one.code == DIFFERENCE]
    return Checked(store.head().seq, tuple(problems), tuple(one for one in items if one.code != DIFFERENCE))


def _open_items(store: SqlStore) -> list[OpenItem]:
    """Return what venues, journal and files leave open, and what the whole history shows to be wrong by itself."""
    history = open_history(store)
    items = history.open_items()
    return items + check_history(history.lines(), history.booked_ns).open_items(items)
