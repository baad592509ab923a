"""A sweep: many settings on one tape, judged on the part they are chosen by and beside it on a part that was held out.

Settings that the compiled pass can judge share its scan; any others are replayed in full, each by itself. The best of a
shared scan are replayed in full as well, and the difference is shown. Everything found is stored as it is found, so
that a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.backtest.progress import Progress, Silent
from arbot.backtest.stock import Stock
from arbot.backtest.sweep_parts import HELD_OUT, TUNED
from arbot.backtest.sweep_pass import Candidate, Part, Score, judge
from arbot.backtest.sweep_space import Point
from arbot.backtest.sweep_store import Judge, Line, Outcome, SweepStore, line_key
from arbot.backtest.sweep_workers import Evaluate, Job, Workers
from arbot.domain.errors import InvariantBroken, ensure

BATCH = 256  # settings of one compiled pass: what a Ctrl-C can lose at most
HELD_UP_MIN = 0.5  # of the rank correlation, from which on we say that the choice held up
ARBS_FEW = 30  # of the best, on either part: fewer say little
RANKED_MIN = 5  # settings, below which a rank correlation says nothing


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep is about. `digests` and `points` go together, one per setting."""

    points: tuple[Point, ...]
    digests: tuple[str, ...]
    parts: tuple[Part, ...]
    shares_scan: bool
    ccy: str
    seed: int
    code_version: str
    verify: int = 3
    warnings: tuple[str, ...] = ()  # about the data


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep works with: how a point becomes a candidate of the compiled pass, and who replays in full."""

    candidate: Callable[[Point], Candidate]
    evaluate: Evaluate
    workers: Workers


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. Ranks count from 1; without a held-out part `held_out` is what `tuned` is."""

    number: int
    values: dict[str, str]
    rank: int
    tuned: Outcome
    rank_held_out: int
    held_out: Outcome


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best on one part: the approximation beside the full replay. `net_error` = kernel - engine."""

    number: int
    part: str
    kernel: Outcome
    engine: Outcome
    net_error: float


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep came to; `ranked` is the best on the tuned part first."""

    tape: str
    ccy: str
    judge: Judge
    settings: int
    asked_anew: int  # the others were known from an earlier run
    parts: tuple[Part, ...]
    ranked: tuple[Ranked, ...]
    rank_correlation: float  # Spearman's, of both parts' net results; nan where it says nothing
    verdict: str
    checked: tuple[Checked, ...]
    warnings: tuple[str, ...] = ()


def sweep(asked: Asked, stock: Stock, store: SweepStore, tools: Tools, progress: Progress | None = None) -> Swept:
    """Judge every setting on every part, rank them, and replay the best in full. Raises: UserError."""
    ensure(len(asked.points) == len(asked.digests), "a digest is missing")
    progress = progress or Silent()
    run = _Run(asked, stock, store, tools, progress)
    by = Judge.KERNEL if asked.shares_scan else Judge.ENGINE
    everything = range(len(asked.points))
    before = len(store)
    if asked.shares_scan:
        run.scan()
    else:
        run.replay([(number, part) for number in everything for part in asked.parts], "replaying settings")
    asked_anew = (len(store) - before) // len(asked.parts)
    ranked = rank(asked, [[run.known(number, part, by) for part in asked.parts] for number in everything])
    best = _unlike(ranked, asked.verify) if asked.shares_scan else []
    run.replay([(number, part) for number in best for part in asked.parts], "replaying the best in full")
    correlation = rank_correlation(ranked) if len(asked.parts) > 1 else float("nan")
    return Swept(
        tape=stock.key,
        ccy=asked.ccy,
        judge=by,
        settings=len(asked.points),
        asked_anew=asked_anew,
        parts=asked.parts,
        ranked=ranked,
        rank_correlation=correlation,
        verdict=verdict(ranked, correlation, has_held_out=len(asked.parts) > 1),
        checked=tuple(run.checked(number, part) for number in best for part in asked.parts),
        warnings=asked.warnings,
    )


def _unlike(ranked: Sequence[Ranked], count: int) -> list[int]:
    """Return the numbers of so many of the best that came to unlike results: equals say nothing new."""
    numbers: dict[tuple[Outcome, Outcome], int] = {}
    for one in ranked:
        numbers.setdefault((one.tuned, one.held_out), one.number)
    return list(numbers.values())[:count]


