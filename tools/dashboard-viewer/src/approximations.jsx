// Heatmaps and bands of states are part of Grafana itself and not of its published components: these are only like them.

import { formattedValueToString, getDisplayProcessor, getValueFormat, dateTimeFormat, FieldType } from '@grafana/data';

const AXIS = 20; // px of the times below
const TICKS = 5;

function Times({ span, left, width, top, theme }) {
  const at = (share) => (span.start + share * (span.end - span.start)) * 1000;
  return Array.from({ length: TICKS }, (_, place) => (place + 0.5) / TICKS).map((share) => (
    <text key={share} x={left + share * width} y={top} textAnchor="middle" fontSize={12} fill={theme.colors.text.primary}>
      {dateTimeFormat(at(share), { format: 'HH:mm:ss' })}
    </text>
  ));
}

const longest = (names) => Math.min(190, 16 + 7 * Math.max(0, ...names.map((name) => name.length)));

/** A histogram over time: a row for each bucket, darker where more fell. */
export function Heatmap({ panel, frames, width, height, span, theme }) {
  const bound = (frame) => Number(frame.name.replace('+Inf', 'Infinity'));
  const sorted = [...frames].sort((one, other) => bound(one) - bound(other));
  const counts = sorted.map((frame, row) =>
    frame.fields[1].values.map((value, column) => (value ?? 0) - (row ? (sorted[row - 1].fields[1].values[column] ?? 0) : 0)),
  );
  const most = Math.max(1e-9, ...counts.flat());
  const left = 84;
  const high = (height - AXIS) / counts.length;
  const wide = (width - left) / counts[0].length;
  const told = (row) => formattedValueToString(getValueFormat(panel.options.yAxis.unit)(bound(sorted[row])));
  const every = Math.ceil(14 / high);
  return (
    <svg width={width} height={height}>
      {counts.map((row, place) => (
        <g key={sorted[place].name} transform={`translate(0 ${height - AXIS - (place + 1) * high})`}>
          {place % every === 0 && (
            <text x={left - 6} y={high / 2 + 4} textAnchor="end" fontSize={12} fill={theme.colors.text.primary}>
              {Number.isFinite(bound(sorted[place])) ? `≤ ${told(place)}` : 'more'}
            </text>
          )}
          {row.map((count, column) =>
            count > 1e-9 ? (
              <rect
                key={column}
                x={left + column * wide}
                width={wide + 0.5}
                height={Math.max(1, high - 1)}
                fill={theme.visualization.getColorByName('blue')}
                opacity={0.15 + 0.85 * Math.sqrt(count / most)}
              />
            ) : null,
          )}
        </g>
      ))}
      <Times span={span} left={left} width={width - left} top={height - 5} theme={theme} />
    </svg>
  );
}

function stretches(values) {
  const found = [];
  values.forEach((value, place) => {
    const last = found.at(-1);
    if (last && last.value === value) last.count += 1;
    else found.push({ value, place, count: 1 });
  });
  return found.filter(({ value }) => value != null);
}

/** A band for each series, coloured by the state it was in. */
export function StateTimeline({ frames, width, height, span, theme }) {
  const left = longest(frames.map(({ name }) => name));
  const high = Math.min(60, (height - AXIS) / frames.length);
  return (
    <svg width={width} height={height}>
      {frames.map((frame, row) => {
        const field = frame.fields.find(({ type }) => type === FieldType.number);
        const display = getDisplayProcessor({ field, theme });
        const wide = (width - left) / field.values.length;
        return (
          <g key={frame.name} transform={`translate(0 ${row * high})`}>
            <text x={left - 8} y={high / 2 + 4} textAnchor="end" fontSize={12} fill={theme.colors.text.primary}>
              {frame.name}
            </text>
            {stretches(field.values).map(({ value, place, count }) => {
              const { text, color } = display(value);
              return (
                <g key={place} transform={`translate(${left + place * wide} ${high * 0.1})`}>
                  <rect width={count * wide} height={high * 0.8} fill={color} fillOpacity={0.8} />
                  {count * wide > 8 * text.length && (
                    <text x={4} y={high * 0.4 + 4} fontSize={12} fill={theme.colors.getContrastText(color)}>
                      {text}
                    </text>
                  )}
                </g>
              );
            })}
          </g>
        );
      })}
      <Times span={span} left={left} width={width - left} top={height - 5} theme={theme} />
    </svg>
  );
}
