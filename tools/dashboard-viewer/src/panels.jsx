// Draws a panel with the component Grafana draws it with.

import { dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import { Heatmap, StateTimeline } from './approximations.jsx';
import { defaultsOf } from './fields.js';

/** Mark starts, the kill switch and alerts: a line where each begins, a band while it lasts. */
const marking = (marks, theme) => (config) => {
  config.addHook('draw', (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { color, start, end } of marks) {
      const [from, to] = [start, end].map((time) => Math.min(plot.valToPos(time, 'x', true), bbox.left + bbox.width));
      ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(color);
      ctx.globalAlpha = 0.08;
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(from, bbox.top + bbox.height, Math.max(3, to - from), 3);
      ctx.setLineDash([4, 4]);
      ctx.beginPath();
      ctx.moveTo(from, bbox.top);
      ctx.lineTo(from, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
  return null;
};

function Lines({ panel, frames, width, height, span, marks, theme }) {
  const range = { from: dateTime(span.start * 1000), to: dateTime(span.end * 1000) };
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={{ ...range, raw: range }}
      timeZone="browser"
      legend={panel.options.legend}
      options={panel.options}
      structureRev={1}
    >
      {marking(marks, theme)}
    </TimeSeries>
  );
}

const valuesOf = (panel, frames, theme) => () =>
  getFieldDisplayValues({
    fieldConfig: { defaults: defaultsOf(panel), overrides: [] },
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    timeZone: 'browser',
  });

function Stat({ panel, frames, width, height, theme }) {
  const { colorMode, graphMode, justifyMode = 'auto', orientation, textMode } = panel.options;
  return (
    <VizRepeater
      getValues={valuesOf(panel, frames, theme)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width: wide, height: high, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          count={count}
          {...{ colorMode, graphMode, justifyMode, textMode, alignmentFactors, theme }}
          width={wide}
          height={high}
        />
      )}
      itemSpacing={3}
      orientation={orientation}
      source={frames}
      autoGrid
      {...{ width, height }}
    />
  );
}

function Bars({ panel, frames, width, height, theme }) {
  const { displayMode, maxVizHeight, minVizHeight, minVizWidth, namePlacement, orientation, showUnfilled, text, valueMode } =
    panel.options;
  return (
    <VizRepeater
      getValues={valuesOf(panel, frames, theme)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width: wide, height: high, alignmentFactors, orientation: way }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={text}
          orientation={way}
          valueDisplayMode={valueMode}
          itemSpacing={8}
          lcdCellWidth={12}
          {...{ displayMode, namePlacement, showUnfilled, alignmentFactors, theme }}
          width={wide}
          height={high}
        />
      )}
      itemSpacing={8}
      orientation={orientation}
      source={frames}
      {...{ maxVizHeight, minVizHeight, minVizWidth, width, height }}
    />
  );
}

const DRAWN = {
  timeseries: Lines,
  stat: Stat,
  bargauge: Bars,
  table: ({ panel, frames, width, height }) => (
    <Table data={frames[0]} width={width} height={height} cellHeight={panel.options.cellHeight} />
  ),
  heatmap: Heatmap,
  'state-timeline': StateTimeline,
};
const SHOWS_NOTHING_ITSELF = new Set(['stat']); // has words for it

/** Draw what is in a panel, or say that there is nothing. */
export function Body(told) {
  const { panel, frames } = told;
  const Drawn = DRAWN[panel.type];
  const isEmpty = frames.every(({ length }) => length === 0);
  if (isEmpty && !SHOWS_NOTHING_ITSELF.has(panel.type)) return <div className="empty">No data</div>;
  return <Drawn {...told} />;
}
