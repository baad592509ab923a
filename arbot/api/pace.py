"""How often something is done that takes long: as often as asked, less often where it would take too much of the loop's time.

What it costs is the least of the last few times: more is what other programs took of the machine meanwhile. And it is done at
least so often, whatever it costs: a page that is told nothing looks like a daemon that has gone.
"""

from __future__ import annotations

from collections import deque

from arbot.runtime.clock import NS_PER_S

TIMES_JUDGED = 5


class Pace:
    """How long to wait between two times."""

    def __init__(self, *, period_s: float, period_s_max: float, loop_share_max: float) -> None:
        self._period_s = period_s
        self._period_s_max = period_s_max
        self._loop_share_max = loop_share_max
        self._spent_ns: deque[int] = deque(maxlen=TIMES_JUDGED)

    def took(self, spent_ns: int) -> None:
        """Note what one time took of the loop."""
        self._spent_ns.append(spent_ns)

    @property
    def period_s(self) -> float:
        """How long to wait now."""
        wanted_s = min(self._spent_ns, default=0) / NS_PER_S / self._loop_share_max
        return min(self._period_s_max, max(self._period_s, wanted_s))
