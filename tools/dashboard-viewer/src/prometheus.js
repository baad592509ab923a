// Asks Prometheus what a dashboard asks, the way Grafana's data source does, and makes data frames of the answers.

import { FieldType, rangeUtil, toDataFrame } from '@grafana/data';

const STEPS_MIN = 60; // of a panel of seldom events: Grafana would draw three points of five minutes, and so little says nothing

const number = (text) => ({ NaN, '+Inf': Infinity, '-Inf': -Infinity })[text] ?? Number(text);

async function get(path, parameters) {
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
  if (answer.status !== 'success') throw new Error(`${parameters.query ?? path}: ${answer.error}`);
  return answer.data;
}

export const substituted = (text, values) =>
  text.replace(/\$(?:\{(\w+)[^}]*\}|(\w+))/g, (whole, braced, bare) => values[braced ?? bare] ?? whole);

/** Return the value of every variable: what the address says, else "all" where there is one, else the first. */
export async function variables(dashboard, chosen) {
  const values = {};
  for (const { name, query, includeAll, allValue, type } of dashboard.templating.list) {
    if (type !== 'query') continue;
    const [, selector, label] = /^label_values\((?:(.+), *)?(\w+)\)$/.exec(query);
    const known = await get(`label/${label}/values`, { 'match[]': substituted(selector, values) });
    values[name] = chosen.get(name) ?? (includeAll ? allValue : known[0]);
  }
  return values;
}

/** Return the steps of a panel over a span, and the variables that follow from them. */
function pace(panel, span, width) {
  const least = Math.max(span.scrape, panel.interval ? rangeUtil.intervalToSeconds(panel.interval) : 0);
  const interval = Math.max(least, Math.ceil((span.end - span.start) / width));
  const seconds = (count) => `${count}s`;
  return {
    step: Math.max(span.scrape, Math.min(interval, Math.floor((span.end - span.start) / STEPS_MIN))),
    values: {
      __interval: seconds(interval),
      __rate_interval: seconds(Math.max(interval + span.scrape, 4 * span.scrape)),
      __range: seconds(span.end - span.start),
    },
  };
}

const named = (format, labels) => {
  if (format && format !== '__auto') return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
  const told = Object.entries(labels).filter(([label]) => label !== '__name__');
  return told.length ? `{${told.map(([label, value]) => `${label}="${value}"`).join(', ')}}` : 'Value';
};

function table(target, result, isOnly, end) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].filter((name) => name !== '__name__');
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map(() => end * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: result.map(({ metric }) => metric[name] ?? '') })),
      {
        name: isOnly ? 'Value' : `Value #${target.refId}`,
        type: FieldType.number,
        values: result.map(({ value }) => number(value[1])),
      },
    ],
  });
}

function series(target, { metric, value, values }, span, step) {
  const at = new Map((values ?? [value]).map(([time, text]) => [Math.round(time), number(text)]));
  const count = values ? Math.floor((span.end - span.start) / step) + 1 : 1;
  const times = values ? Array.from({ length: count }, (_, place) => span.start + place * step) : [...at.keys()];
  const name = named(target.legendFormat, metric);
  return toDataFrame({
    refId: target.refId,
    name,
    fields: [
      { name: 'Time', type: FieldType.time, values: times.map((time) => time * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        config: { displayNameFromDS: name },
        values: times.map((time) => at.get(time) ?? null),
      },
    ],
  });
}

/** Return the frames of a panel: one a series, or one a query where a table is asked for. */
export async function framesOf(panel, span, width, chosen) {
  const { step, values } = pace(panel, span, width);
  const frames = [];
  for (const target of panel.targets) {
    const query = substituted(target.expr, { ...chosen, ...values });
    const { result } = target.instant
      ? await get('query', { query, time: span.end })
      : await get('query_range', { query, start: span.start, end: span.end, step });
    if (target.format === 'table') frames.push(table(target, result, panel.targets.length === 1, span.end));
    else frames.push(...result.map((one) => series(target, one, span, step)));
  }
  return frames;
}

/** Return what is marked over every graph: {name, color, start, end} in milliseconds. */
export async function marksOf(dashboard, span, chosen) {
  const marks = [];
  for (const note of dashboard.annotations.list.filter(({ expr }) => expr)) {
    const step = rangeUtil.intervalToSeconds(note.step);
    const query = substituted(note.expr, chosen);
    const { result } = await get('query_range', { query, start: span.start, end: span.end, step });
    for (const { values } of result) {
      const times = note.useValueForTime
        ? [...new Set(values.map(([, text]) => number(text)))]
        : values.map(([time]) => time * 1000);
      const groups = [];
      for (const time of times) {
        const last = groups.at(-1);
        if (!note.useValueForTime && last && time - last.end <= step * 1000) last.end = time;
        else groups.push({ name: note.name, color: note.iconColor, start: time, end: time });
      }
      marks.push(...groups.filter(({ start }) => start >= span.start * 1000));
    }
  }
  return marks;
}
