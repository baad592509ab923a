"""All plays of some disasters: with everything on, without each protection, without those it is about, without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

import msgspec

from arbot.backtest.stress.file import Disaster, load
from arbot.backtest.stress.play import Choice, play
from arbot.backtest.stress.played import ALL_OFF, ON, SAME_SIZE, THESE_OFF, Played
from arbot.backtest.stress.world import World
from arbot.domain.errors import Mistake, UserError
from arbot.domain.units import div

FOLDER = Path("backtests/disasters")
ALL = "all"
PRICES_SHOWN = 400


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One disaster with all its plays: of a family the variants one after the other."""

    name: str
    title: str
    about: str
    sources: tuple[str, ...]
    assumptions: tuple[str, ...]
    protections: tuple[str, ...]
    bounded: str  # why twice the budget could not be lost; empty: it could
    headline: str
    announcement_ns: int
    watch: str
    prices: dict[str, list[tuple[int, float]]]  # of the worst variant with everything on, 100 at the start
    plays: tuple[Played, ...]

    def of(self, off: str) -> tuple[Played, ...]:
        """Return the plays without that protection, one a variant."""
        return tuple(one for one in self.plays if one.off == off)

    def worst(self, off: str) -> Played:
        """Return the worst variant of those plays, by how much of its budget it cost."""
        return max(self.of(off), key=lambda one: (div(one.incident, one.budget), one.loss))

    @property
    def offs(self) -> tuple[str, ...]:
        """Return what the disaster was played without, in order."""
        return tuple(dict.fromkeys(one.off for one in self.plays if one.off not in (ON, SAME_SIZE)))

    def quiet(self) -> tuple[Decimal, Decimal] | None:
        """Return what the first variant's quiet part earned with everything on, and without at the same size; None without one."""
        same = self.of(SAME_SIZE)
        return (self.of(ON)[0].pnl_quiet, same[0].pnl_quiet) if same else None


def names(folder: Path = FOLDER) -> list[str]:
    """Return every disaster there is a file of."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def chosen(name: str, folder: Path = FOLDER) -> list[Path]:
    """Return the files of one disaster or of all. Raises: UserError when there is none of that name."""
    known = names(folder)
    if name == ALL and known:
        return [folder / f"{one}.toml" for one in known]
    if name not in known:
        raise UserError(Mistake(name, "there is no such disaster", f"use {', '.join([*known, ALL])}"))
    return [folder / f"{name}.toml"]


def stress(
    files: Sequence[Path], choice: Choice, *, each: bool, jobs: int, progress: Callable[[int], None]
) -> Iterator[Told]:
    """Yield every disaster once all its plays are done; `each` also does without every single protection it is about.

    `progress` is told the plays done. Raises: UserError for a file that is wrong.
    """
    loaded = [(path, load(path)) for path in files]
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [
            (
                variants,
                [pool.submit(play_from, path, number, off, choice) for number, off in _asked(variants, each=each)],
            )
            for path, variants in loaded
        ]
        for variants, futures in waiting:
            plays = []
            for future in futures:
                plays.append(future.result())
                progress(1)
            yield told(variants, plays)


def play_from(path: Path, variant: int, off: str, choice: Choice) -> Played:
    """Play one variant of a file: what a process is asked to do."""
    disaster = load(path)[variant]
    return play(disaster, World(disaster), choice, off)


def told(variants: Sequence[Disaster], plays: Iterable[Played]) -> Told:
    """Return a disaster with its plays; those of each protection come in the order of the variants."""
    disaster = variants[0]
    whole = Told(
        name=disaster.name,
        title=disaster.title,
        about=disaster.about,
        sources=disaster.sources,
        assumptions=disaster.assumptions,
        protections=disaster.protections,
        bounded=disaster.bounded,
        headline=disaster.headline,
        announcement_ns=disaster.announcement or 0,
        watch=disaster.watch.node,
        prices={},
        plays=tuple(plays),
    )
    worst = variants[whole.of(ON).index(whole.worst(ON))]
    return msgspec.structs.replace(whole, prices=dict(World(worst).paths(PRICES_SHOWN)))


def count(files: Sequence[Path], *, each: bool) -> int:
    """Return how many plays that will be."""
    return sum(len(_asked(load(path), each=each)) for path in files)


def _asked(variants: Sequence[Disaster], *, each: bool) -> list[tuple[int, str]]:
    offs = [ON, *(variants[0].protections if each and len(variants) < FAMILY_MIN else ()), THESE_OFF, ALL_OFF]
    asked = [(number, off) for number in range(len(variants)) for off in offs]
    return [*asked, (0, SAME_SIZE)] if variants[0].quiet_until is not None else asked


FAMILY_MIN = 5  # variants from which on single protections are not played: the grid itself is the point


def multiple(told_: Told) -> Decimal:
    """Return how many budgets are lost without what the disaster is about."""
    worst = told_.worst(THESE_OFF)
    return div(worst.incident, worst.budget)
