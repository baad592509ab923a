"""A sweep from settings to ranking: held-out part, going on after a stop, the check by full replays, and the verdict."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import sys
from random import Random

import numpy as np
import pytest

from arbot.backtest.stock import Made
from arbot.backtest.sweep import HELD_OUT, TUNED, Asked, Ranked, Tools, rank_correlation, sweep, verdict
from arbot.backtest.sweep_parts import StockUntil, span_of, split
from arbot.backtest.sweep_pass import Part, judge
from arbot.backtest.sweep_space import Point
from arbot.backtest.sweep_store import Outcome, SweepStore
from arbot.backtest.sweep_workers import ROWS_HERE_MAX, Dask, Here, Job, Processes
from arbot.market.stream import IS_LAST
from tests.support.sweep_tapes import START_NS, a_candidate, a_stock, random_rows, three_streams

STREAMS = three_streams()
RNG = Random(11)
ROWS = random_rows(RNG, STREAMS, 800)
CANDIDATES = [a_candidate(RNG, STREAMS) for _ in range(12)]


def an_outcome(net, arbs=1):
    return Outcome(
        net=float(net),
        edge=0.0,
        slippage=0.0,
        unwinds=0.0,
        fees=0.0,
        drawdown=0.0,
        arbs=arbs,
        missed=0,
        one_sided=0,
        stranded=0,
    )


def by_number(document, part):
    """Return what a fake replay says: best in the middle of the settings, and upside down on the held-out part."""
    net = 10 - abs(document["number"] - 5)
    return an_outcome(net if part.name == TUNED else -net)


def asked(count, *, shares_scan, hold_out=0.3, verify=2):
    return Asked(
        points=tuple(Point({"number": str(number)}, {"number": number}, None) for number in range(count)),
        digests=tuple(map(str, range(count))),
        parts=split((int(ROWS.recv_ts_ns[0]), int(ROWS.recv_ts_ns[-1])), hold_out),
        shares_scan=shares_scan,
        ccy="USD",
        seed=1,
        code_version="1",
        verify=verify,
    )


class Counting(Here):
    """Workers that count, and that can be interrupted after so many jobs."""

    def __init__(self, stop_after=10**9):
        self.done = 0
        self.stop_after = stop_after

    def run(self, jobs, evaluate):
        for job, outcome in super().run(jobs, evaluate):
            if self.done == self.stop_after:
                raise KeyboardInterrupt
            self.done += 1
            yield job, outcome


def tools(workers, evaluate=by_number):
    return Tools(candidate=lambda point: CANDIDATES[point.document["number"]], evaluate=evaluate, workers=workers)


def test_shared_scan_ranks_by_the_tuned_part(tmp_path):
    """Settings are ranked by their net result on the first 70 % of the time, beside result and rank on the rest."""
    swept = sweep(asked(12, shares_scan=True), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(Here()))
    scores = judge(a_stock(STREAMS, ROWS), CANDIDATES, swept.parts)
    nets = [score.net for score in scores[TUNED]]
    assert sorted(nets, reverse=True) == [one.tuned.net for one in swept.ranked]
    assert [scores[HELD_OUT][one.number].net for one in swept.ranked] == [one.held_out.net for one in swept.ranked]
    assert list(range(1, 13)) == sorted(one.rank_held_out for one in swept.ranked)
    assert pytest.approx(0.7, abs=0.01) == (swept.parts[0].stop_ts_ns - START_NS) / (
        swept.parts[1].stop_ts_ns - START_NS
    )


def test_best_are_replayed_in_full(tmp_path):
    """The best of a shared scan are replayed in full on both parts, and the difference of the nets is shown."""
    workers = Counting()
    swept = sweep(asked(12, shares_scan=True), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(workers))
    best = [one.number for one in swept.ranked[:2]]
    assert [(number, part) for number in best for part in (TUNED, HELD_OUT)] == [
        (one.number, one.part) for one in swept.checked
    ]
    assert workers.done == 4
    for one in swept.checked:
        part = next(part for part in swept.parts if part.name == one.part)
        assert by_number({"number": one.number}, part) == one.engine
        assert one.kernel.net - one.engine.net == one.net_error


def test_interrupted_sweep_goes_on_where_it_was(tmp_path):
    """What was found before Ctrl-C is kept; the next run asks the rest only, and a third asks nothing."""
    with pytest.raises(KeyboardInterrupt):
        sweep(asked(8, shares_scan=False), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(Counting(stop_after=5)))
    assert len(SweepStore(tmp_path)) == 5
    workers = Counting()
    swept = sweep(asked(8, shares_scan=False), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(workers))
    assert workers.done == 11
    assert swept.ranked[0].number == 5
    idle = Counting()
    again = sweep(asked(8, shares_scan=False), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(idle))
    assert idle.done == again.asked_anew == 0
    assert swept.ranked == again.ranked


def test_without_held_out_part_the_verdict_says_so(tmp_path):
    """With nothing held out there is one part, and the sentence says that it proves nothing."""
    swept = sweep(
        asked(3, shares_scan=False, hold_out=0.0), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(Here())
    )
    assert [TUNED] == [part.name for part in swept.parts]
    assert "No part was held out" in swept.verdict


def ranked_of(pairs):
    return [
        Ranked(
            number=number,
            values={},
            rank=number + 1,
            tuned=an_outcome(one),
            rank_held_out=1,
            held_out=an_outcome(other),
        )
        for number, (one, other) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("pairs", "expected", "words"),
    [
        ([(5, 50), (4, 40), (3, 30), (2, 20), (1, 10)], 1.0, "held up"),
        ([(5, -5), (4, -4), (3, -3), (2, -2), (1, -1)], -1.0, "Overfitted"),
        ([(5, 3), (4, 5), (3, 1), (2, 4), (1, 2)], 0.3, "mostly luck"),
        ([(2, 1), (1, 2)], -1.0, "so few"),
        ([(1, 1)] * 6, math.nan, "so few"),
    ],
)
def test_verdict_follows_the_rank_correlation(pairs, expected, words):
    """Spearman's correlation of both parts decides what the sentence says."""
    found = rank_correlation(ranked_of(pairs))
    assert pytest.approx(expected, nan_ok=True) == found
    assert words in verdict(ranked_of(pairs), found, has_held_out=True)


