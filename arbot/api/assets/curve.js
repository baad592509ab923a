// The curve of net P&L, drawn by uPlot. Colours come from the style sheet, so that both themes have one source.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Curve {
  constructor(place) {
    this.place = place;
    this.data = [[], []];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
  }

  size() {
    return { width: Math.max(120, this.place.clientWidth), height: 220 };
  }

  draw(points, ccy) {
    this.data = [points.map(([ts]) => ts / 1000), points.map(([, pnl]) => pnl)];
    this.ccy = ccy;
    if (!this.plot) this.build();
    else this.plot.setData(this.data);
    const last = points.at(-1);
    if (last) this.place.setAttribute("aria-label", `Net P&L of this run over time; now ${last[1].toFixed(2)} ${ccy}`);
  }

  build() {
    this.plot?.destroy();
    const font = `12px ${colour("--font")}`;
    const axis = { stroke: colour("--dim"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    this.plot = new window.uPlot({
      ...this.size(),
      padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: { y: false },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(high * 1.05, 0.01)] } },
      axes: [
        { ...axis, space: 70, values: (_, at) => at.map((s) => new Date(s * 1000).toLocaleTimeString("en-GB")) },
        { ...axis, size: 64, values: (_, at) => at.map((v) => v.toLocaleString("en-US")) },
      ],
      series: [{}, { stroke: colour("--accent"), width: 2, fill: colour("--accent-soft"), points: { show: false }, paths: window.uPlot.paths.stepped({ align: 1 }) }],
    }, this.data, this.place);
  }
}
