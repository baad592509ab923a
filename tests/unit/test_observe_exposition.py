"""How the numbers are kept and told: types, escapes, budgets, and counters that never fall."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from arbot.observe import exposition
from arbot.observe.catalogue.words import Metric
from arbot.observe.metrics import DROPPED, DROPPED_KEPT, Metrics

ROWS = (
    Metric("arbot_hits_total", "counter", "hits", ("venue",), "Hits."),
    Metric("arbot_heat", "gauge", "-", ("venue", "asset"), "Heat.", labelsets_max=3),
    Metric("arbot_wait_seconds", "histogram", "seconds", ("venue",), "Waiting.", (0.1, 1.0, 2.5e-5 * 1e6)),
    Metric("arbot_slip_ratio", "histogram", "ratio", (), "Signed.", (-0.5, 0.0, 0.5)),
    Metric("arbot_phase", "stateset", "-", ("venue",), "Phase: a, b.", states=("a", "b")),
    Metric("arbot_build_info", "info", "-", ("version",), "Always 1.\nOf \\ this build."),
    Metric(DROPPED, "counter", "labelsets", (), "Left out."),
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics({row.name: row for row in ROWS})


def text(metrics: Metrics) -> str:
    return "".join(metrics.texts())


def test_each_kind_is_told_in_its_own_way(metrics: Metrics) -> None:
    """A stateset and an info are gauges; a stateset has its own name as a label; a histogram rises to its count."""
    metrics.add("arbot_hits_total", ("kraken",), 2)
    metrics.put("arbot_phase", ("kraken", "a"), 1)
    metrics.put("arbot_build_info", ("1.0",), 1)
    metrics.time("arbot_wait_seconds", ("kraken",), 0.5)
    told = text(metrics)
    for line in (
        "# TYPE arbot_hits_total counter",
        'arbot_hits_total{venue="kraken"} 2.0',
        "# TYPE arbot_phase gauge",
        'arbot_phase{arbot_phase="a",venue="kraken"} 1.0',
        "# HELP arbot_build_info Always 1.\\nOf \\\\ this build.",
        "# TYPE arbot_build_info gauge",
        'arbot_wait_seconds_bucket{le="0.1",venue="kraken"} 0.0',
        'arbot_wait_seconds_bucket{le="+Inf",venue="kraken"} 1.0',
        'arbot_wait_seconds_count{venue="kraken"} 1.0',
        'arbot_wait_seconds_sum{venue="kraken"} 0.5',
    ):
        assert f"{line}\n" in told
    assert "_created" not in told


def test_a_histogram_of_signed_values_has_no_sum(metrics: Metrics) -> None:
    """Its buckets and its count are there; a sum that falls would look like a restart."""
    for value in (-1.0, -0.2, 0.2):
        metrics.time("arbot_slip_ratio", (), value)
    told = text(metrics)
    assert 'arbot_slip_ratio_bucket{le="-0.5"} 1.0\n' in told
    assert 'arbot_slip_ratio_bucket{le="0.0"} 2.0\n' in told
    assert "arbot_slip_ratio_count 3.0\n" in told
    assert "arbot_slip_ratio_sum" not in told


def test_a_counter_never_falls(metrics: Metrics) -> None:
    """An amount below zero counts nothing, and of two values put the larger stays; a gauge follows every value."""
    metrics.add("arbot_hits_total", ("a",), -1)
    metrics.put("arbot_hits_total", ("b",), 7)
    metrics.put("arbot_hits_total", ("b",), 3)
    metrics.put("arbot_heat", ("a", "x"), 7)
    metrics.put("arbot_heat", ("a", "x"), -3)
    assert metrics.value("arbot_hits_total", ("b",)) == 7
    assert metrics.value("arbot_heat", ("a", "x")) == -3
    with pytest.raises(KeyError):
        metrics.value("arbot_hits_total", ("a",))


def test_label_sets_beyond_the_budget_are_left_out_and_counted(metrics: Metrics) -> None:
    """The first three stay and are counted on; each further one counts once, and the log names the metric once."""
    with capture_logs() as logs:
        for _ in range(2):
            for number in range(5):
                metrics.put("arbot_heat", ("kraken", str(number)), number)
    assert [("kraken", str(number)) for number in range(3)] == [labels for labels, _ in metrics.children("arbot_heat")]
    assert metrics.value(DROPPED) == 2
    assert [("label sets left out", "arbot_heat")] == [(line["event"], line["metric"]) for line in logs]


def test_what_is_remembered_of_the_left_out_has_an_end(metrics: Metrics) -> None:
    """A label that never repeats fills no memory: from a thousand on the count says "at least"."""
    for number in range(DROPPED_KEPT + 50):
        metrics.put("arbot_heat", ("kraken", str(number)), 1)
    assert metrics.value(DROPPED) == DROPPED_KEPT


def test_a_value_that_is_not_known_can_be_absent(metrics: Metrics) -> None:
    """A forgotten child is in no line, its place in the budget is free, and it may come back."""
    for number in range(3):
        metrics.put("arbot_heat", ("kraken", str(number)), number)
    metrics.forget("arbot_heat", ("kraken", "1"))
    metrics.forget("arbot_heat", ("kraken", "never"))
    metrics.put("arbot_heat", ("kraken", "3"), 3)
    lines = [line for line in text(metrics).splitlines() if line.startswith("arbot_heat{")]
    assert [f'arbot_heat{{asset="{number}",venue="kraken"}} {number}.0' for number in (0, 2, 3)] == lines
    assert metrics.value(DROPPED) == 0


def test_a_broken_character_spoils_only_itself(metrics: Metrics) -> None:
    """Half a surrogate pair in a label is replaced; all else of the scrape is whole."""
    metrics.add("arbot_hits_total", ("\ud800\n",))
    (family,) = (one for one in text_string_to_metric_families(text(metrics)) if one.name == "arbot_hits")
    assert [{"venue": "?\n"}] == [sample.labels for sample in family.samples]


def test_a_text_is_of_the_moment_it_was_asked_for(metrics: Metrics) -> None:
    """What is counted, made or forgotten between two slices is told the next time: one text never holds two moments."""
    metrics.put("arbot_heat", ("kraken", "a"), 1)
    metrics.time("arbot_wait_seconds", ("kraken",), 1)
    before = text(metrics)
    told = metrics.texts()
    parts = [next(told)]
    metrics.put("arbot_heat", ("kraken", "b"), 1)
    metrics.forget("arbot_heat", ("kraken", "a"))
    metrics.time("arbot_wait_seconds", ("kraken",), 1)
    assert before == "".join([*parts, *told])
    assert before != text(metrics)


async def test_the_loop_is_free_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a text of many lines is written the loop turns about once per slice of it."""
    monkeypatch.setattr(exposition, "LINES_A_SLICE", 10)
    turns, seen = 0, set[int]()

    class Noted(Metrics):
        def texts(self) -> Iterator[str]:
            for part in super().texts():
                seen.add(turns)
                yield part

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    metrics = Noted({row.name: row for row in ROWS})
    metrics.ensure_children("arbot_hits_total", map(str, range(200)))
    turn()
    told = await metrics.render()
    assert told.count(b"arbot_hits_total{") == 200
    assert len(seen) > 15


async def test_what_the_client_knows_of_the_process_is_there(metrics: Metrics) -> None:
    """Memory, garbage collection and the interpreter are told by the client's own collectors."""
    told = (await metrics.render()).decode()
    names = {family.name for family in text_string_to_metric_families(told)}
    assert {"process_resident_memory_bytes", "python_gc_collections", "python_info"} <= names


def slices(lines: Iterator[str]) -> list[int]:
    return [part.count("\n") for part in lines]


def test_no_slice_is_longer_than_it_may_be() -> None:
    """The lines of one family come in parts of the size that was measured to hold the loop briefly."""
    count = 2 * exposition.LINES_A_SLICE + 1
    parts = slices(exposition.number_lines(["x "] * count, [1.0] * count))
    assert parts == [exposition.LINES_A_SLICE, exposition.LINES_A_SLICE, 1]
