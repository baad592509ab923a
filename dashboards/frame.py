"""What every dashboard has around its panels: datasource, variables, links and annotations."""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.models import common, prometheus
from grafana_foundation_sdk.models import dashboard as model

from dashboards.queries import DESK, whole

TAG = "arbot"
VENUE_UID = "arbot-venue"
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
CARRIED = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
ALL = ".+"


def _to_venue(name: str) -> model.DashboardLink:
    return model.DashboardLink(title=f"Venue {name}", url=f"/d/{VENUE_UID}/{VENUE_UID}?{CARRIED}&var-venue={name}")


VENUE_LINK = _to_venue("${__field.labels.venue}")  # of a series
VENUE_CELL_LINK = _to_venue("${__value.text}")  # of a cell that holds the name
OTHERS_LINK = model.DashboardLink(
    title="arbot", type_val=model.DashboardLinkType.DASHBOARDS, tags=[TAG], include_vars=True, keep_time=True
)


class Variable(NamedTuple):
    """A choice at the top of a dashboard. `asked` is the metric that knows the values; `many` allows several and all."""

    name: str
    title: str
    asked: str
    many: bool


CHOICES: tuple[Variable, ...] = (
    Variable("job", "Job", "arbot_build_info", many=False),
    Variable("instance", "Instance", 'arbot_build_info{job=~"$job"}', many=True),
    Variable("venue", "Venue", f"arbot_venue_state{{{DESK}}}", many=True),
    Variable("pair", "Pair", f"arbot_spread_net_ratio{{{DESK}}}", many=True),
    Variable("strategy", "Strategy", f"arbot_trades_in_flight{{{DESK}}}", many=True),
)
ALWAYS = ("job", "instance")


def variables(text: str) -> list[model.VariableModel]:
    """Return the datasource, job and instance, and every further choice that a query in the text uses."""
    source = model.VariableModel(
        type_val=model.VariableType.DATASOURCE,
        name="datasource",
        label="Datasource",
        query="prometheus",
        regex="",
        refresh=model.VariableRefresh.ON_DASHBOARD_LOAD,
        hide=model.VariableHide.DONT_HIDE,
        allow_custom_value=False,
    )
    used = [choice for choice in CHOICES if choice.name in ALWAYS or f"${choice.name}" in text]
    return [source, *(_variable(choice) for choice in used)]


def _variable(choice: Variable) -> model.VariableModel:
    question = f"label_values({choice.asked}, {choice.name})"
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=choice.name,
        label=choice.title,
        datasource=SOURCE,
        query=question,
        definition=question,
        regex="",
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.ALPHABETICAL_ASC,
        hide=model.VariableHide.DONT_HIDE,
        multi=choice.many,
        include_all=choice.many,
        all_value=ALL if choice.many else None,
        current=model.VariableOption(selected=True, text="All", value="$__all") if choice.many else None,
        allow_custom_value=False,
    )


def marks() -> list[model.AnnotationQuery]:
    """Return what is marked over every graph: starts, the kill switch, alerts that fire."""
    began = f"{whole('arbot_start_timestamp_seconds')} * 1000"
    killed = f"{whole('arbot_kill_switch_engaged')} == 1"
    firing = 'ALERTS{alertstate="firing",severity=~"page|warn"}'
    return [
        _annotation("Restarts", began, "blue", "{{instance}} began", "", is_moment=True),
        _annotation("Kill switch", killed, "red", "Kill switch engaged: {{scope}}", "scope"),
        _annotation("Alerts", firing, "orange", "{{alertname}}", "severity,venue,asset"),
    ]


def _annotation(
    name: str, expr: str, color: str, title: str, tags: str, *, is_moment: bool = False
) -> model.AnnotationQuery:
    query = prometheus.Dataquery(datasource=SOURCE, expr=expr, ref_id="A", range_val=True, legend_format=title)
    return model.AnnotationQuery(
        name=name,
        datasource=SOURCE,
        enable=True,
        icon_color=color,
        expr=expr,
        target=query,
        title_format=title,
        text_format="",
        tag_keys=tags,
        step="15s",
        use_value_for_time=is_moment,
    )