class _Run:
    """A sweep under way: what is known is in the store."""

    def __init__(self, asked: Asked, stock: Stock, store: SweepStore, tools: Tools, progress: Progress) -> None:
        self._asked, self._stock, self._store = asked, stock, store
        self._tools, self._progress = tools, progress

    def scan(self) -> None:
        """Judge what is not known in compiled passes of BATCH settings."""
        asked, kind = self._asked, Judge.KERNEL
        left = [
            number
            for number in range(len(asked.points))
            if any(self._store.get(self._key(number, part, kind)) is None for part in asked.parts)
        ]
        if left:
            self._progress.start("judging settings", len(left))
        for first in range(0, len(left), BATCH):
            batch = left[first : first + BATCH]
            candidates = [self._tools.candidate(asked.points[number]) for number in batch]
            scores = judge(self._stock, candidates, asked.parts)
            self._store.append(
                self._line(number, part, kind, outcome_of(score))
                for part in asked.parts
                for number, score in zip(batch, scores[part.name], strict=True)
            )
            self._progress.advance(first + len(batch))

    def replay(self, wanted: Sequence[tuple[int, Part]], what: str) -> None:
        """Replay in full what is not known, storing each result as it comes."""
        jobs = [
            Job(number, self._asked.points[number].document, part)
            for number, part in wanted
            if self._store.get(self._key(number, part, Judge.ENGINE)) is None
        ]
        if not jobs:
            return
        self._progress.start(what, len(jobs))
        for done, (job, outcome) in enumerate(self._tools.workers.run(jobs, self._tools.evaluate), start=1):
            self._store.append([self._line(job.number, job.part, Judge.ENGINE, outcome)])
            self._progress.advance(done)

    def known(self, number: int, part: Part, by: Judge) -> Outcome:
        """Return a result that is in the store by now."""
        found = self._store.get(self._key(number, part, by))
        if found is None:
            raise InvariantBroken(f"no result of setting {number} on {part.name}")
        return found

    def checked(self, number: int, part: Part) -> Checked:
        """Return the approximation beside the full replay."""
        kernel, engine = (self.known(number, part, by) for by in (Judge.KERNEL, Judge.ENGINE))
        return Checked(number=number, part=part.name, kernel=kernel, engine=engine, net_error=kernel.net - engine.net)

    def _key(self, number: int, part: Part, by: Judge) -> str:
        asked = self._asked
        return line_key(
            tape=self._stock.key,
            setting=asked.digests[number],
            seed=asked.seed,
            code_version=asked.code_version,
            part=f"{part.name}:{part.first_ts_ns}:{part.stop_ts_ns}",
            judge=by,
        )

    def _line(self, number: int, part: Part, by: Judge, outcome: Outcome) -> Line:
        values = self._asked.points[number].values
        return Line(key=self._key(number, part, by), part=part.name, judge=by, values=values, outcome=outcome)


def outcome_of(score: Score) -> Outcome:
    """Return what the kernel found as a result."""
    return Outcome(**{name: getattr(score, name) for name in Outcome.__struct_fields__})


# --- ranking --------------------------------------------------------------------------------------------------------------


def rank(asked: Asked, outcomes: Sequence[Sequence[Outcome]]) -> tuple[Ranked, ...]:
    """Return all settings by net result on the tuned part, the best first; equals in the order they were asked."""
    tuned = [found[0] for found in outcomes]
    held_out = [found[-1] for found in outcomes]
    ranks, ranks_held_out = _places(tuned), _places(held_out)
    ranked = [
        Ranked(
            number=number,
            values=point.values,
            rank=ranks[number],
            tuned=tuned[number],
            rank_held_out=ranks_held_out[number],
            held_out=held_out[number],
        )
        for number, point in enumerate(asked.points)
    ]
    return tuple(sorted(ranked, key=lambda one: one.rank))


def _places(outcomes: Sequence[Outcome]) -> list[int]:
    order = sorted(range(len(outcomes)), key=lambda number: (-outcomes[number].net, number))
    places = [0] * len(outcomes)
    for place, number in enumerate(order, start=1):
        places[number] = place
    return places


def rank_correlation(ranked: Sequence[Ranked]) -> float:
    """Return Spearman's rank correlation of the two parts' net results, ties at their mean rank; nan if all are equal."""
    one = _mean_ranks(np.array([setting.tuned.net for setting in ranked]))
    other = _mean_ranks(np.array([setting.held_out.net for setting in ranked]))
    if len(ranked) < 2 or one.std() == 0 or other.std() == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def verdict(ranked: Sequence[Ranked], correlation: float, *, has_held_out: bool) -> str:
    """Return in plain sentences whether what was chosen on the tuned part is worth anything on the held-out part."""
    best = ranked[0]
    if not has_held_out:
        return "No part was held out, so nothing here says how the best setting does on data it was not chosen by."
    if not any(one.tuned.arbs or one.held_out.arbs for one in ranked):
        return "No setting traded on either part: there is nothing to choose between."
    alike = sum(one.tuned.net == best.tuned.net for one in ranked)
    shared = f" (and {alike - 1} more settings with the same result)" if alike > 1 else ""
    place = (
        f"The best of the tuned part{shared} earned {best.tuned.net:,.2f} there and {best.held_out.net:,.2f} on the "
        f"held-out part, where it came {best.rank_held_out} of {len(ranked)}."
    )
    fewest = min(best.tuned.arbs, best.held_out.arbs)
    few = f" But it made only {fewest} arbs on one part: too few to rely on." if fewest < ARBS_FEW else ""
    if best.tuned.net <= 0:
        return f"{place} No setting earned anything where it was chosen.{few}"
    if best.held_out.net <= 0:
        return f"{place} Overfitted: what it earned where it was chosen it did not earn elsewhere.{few}"
    if np.isnan(correlation) or len(ranked) < RANKED_MIN:
        return f"{place} With so few unlike results the order of settings says nothing about overfitting.{few}"
    told = f"The two parts agree on the order of settings by {correlation:.2f} (1 = the same, 0 = chance)"
    held_up = "the choice held up" if correlation >= HELD_UP_MIN else "the choice is mostly luck of the tuned part"
    return f"{place} {told}: {held_up}.{few}"


__all__ = ["HELD_OUT", "TUNED", "Asked", "Checked", "Ranked", "Swept", "Tools", "rank_correlation", "sweep", "verdict"]
