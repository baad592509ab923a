// Lays a panel's field options over its frames, as Grafana does before a panel sees them.

import {
  FieldType,
  getDisplayProcessor,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';

const TRANSFORMERS = ['mergeTransformer', 'organizeFieldsTransformer', 'groupingToMatrixTransformer'];

standardTransformersRegistry.setInit(() =>
  TRANSFORMERS.map((name) => standardTransformers[name]).map((one) => ({
    id: one.id,
    name: one.name,
    transformation: one,
    editor: () => null,
  })),
);

const transformed = (frames, transformations = []) =>
  transformations.length === 0
    ? Promise.resolve(frames)
    : new Promise((resolve, reject) => transformDataFrame(transformations, frames).subscribe({ next: resolve, error: reject }));

const fitsField = ({ id, options }, field) =>
  id === 'byName' ? options === (field.config.displayName ?? field.config.displayNameFromDS ?? field.name) : id === 'byType' && options === field.type;

/** JSON has no minus infinity: the first threshold begins there. */
const unbound = (thresholds) =>
  thresholds && {
    ...thresholds,
    steps: thresholds.steps.map((step, place) => (place === 0 ? { ...step, value: -Infinity } : step)),
  };

function configured(field, { defaults, overrides = [] }) {
  const config = { ...defaults, ...field.config, custom: { ...defaults.custom }, links: [] };
  for (const { matcher, properties } of overrides) {
    if (!fitsField(matcher, field)) continue;
    for (const { id, value } of properties) {
      if (id.startsWith('custom.')) config.custom[id.slice('custom.'.length)] = value;
      else if (id !== 'links') config[id] = value;
    }
  }
  return { ...config, thresholds: unbound(config.thresholds) };
}

function range(frames) {
  const numbers = frames.flatMap(({ fields }) =>
    fields.filter(({ type }) => type === FieldType.number).flatMap(({ values }) => values.filter(Number.isFinite)),
  );
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)];
  return { min, max, delta: max - min };
}

const bounds = ({ min, max }) =>
  Object.fromEntries(Object.entries({ min, max }).filter(([, bound]) => bound !== undefined));

/** Return the frames as the panel is to draw them: transformed, named, coloured, with units. */
export async function drawable(panel, asked, theme) {
  const frames = await transformed(asked, panel.transformations);
  const all = range(frames);
  frames.forEach((frame, series) => {
    for (const field of frame.fields) {
      field.config = field.type === FieldType.time ? { custom: {} } : configured(field, panel.fieldConfig);
      field.state = { ...field.state, seriesIndex: series, range: { ...all, ...bounds(field.config) } };
      field.display = getDisplayProcessor({ field, theme });
    }
  });
  return frames;
}

/** Return the field options of a panel's values. */
export const defaultsOf = ({ fieldConfig: { defaults } }) => ({
  ...defaults,
  custom: {},
  thresholds: unbound(defaults.thresholds),
});
