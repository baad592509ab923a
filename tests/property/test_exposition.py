"""Our text and the client's say the same of any numbers and any labels."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from arbot.observe.catalogue.words import Metric
from arbot.observe.exposition import spelled
from arbot.observe.metrics import DROPPED, Metrics

BOUNDS = (1e-6, 0.25, 1.0, 1_500_000.0)
COUNTER = Metric("arbot_hits_total", "counter", "hits", ("venue", "reason"), 'Of "all" \\ kinds.\nEach.')
GAUGE = Metric("arbot_heat", "gauge", "-", ("venue", "asset"), "Heat.")
HISTOGRAM = Metric("arbot_wait_seconds", "histogram", "seconds", ("venue",), "Waiting.", BOUNDS)
NOTHING = Metric(DROPPED, "counter", "labelsets", (), "Left out.")
CATALOGUE = {row.name: row for row in (COUNTER, GAUGE, HISTOGRAM, NOTHING)}

hostile = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(['"', "\\", "\n", '\\"', "\\n", "{", "}", ",", "=", " # ", "ä€", ""]),
)
pairs = st.tuples(hostile, hostile)
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**20), 10**20).map(float),
    st.sampled_from([0.0, -0.0, 1e6, 999_999.5, 1e6 - 1e-9, 1e16, 1.5e300, 1e-300, 5e-324]),
)
above_zero = numbers.filter(lambda value: value > 0)


class Families:
    """Families as a collector of the client's yields them."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], str]:
    """Return every sample of a text by name and labels, its value by how it is written so that NaN equals NaN."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): repr(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lines(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if DROPPED not in line)


@given(
    st.dictionaries(pairs, above_zero, max_size=5),
    st.dictionaries(pairs, numbers, max_size=5),
    st.dictionaries(hostile, st.lists(st.floats(0, 1e9), max_size=8), max_size=3),
)
def test_ours_is_the_clients_text(
    counted: dict[tuple[str, str], float],
    gauged: dict[tuple[str, str], float],
    timed: dict[str, list[float]],
) -> None:
    """The same families come out the same by line, and both parse to the same samples: labels, exponents, NaN and all."""
    ours = Metrics(CATALOGUE)
    hits = CounterMetricFamily(COUNTER.name, COUNTER.help, labels=COUNTER.labels)
    heat = GaugeMetricFamily(GAUGE.name, GAUGE.help, labels=GAUGE.labels)
    wait = HistogramMetricFamily(HISTOGRAM.name, HISTOGRAM.help, labels=HISTOGRAM.labels)
    for labels, value in counted.items():
        ours.put(COUNTER.name, labels, value)
        hits.add_metric(labels, value)
    for labels, value in gauged.items():
        ours.put(GAUGE.name, labels, value)
        heat.add_metric(labels, value)
    for venue, values in timed.items():
        ours.ensure_child(HISTOGRAM.name, (venue,))
        for value in values:
            ours.time(HISTOGRAM.name, (venue,), value)
        buckets = [(floatToGoString(bound), float(sum(value <= bound for value in values))) for bound in BOUNDS]
        wait.add_metric((venue,), [*buckets, ("+Inf", float(len(values)))], sum(values, 0.0))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families([hits, heat, wait]))
    theirs = generate_latest(registry).decode()
    text = "".join(ours.texts())
    assert lines(theirs) == lines(text)
    own = samples(text)
    own.pop((DROPPED, ()))
    assert samples(theirs) == own


@given(numbers)
def test_a_number_is_spelled_as_the_client_spells_it(value: float) -> None:
    """Exponents begin where the client's do; infinities and what is no number have its words."""
    assert floatToGoString(value) == spelled(value)
