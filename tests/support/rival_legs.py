"""Legs as the independent engines of tests/rivals read them, made from history lines whose fees are already allocated.

Rules of this file:
- Units withheld from what was just received are netted: the engines book what arrived, and the gain of the rest is zero.
- Money is USD; a UK engine gets it at one fixed rate, since what is compared is which units are matched.
- No two legs share an instant: they are at least a microsecond apart, in the ledger's order. The engines break ties in ways of
  their own.
- Coins on their way lie in a place of their own until they arrive.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from decimal import Decimal
from heapq import merge
from pathlib import Path
from typing import Any

import pytest

from arbot.domain.history import Placed, format_ts
from arbot.ledger.jurisdictions.us.effects import us_effects
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, Send, Why

HERE = Path(__file__).resolve().parent.parent / "rivals"
PYTHON = Path(os.environ.get("ARBOT_TAX_RIVALS", HERE.parent.parent / ".venv-rivals-tax")) / "bin" / "python"

RivalLeg = dict[str, str]


def rival_legs(history: Iterable[Placed], rate: Decimal = Decimal(1)) -> Iterator[RivalLeg]:
    """Yield acquire and dispose legs of a history, values times `rate`; moves are left out: one pool over all accounts."""
    return (leg for _, _, leg in _timed(list(history), rate) if leg["t"] != "move")


def rival_legs_by_account(history: Iterable[Placed]) -> Iterator[RivalLeg]:
    """Yield the legs with every move in two: on the way when it leaves, at its place when it arrives."""
    timed = list(_timed(list(history), Decimal(1)))
    arrivals = [
        (int(leg["arrives_ns"]), -1, {**leg, "account": f"way:{leg['id']}"})
        for _, _, leg in timed
        if leg["t"] == "move"
    ]
    leaving = [(at, n, {**leg, "to": f"way:{leg['id']}"} if leg["t"] == "move" else leg) for at, n, leg in timed]
    return (leg for _, _, leg in merge(leaving, sorted(arrivals, key=lambda one: one[:2]), key=lambda one: one[:2]))


def _timed(history: list[Placed], rate: Decimal) -> Iterator[tuple[int, int, RivalLeg]]:
    last_ns = 0
    for number, placed in enumerate(history):
        legs = us_effects(placed.line, placed.ts_ns)
        withheld = {leg.lot: leg for leg in legs if isinstance(leg, Dispose) and leg.why is Why.WITHHELD}
        for leg in legs:
            told = _told(leg, withheld, rate)
            if told is None:
                continue
            last_ns = max(last_ns + 1_000, placed.ts_ns)
            is_old = isinstance(leg, Acquire) and leg.acquired_ns != placed.ts_ns
            ts = format_ts(leg.acquired_ns if is_old else last_ns)
            yield placed.ts_ns, number, {"ts": ts, "asset": leg.asset, "account": leg.account, **told}


def _told(leg: LotEffect, withheld: dict[str, Dispose], rate: Decimal) -> RivalLeg | None:
    match leg:
        case Acquire(lot=lot, qty=qty, basis=basis):
            less = withheld.get(lot)
            if less is not None:
                qty, basis = qty - less.qty, basis - less.proceeds
            return {"t": "acquire", "id": lot, "qty": f"{qty:f}", "value": f"{basis * rate:f}"}
        case Dispose(disposal=disposal, qty=qty, proceeds=proceeds, why=why) if why is not Why.WITHHELD:
            return {"t": "dispose", "id": disposal, "qty": f"{qty:f}", "value": f"{proceeds * rate:f}"}
        case Send(transfer=transfer, qty=qty, to=to, arrives_ns=arrives_ns):
            return {
                "t": "move",
                "id": transfer,
                "qty": f"{qty:f}",
                "value": "0",
                "to": to,
                "arrives_ns": str(arrives_ns),
            }
    return None


def ask_rival(script: str, method: str, legs: Iterable[RivalLeg], cwd: Path) -> dict[str, Any]:
    """Return what an engine says of these legs; skips the test where the engines are not installed."""
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON.name} of the independent engines: `make rivals-tax` installs them")
    text = "\n".join([json.dumps({"method": method}), *(json.dumps(leg) for leg in legs)])
    done = subprocess.run(
        [PYTHON, HERE / f"{script}.py"], input=text, capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
