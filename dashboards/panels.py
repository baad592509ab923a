"""The kinds of panel, each drawn one way: legends are lists, lines have no fill unless they add up, a threshold means act.

A panel is told what it shows and what to do (`about`), its queries and its unit. `alerts` are the rules that watch the same
thing: the description says where their runbooks are. A series with a venue leads to that venue's dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import bargauge as bargauge_model
from grafana_foundation_sdk.models import common, prometheus
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import stat as stat_model
from grafana_foundation_sdk.models import statetimeline as timeline_model
from grafana_foundation_sdk.models import table as table_model
from grafana_foundation_sdk.models import timeseries as timeseries_model

from dashboards.frame import SOURCE, VENUE_CELL_LINK, VENUE_LINK
from dashboards.looks import (
    ALARMING,
    BPS,
    CALM,
    COUNT,
    EACH_MINUTE,
    EACH_SECOND,
    SECONDS,
    SHARE,
    Missing,
    Steps,
    Words,
    mappings,
    thresholds,
)
from dashboards.queries import Query

SELDOM = "2m"  # least step of a panel of events that are minutes apart: the rate interval grows with it
LAST = "lastNotNull"
COLUMN_PX_MIN = 60.0  # Grafana's own least is 150: the last of five columns would have to be scrolled to
AXIS_ENDS: dict[str, float] = {COUNT: 1, EACH_MINUTE: 1, EACH_SECOND: 1, SHARE: 0.01, SECONDS: 0.01}
"""Where an axis ends at least, by unit: of a line that is zero all along Grafana would draw it up to 100, or 10,000 %."""
DECIMALS = {SHARE: 1, BPS: 1}  # of bars and cells; Grafana's own number grows as the value shrinks: 0.00000415 %
THRESHOLDS = model.FieldColorModeId.THRESHOLDS
PALETTE = model.FieldColorModeId.PALETTE_CLASSIC
DASHED = common.GraphThresholdsStyleConfig(mode=common.GraphThresholdsStyleMode.DASHED)


class Column(NamedTuple):
    """A column of a table: where it comes from, how it is called and read. `steps` colour the cell."""

    source: str
    title: str
    unit: str = ""
    steps: Steps = ()
    words: Words = ()


def stat(
    title: str,
    about: str,
    queries: Sequence[Query],
    unit: str,
    *,
    steps: Steps = CALM,
    words: Words = (),
    decimals: int | None = None,
    named: bool = False,
    missing: Missing = ALARMING,
    wide: int = 3,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return one large number, coloured all over when it asks for action; `named` shows the series' name beside it.

    `missing` is what stands there without a value: alarming unless something has to happen first.
    """
    has_alarm = any(color not in {"text", "green"} for _, color in steps) or bool(words)
    options = stat_model.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.BACKGROUND_SOLID if has_alarm else common.BigValueColorMode.VALUE,
        text_mode=common.BigValueTextMode.VALUE_AND_NAME if named else common.BigValueTextMode.VALUE,
        reduce_options=_last(),
        orientation=common.VizOrientation.AUTO,
    )
    if has_alarm:  # the colour is the background's then, and only what asks for action has one
        steps = tuple((value, _behind(color)) for value, color in steps)
        missing = Missing(missing.text, _behind(missing.color))
    field = _field(unit, color=THRESHOLDS, steps=steps, words=words, decimals=decimals, missing=missing)
    now = [query._replace(instant=True) for query in queries]  # the value of a daemon that is gone is no value
    return _panel("stat", title, about, now, size=(wide, 4), field=field, options=options, alerts=alerts)


