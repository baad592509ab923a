"""The Grafana dashboards, as Python: what each shows, and how the house draws it. `python -m dashboards` writes the JSON.

One module per dashboard holds its rows as data; `queries` knows PromQL, `looks` units and colours, `panels` the kinds of
panel, `frame` variables, links and annotations, `board` the grid. The files under config/grafana/dashboards are generated:
change them here. Not shipped in the wheel.
"""
