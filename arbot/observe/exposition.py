"""Prometheus' text format, spelled as its Python client spells it, a line's unchanging part made once.

The client's own `generate_latest` takes 13 us a series and holds the interpreter while it does; with the part before the
value kept, a line is one addition. A test parses both and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.utils import floatToGoString

from arbot.observe.catalogue.words import Metric

Labels = tuple[str, ...]

LINES_A_SLICE = 400  # a fifth of a millisecond
_PLAIN_BELOW = 1e6  # the client writes larger numbers with an exponent
_PLAIN_ABOVE = -1e300  # and this leaves out minus infinity
_large: Callable[[float], str] = floatToGoString  # also infinities and what is not a number
_TYPES = {"stateset": "gauge", "info": "gauge"}  # the text format knows neither


def head(metric: Metric) -> str:
    """Return the two lines that begin a family."""
    told = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {metric.name} {told}\n# TYPE {metric.name} {_TYPES.get(metric.kind, metric.kind)}\n"


def label_names(metric: Metric) -> Labels:
    """Return the names of a child's labels: a stateset has its own name as the last."""
    return (*metric.labels, metric.name) if metric.kind == "stateset" else metric.labels


def has_sum(metric: Metric) -> bool:
    """Return whether a histogram has a sum: not when its values are signed, since a sum that falls looks like a restart."""
    return metric.buckets[0] >= 0


def number_prefix(metric: Metric, labels: Labels) -> str:
    """Return what stands before the value of a counter or gauge."""
    return _prefix(metric.name, zip(label_names(metric), labels, strict=True))


def histogram_prefixes(metric: Metric, labels: Labels) -> tuple[str, ...]:
    """Return what stands before each bucket, then before the count, then, if it has one, before the sum."""
    own = tuple(zip(metric.labels, labels, strict=True))
    bounds = (*map(_large, metric.buckets), "+Inf")
    buckets = (_prefix(f"{metric.name}_bucket", (*own, ("le", bound))) for bound in bounds)
    sums = (_prefix(f"{metric.name}_sum", own),) if has_sum(metric) else ()
    return (*buckets, _prefix(f"{metric.name}_count", own), *sums)


def spelled(value: float) -> str:
    """Return a number as the client writes it."""
    return repr(value) if _PLAIN_ABOVE < value < _PLAIN_BELOW else _large(value)


def number_lines(prefixes: Sequence[str], values: Sequence[float]) -> Iterator[str]:
    """Yield the lines of a counter or gauge as texts of so many lines that none holds the loop for long."""
    for at in range(0, len(values), LINES_A_SLICE):
        until = at + LINES_A_SLICE
        yield "".join(
            [
                f"{prefix}{value!r}\n" if _PLAIN_ABOVE < value < _PLAIN_BELOW else f"{prefix}{_large(value)}\n"
                for prefix, value in zip(prefixes[at:until], values[at:until], strict=True)
            ]
        )


def histogram_lines(prefixes: Sequence[str], counts: Sequence[int], total: float) -> str:
    """Return the lines of one histogram from its counts per bucket and the sum of its values."""
    lines, count = [], 0
    for prefix, more in zip(prefixes, counts, strict=False):  # the count, and the sum if there is one, come after
        count += more
        lines.append(f"{prefix}{spelled(float(count))}\n")
    lines.append(f"{prefixes[len(counts)]}{spelled(float(count))}\n")
    if len(prefixes) > len(counts) + 1:
        lines.append(f"{prefixes[-1]}{spelled(total)}\n")
    return "".join(lines)


def _prefix(name: str, labels: Iterable[tuple[str, str]]) -> str:
    told = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels))
    return f"{name}{{{told}}} " if told else f"{name} "


def _escaped(value: str) -> str:
    text = str(value).encode("utf-8", "replace").decode()  # half a surrogate pair would spoil the whole scrape
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