def test_equal_results_share_their_rank():
    """Ties stand at their mean rank: ranks 1, 2.5, 2.5, 4 and 1, 4, 2.5, 2.5 correlate by one half."""
    assert pytest.approx(0.5) == rank_correlation(ranked_of([(1, 1), (2, 3), (2, 2), (3, 2)]))


@pytest.mark.parametrize("chunked", [False, True])
def test_stock_ends_before_its_end(chunked):
    """A stock that ends early has every row before that time and none after, however it is cut into chunks."""
    cuts = tuple((np.flatnonzero(ROWS.tag & IS_LAST) + 1)[:-1:60].tolist()) if chunked else ()
    tuned, _ = split(span_of(a_stock(STREAMS, ROWS)), 0.5)
    found = np.concatenate(list(StockUntil(a_stock(STREAMS, ROWS, cuts), tuned.stop_ts_ns).chunks()), axis=1)
    expected = np.stack(ROWS)[:, ROWS.recv_ts_ns < tuned.stop_ts_ns]
    assert 0 < expected.shape[1] < len(ROWS)
    assert np.array_equal(expected, found)


@pytest.mark.parametrize("shown", [Made(STREAMS, 0, "none", lambda: iter(()))])
def test_empty_stock_is_judged_as_nothing(shown):
    """A tape without rows gives scores of nothing rather than an error."""
    (score,) = judge(shown, CANDIDATES[:1], (Part(name="all", first_ts_ns=0, stop_ts_ns=1),))["all"]
    assert (score.arbs, score.net) == (0, 0.0)


JOBS = """
import threading

from arbot.backtest.sweep_store import Outcome


def by_number(document, part):
    return Outcome(**{name: 0 for name in Outcome.__struct_fields__ if name != "net"}, net=5.0 + document["number"])


def first_at_once_others_never(document, part):
    if document["number"]:
        threading.Event().wait()
    return by_number(document, part)
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that other processes can import too: they know nothing of the folders of the tests."""
    (tmp_path / "sweep_jobs_of_a_test.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("sweep_jobs_of_a_test")
    del sys.modules["sweep_jobs_of_a_test"]


def test_processes_do_the_jobs(tmp_path, jobs):
    """Spawned processes give what this process gives."""
    many = tools(Processes(1), jobs.by_number)
    swept = sweep(asked(3, shares_scan=False), a_stock(STREAMS, ROWS), SweepStore(tmp_path / "out"), many)
    assert [one.tuned.net for one in swept.ranked] == [7.0, 6.0, 5.0]


def test_processes_end_at_once_when_nobody_wants_the_rest(jobs):
    """Closing a run, as Ctrl-C does, ends the processes in the middle of their jobs and keeps what came before."""
    others = set(multiprocessing.active_children())
    part = Part(name=TUNED, first_ts_ns=0, stop_ts_ns=1)
    asked_for = [Job(number, {"number": number}, part) for number in range(4)]
    running = Processes(2).run(asked_for, jobs.first_at_once_others_never)
    job, outcome = next(running)
    running.close()
    assert (job.number, outcome.net) == (0, 5.0)
    assert set(multiprocessing.active_children()) == others


def test_few_rows_are_replayed_without_processes():
    """Work that is done before a process has started is done in this one."""
    part = Part(name=TUNED, first_ts_ns=0, stop_ts_ns=1)
    jobs = [Job(number, {"number": number}, part) for number in range(3)]
    seen = []

    def remember(document, part):
        seen.append(document["number"])
        return by_number(document, part)

    done = list(Processes(2, rows=ROWS_HERE_MAX // 3).run(jobs, remember))
    assert seen == [job.number for job, _ in done] == [0, 1, 2]


def test_dask_does_the_jobs(tmp_path):
    """The workers of a Dask cluster give what this process gives."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        workers = Dask(cluster.scheduler_address)
        swept = sweep(asked(6, shares_scan=False), a_stock(STREAMS, ROWS), SweepStore(tmp_path), tools(workers))
    assert swept.ranked[0].number == 5
    assert [one.tuned.net for one in swept.ranked] == [10.0, 9.0, 8.0, 7.0, 6.0, 5.0]