def lines(
    title: str,
    about: str,
    queries: Sequence[Query],
    unit: str,
    *,
    steps: Steps = CALM,
    stacked: bool = False,
    least: float | None = None,
    most: float | None = None,
    logarithmic: bool = False,
    seldom: bool = False,
    colors: Mapping[str, str] | None = None,
    wide: int = 8,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return lines over time; thresholds are dashed lines. `seldom` widens the step where events are minutes apart.

    `colors` gives series their colour by name, where one of them is worse than another.
    """
    custom = common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.LINE,
        axis_soft_max=None if logarithmic else AXIS_ENDS.get(unit),
        line_width=1,
        fill_opacity=25 if stacked else 0,
        show_points=common.VisibilityMode.AUTO,
        span_nulls=False,
        stacking=common.StackingConfig(mode=common.StackingMode.NORMAL, group="A") if stacked else None,
        thresholds_style=DASHED if len(steps) > 1 else None,
        scale_distribution=common.ScaleDistributionConfig(type_val=common.ScaleDistribution.LOG, log=10)
        if logarithmic
        else None,
    )
    options = timeseries_model.Options(legend=_legend(), tooltip=_tooltip())
    field = _field(unit, color=PALETTE, steps=steps, custom=custom)
    field.min_val, field.max_val = 0 if stacked and least is None else least, most
    panel = _panel("timeseries", title, about, queries, size=(wide, 8), field=field, options=options, alerts=alerts)
    panel.interval = SELDOM if seldom else None
    if panel.field_config is not None:
        panel.field_config.overrides = [_colored(name, color) for name, color in (colors or {}).items()]
    return panel


def _colored(name: str, color: str) -> model.DashboardFieldConfigSourceOverrides:
    fixed = model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val="byName", options=name), properties=[fixed]
    )


def bars(
    title: str,
    about: str,
    queries: Sequence[Query],
    unit: str,
    *,
    steps: Steps = CALM,
    decimals: int | None = None,
    most: float | None = None,
    wide: int = 8,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return one bar for each series, of its last value."""
    options = bargauge_model.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        orientation=common.VizOrientation.HORIZONTAL,
        value_mode=common.BarGaugeValueMode.TEXT,
        show_unfilled=True,
        reduce_options=_last(),
        name_placement=common.BarGaugeNamePlacement.LEFT,
        sizing=common.BarGaugeSizing.MANUAL,  # or few bars become as large as headlines
        min_viz_height=16,
        max_viz_height=24,
        text=common.VizTextDisplayOptions(title_size=12, value_size=15),
    )
    if decimals is None:
        decimals = DECIMALS.get(unit)
    field = _field(unit, color=THRESHOLDS, steps=steps, decimals=decimals)
    field.min_val, field.max_val = 0, most
    return _panel("bargauge", title, about, queries, size=(wide, 8), field=field, options=options, alerts=alerts)


