"""Whether a PromQL expression asks for what there is: metrics of the catalogue, by labels they have, in ways that fit them.

Pure functions over one expression. What the catalogue does not hold but a scrape brings is in FOREIGN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import promql_parser as promql

from arbot.observe.catalogue.words import LABELS, Metric

TARGET = frozenset({"job", "instance"})
FOREIGN: dict[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"} | set(LABELS)),
    "ALERTS_FOR_STATE": frozenset({"alertname", "severity"} | set(LABELS)),
    "scrape_samples_scraped": frozenset(),
    "scrape_duration_seconds": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_virtual_memory_bytes": frozenset(),
    "process_start_time_seconds": frozenset(),
    "process_open_fds": frozenset(),
    "process_max_fds": frozenset(),
}
"""Metrics of Prometheus itself and of the process, with their labels beside job and instance."""

GROWING = {"rate", "irate", "increase", "resets"}
MOVING = {"delta", "idelta", "deriv", "predict_linear"}
KEEPING = ("topk", "bottomk", "limitk", "limit_ratio")  # aggregations that leave the labels of what they choose


def metrics_of(expr: str) -> set[str]:
    """Return the names an expression selects. Raises: ValueError when it is no PromQL."""
    return {selector.name or "" for selector in _selectors(promql.parse(expr))}


def family(name: str, catalogue: Mapping[str, Metric]) -> Metric | None:
    """Return the metric a series name belongs to, or None."""
    if name in catalogue:
        return catalogue[name]
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix) and (metric := catalogue.get(name.removesuffix(suffix))) is not None:
            return metric if metric.kind == "histogram" else None
    return None


def labels_of(name: str, catalogue: Mapping[str, Metric]) -> frozenset[str]:
    """Return the labels of a series; none for a name nobody knows."""
    if name in FOREIGN:
        return FOREIGN[name] | TARGET
    metric = family(name, catalogue)
    if metric is None:
        return TARGET
    labels = {*metric.labels, *TARGET}
    if name.endswith("_bucket") and metric.kind == "histogram":
        labels.add("le")
    if metric.kind == "stateset":
        labels.add(metric.name)
    return frozenset(labels)


def labels_out(expr: str, catalogue: Mapping[str, Metric]) -> frozenset[str]:
    """Return the labels a result may have."""
    return _out(promql.parse(expr), catalogue)


def expression_problems(expr: str, catalogue: Mapping[str, Metric]) -> list[str]:
    """Return a sentence for everything an expression asks that cannot be: it is no PromQL, or no such metric, label, use."""
    try:
        tree = promql.parse(expr)
    except ValueError as error:
        return [f"is no PromQL: {error}"]
    return [*_of_selectors(tree, catalogue), *_of_groups(tree, catalogue), *_of_calls(tree, catalogue)]


def _of_selectors(tree: promql.Expr, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for selector in _selectors(tree):
        name = selector.name
        if not name:
            yield "selects without the name of a metric"
            continue
        yield from _of_name(name, catalogue)
        known = labels_of(name, catalogue)
        metric = family(name, catalogue)
        for matcher in selector.matchers.matchers:
            if matcher.name not in known:
                yield f"{name} has no label {matcher.name}; it has {', '.join(sorted(known))}"
            states = metric.states if metric is not None and matcher.name == metric.name else ()
            if states and matcher.op == promql.MatchOp.Equal and matcher.value not in states:
                yield f"{name} has no state {matcher.value}; it has {', '.join(states)}"


def _of_name(name: str, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    metric = family(name, catalogue)
    if name in FOREIGN:
        return
    if metric is None:
        yield f"the catalogue has no metric {name}"
    elif metric.kind == "histogram" and name == metric.name:
        yield f"{name} is a histogram: ask for its _bucket, _count or _sum"
    elif name.endswith("_sum") and metric.kind == "histogram" and min(metric.buckets) < 0:
        yield f"{metric.name} has buckets below zero, so it has no _sum"


def _of_groups(tree: promql.Expr, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for node in _nodes(tree):
        labels: list[str] = []
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            labels = list(node.modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and node.modifier is not None:
            matching = node.modifier.matching
            labels = [*(matching.labels if matching is not None else ()), *(node.modifier.group_labels or ())]
        known = frozenset[str]().union(*(labels_of(one.name or "", catalogue) for one in _selectors(node)))
        for label in labels:
            if label not in known:
                yield f"groups by {label}, which nothing inside has; there are {', '.join(sorted(known))}"


def _of_calls(tree: promql.Expr, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for node in _nodes(tree):
        if not isinstance(node, promql.Call):
            continue
        for argument in node.args:
            if not isinstance(argument, promql.MatrixSelector):
                continue
            name = argument.vector_selector.name or ""
            metric = family(name, catalogue)
            if metric is None:
                continue
            grows = metric.kind in {"counter", "histogram"}
            if node.func.name in GROWING and not grows:
                yield f"{node.func.name}() of {name}, which is a {metric.kind} and may fall"
            if node.func.name in MOVING and grows:
                yield f"{node.func.name}() of {name}, which only grows: use increase()"


def _out(node: promql.Expr, catalogue: Mapping[str, Metric]) -> frozenset[str]:
    if isinstance(node, promql.VectorSelector):
        return labels_of(node.name or "", catalogue)
    inner = frozenset[str]().union(*(_out(child, catalogue) for child in _children(node)))
    if isinstance(node, promql.AggregateExpr) and not node.prettify().startswith(KEEPING):
        if node.modifier is None:
            return frozenset()
        named = frozenset(node.modifier.labels)
        return inner & named if node.modifier.type == promql.AggModifierType.By else inner - named
    if isinstance(node, promql.Call) and node.func.name == "histogram_quantile":
        return inner - {"le"}
    return inner


def _selectors(tree: promql.Expr) -> Iterator[promql.VectorSelector]:
    yield from (node for node in _nodes(tree) if isinstance(node, promql.VectorSelector))


def _nodes(node: promql.Expr) -> Iterator[promql.Expr]:
    yield node
    for child in _children(node):
        yield from _nodes(child)


def _children(node: promql.Expr) -> list[promql.Expr]:
    if isinstance(node, promql.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, promql.Call):
        return list(node.args)
    if isinstance(node, promql.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, promql.AggregateExpr):
        return [node.expr, *([node.param] if node.param is not None else [])]
    if isinstance(node, promql.UnaryExpr | promql.ParenExpr | promql.SubqueryExpr):
        return [node.expr]
    return []
