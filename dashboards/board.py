"""From rows of panels to the JSON Grafana reads: the grid, the ids, and one way of writing it down.

The classic model (version 1) is written: every Grafana since 10 reads it from files, and 13 turns it into its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import OTHERS_LINK, TAG, marks, variables

GRID_WIDTH = 24
REFRESH = "10s"


class Row(NamedTuple):
    """A titled row of panels, laid from left to right and then down."""

    title: str
    panels: tuple[model.Panel, ...]


class Board(NamedTuple):
    """A dashboard: one question, answered in its first row."""

    uid: str
    title: str
    question: str
    rows: tuple[Row, ...]
    span: str = "now-1h"


def written(board: Board) -> str:
    """Return the file of a dashboard: the same bytes for the same board."""
    placed = list(_placed(board))
    text = json.dumps([panel.targets for panel in placed if isinstance(panel, model.Panel)], cls=JSONEncoder)
    built = model.Dashboard(
        uid=board.uid,
        title=board.title,
        description=board.question,
        tags=[TAG],
        timezone="browser",
        editable=False,
        graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
        time=model.DashboardDashboardTime(from_val=board.span, to="now"),
        timepicker=model.TimePickerConfig(refresh_intervals=["5s", "10s", "30s", "1m", "5m"]),
        refresh=REFRESH,
        templating=model.DashboardDashboardTemplating(list_val=variables(text)),
        annotations=model.AnnotationContainer(list_val=marks()),
        links=[OTHERS_LINK],
        panels=placed,
    )
    plain = json.loads(json.dumps(built, cls=JSONEncoder))
    return json.dumps(_without_placement(plain), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(board: Board) -> Iterator[model.Panel | model.RowPanel]:
    """Yield rows and panels with their ids and places on the grid."""
    y = number = 0
    for row in board.rows:
        number += 1
        yield model.RowPanel(
            title=row.title, id_val=number, grid_pos=model.GridPos(h=1, w=GRID_WIDTH, x=0, y=y), panels=[]
        )
        y += 1
        x = high = 0
        for panel in row.panels:
            size = panel.grid_pos or model.GridPos()
            if x + size.w > GRID_WIDTH:
                x, y, high = 0, y + high, 0
            number += 1
            panel.id_val, panel.grid_pos = number, model.GridPos(h=size.h, w=size.w, x=x, y=y)
            x, high = x + size.w, max(high, size.h)
            yield panel
        y += high


def _without_placement(node: Any) -> Any:
    """Take `placement` out of links: the SDK hides each in a menu, where nobody would find it. Legends keep theirs."""
    if isinstance(node, dict):
        is_link = "targetBlank" in node
        return {key: _without_placement(value) for key, value in node.items() if not (is_link and key == "placement")}
    return [_without_placement(value) for value in node] if isinstance(node, list) else node