def heatmap(
    title: str,
    about: str,
    query: Query,
    unit: str,
    *,
    seldom: bool = False,
    wide: int = 8,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return a histogram over time: darker where more fell."""
    options = heatmap_model.Options(
        calculate=False,
        color=heatmap_model.HeatmapColorOptions(
            mode=heatmap_model.HeatmapColorMode.SCHEME,
            scheme="Blues",
            fill="dark-blue",
            scale=heatmap_model.HeatmapColorScale.EXPONENTIAL,
            exponent=0.5,
            steps=32,
        ),
        filter_values=heatmap_model.FilterValueRange(le=1e-9),
        rows_frame=heatmap_model.RowsHeatmapOptions(layout=common.HeatmapCellLayout.AUTO),
        y_axis=heatmap_model.YAxisConfig(unit=unit, axis_placement=common.AxisPlacement.LEFT),
        legend=heatmap_model.HeatmapLegend(show=False),
        tooltip=heatmap_model.HeatmapTooltip(mode=common.TooltipDisplayMode.SINGLE, y_histogram=True),
    )
    field = model.FieldConfig(unit=unit, custom=heatmap_model.FieldConfig())
    panel = _panel("heatmap", title, about, [query], size=(wide, 8), field=field, options=options, alerts=alerts)
    panel.interval = SELDOM if seldom else None
    return panel


def timeline(
    title: str,
    about: str,
    queries: Sequence[Query],
    words: Words,
    *,
    wide: int = 24,
    high: int = 6,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return a band for each series, coloured by the state it was in."""
    options = timeline_model.Options(
        show_value=common.VisibilityMode.AUTO,
        merge_values=True,
        row_height=0.8,
        align_value=common.TimelineValueAlignment.LEFT,
        legend=_legend(),
        tooltip=_tooltip(),
    )
    custom = timeline_model.FieldConfig(fill_opacity=80)
    field = _field("none", color=THRESHOLDS, words=words, custom=custom)
    return _panel(
        "state-timeline", title, about, queries, size=(wide, high), field=field, options=options, alerts=alerts
    )


def table(
    title: str,
    about: str,
    queries: Mapping[str, str],
    columns: Sequence[Column],
    *,
    wide: int = 12,
    high: int = 8,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return a table of last values, one row for each set of labels; `queries` by letter, columns in order."""
    asked = [Query(expr, instant=True, form="table") for expr in queries.values()]
    sources = {f"Value #{letter}" for letter in queries} if len(queries) > 1 else {"Value"}
    renamed = {column.source: column.title for column in columns}
    shown = {column.source: place for place, column in enumerate(columns)}
    transformations = [
        model.DataTransformerConfig(id_val="merge", options={}),
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True} | dict.fromkeys(sorted(sources - set(shown)), True),
                "indexByName": shown,
                "renameByName": renamed,
            },
        ),
    ]
    overrides = [override for column in columns if (override := _column(column)).properties]
    return _table(
        title,
        about,
        asked,
        overrides=overrides,
        transformations=transformations,
        size=(wide, high),
        alerts=alerts,
    )


def matrix(
    title: str,
    about: str,
    expr: str,
    *,
    rows: str,
    columns: str,
    unit: str,
    wide: int = 12,
    alerts: tuple[str, ...] = (),
) -> model.Panel:
    """Return a table with a cell for each pair of values of two labels."""
    asked = [Query(expr, instant=True, form="table")]
    grouped = {"rowField": rows, "columnField": columns, "valueField": "Value", "emptyValue": "null"}
    numbers = model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val="byType", options="number"),
        properties=[model.DynamicConfigValue(id_val="unit", value=unit)],
    )
    transformations = [model.DataTransformerConfig(id_val="groupingToMatrix", options=grouped)]
    named = model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val="byType", options="string"),
        properties=[model.DynamicConfigValue(id_val="links", value=[VENUE_CELL_LINK])],
    )
    return _table(
        title,
        about,
        asked,
        overrides=[numbers, named] if rows == "venue" else [numbers],
        transformations=transformations,
        size=(wide, 8),
        alerts=alerts,
    )


def _table(
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    overrides: list[model.DashboardFieldConfigSourceOverrides],
    transformations: list[model.DataTransformerConfig],
    size: tuple[int, int],
    alerts: tuple[str, ...],
) -> model.Panel:
    options = table_model.Options(show_header=True, cell_height=common.TableCellHeight.SM)
    custom = common.TableFieldOptions(align=common.FieldTextAlignment.AUTO, min_width=COLUMN_PX_MIN)
    field = _field("short", color=THRESHOLDS, custom=custom)
    panel = _panel("table", title, about, queries, size=size, field=field, options=options, alerts=alerts)
    panel.transformations = transformations
    if panel.field_config is not None:
        panel.field_config.overrides = overrides
    return panel


def _column(column: Column) -> model.DashboardFieldConfigSourceOverrides:
    properties = []
    if column.unit:
        properties.append(model.DynamicConfigValue(id_val="unit", value=column.unit))
    if column.unit in DECIMALS:
        properties.append(model.DynamicConfigValue(id_val="decimals", value=DECIMALS[column.unit]))
    if column.words:
        properties.append(model.DynamicConfigValue(id_val="mappings", value=mappings(column.words)))
    if column.steps:
        properties.append(model.DynamicConfigValue(id_val="thresholds", value=thresholds(column.steps)))
    if column.steps or column.words:
        cell = common.TableColorTextCellOptions()
        properties.append(model.DynamicConfigValue(id_val="custom.cellOptions", value=cell))
    if column.source == "venue":
        properties.append(model.DynamicConfigValue(id_val="links", value=[VENUE_CELL_LINK]))
    matcher = model.MatcherConfig(id_val="byName", options=column.title)
    return model.DashboardFieldConfigSourceOverrides(matcher=matcher, properties=properties)


def _panel(
    kind: str,
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    size: tuple[int, int],
    field: model.FieldConfig,
    options: object,
    alerts: tuple[str, ...],
) -> model.Panel:
    wide, high = size
    if any("{{venue}}" in query.legend for query in queries):
        field.links = [VENUE_LINK]
    return model.Panel(
        type_val=kind,
        title=title,
        description=_with_runbooks(about, alerts),
        datasource=SOURCE,
        targets=[_target(query, chr(ord("A") + place)) for place, query in enumerate(queries)],
        grid_pos=model.GridPos(w=wide, h=high),
        options=options,
        field_config=model.FieldConfigSource(defaults=field, overrides=[]),
    )


def _behind(color: str) -> str:
    """Return the background for a colour of text."""
    return "transparent" if color == "text" else color


def _with_runbooks(about: str, alerts: tuple[str, ...]) -> str:
    """Return the description; a runbook is named by its place in the repository, since no server is known to hold it."""
    places = ", ".join(f"docs/runbooks/{name}.md" for name in alerts)
    return f"{about}\n\nRunbook: {places}" if alerts else about


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery(
        datasource=SOURCE,
        expr=query.expr,
        legend_format=query.legend or "__auto",
        format_val=prometheus.PromQueryFormat(query.form),
        instant=query.instant,
        range_val=not query.instant,
        editor_mode=prometheus.QueryEditorMode.CODE,
        ref_id=letter,
    )


def _field(
    unit: str,
    *,
    color: model.FieldColorModeId,
    steps: Steps = CALM,
    words: Words = (),
    decimals: int | None = None,
    missing: Missing | None = None,
    custom: object | None = None,
) -> model.FieldConfig:
    return model.FieldConfig(
        unit=unit,
        decimals=decimals,
        mappings=mappings(words, missing),
        thresholds=thresholds(steps),
        color=model.FieldColor(mode=color),
        custom=custom,
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions(values=False, calcs=[LAST], fields="")


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING)
