"""The exported series, and the series that a query uses."""

from __future__ import annotations

import promql_parser as promql
from prometheus_client import CollectorRegistry

from cbstore_sql import CircuitBreakerMetrics, FleetCollector
from cbstore_sql.events import ProbeLost
from tests.metrics.breakers import FLEET, LOCKED, Rows

Series = dict[str, frozenset[str]]


def exported() -> Series:
    """Return every exported series with the names of its labels."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(Rows((*FLEET, LOCKED))))
    metrics = CircuitBreakerMetrics(registry)
    metrics.record_state_transition("api", "closed", "open")
    metrics.record_request("api", "success", 0.1)
    metrics.listener(ProbeLost("api"))
    metrics.record_shadow("api", "opened")
    metrics.record_store(degraded=True)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {sample.name: frozenset(sample.labels) for sample in samples}


def labels_of(query: str, series: Series) -> frozenset[str]:
    """Return the labels of the result of a query.

    Raises:
        AssertionError: It asks for a series or a label that is not given out.
        ValueError: It is no PromQL.
    """
    return _labels(promql.parse(query), series)


def _labels(query: object, series: Series) -> frozenset[str]:
    labels: frozenset[str] = frozenset()
    match query:
        case promql.VectorSelector():
            labels = _selected(query, series)
        case promql.MatrixSelector():
            labels = _selected(query.vector_selector, series)
        case promql.AggregateExpr():
            labels = frozenset(query.modifier.labels if query.modifier else ())
            assert labels <= _labels(query.expr, series), f"no {set(labels)} in {query.expr.prettify()}"
        case promql.BinaryExpr():
            left, right = (_labels(side, series) for side in (query.lhs, query.rhs))
            assert not left or not right or left == right, f"nothing matches in {query.prettify()}"
            labels = left or right
        case promql.Call():
            labels = labels.union(*(_labels(argument, series) for argument in query.args))
            labels -= {"le"} if query.func.name == "histogram_quantile" else frozenset()
        case promql.ParenExpr() | promql.SubqueryExpr():
            labels = _labels(query.expr, series)
        case _:
            assert isinstance(query, promql.NumberLiteral), f"what labels has {query!r}?"
    return labels


def _selected(selector: promql.VectorSelector, series: Series) -> frozenset[str]:
    labels = series.get(selector.name or "")
    assert labels is not None, f"nobody exports {selector.name}"
    unknown = {matcher.name for matcher in selector.matchers.matchers} - labels
    assert not unknown, f"{selector.name} has no {unknown}"
    return labels
