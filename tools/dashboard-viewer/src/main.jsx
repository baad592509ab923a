// A dashboard on one page. The address says which: ?board=arbot-overview&from=1700000000&until=1700000300&mode=dark
// and, where a variable is not to be what Grafana would choose, &venue=kraken.

import 'uplot/dist/uPlot.min.css';
import { createTheme, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { Component } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { drawable } from './fields.js';
import { Body } from './panels.jsx';
import { framesOf, marksOf, variables } from './prometheus.js';

const CELL = 38; // px; Grafana's rows are 30 and 8 between
const GAP = 8;
const COLUMNS = 24;
const HEADER = 48;
const WIDTH = 1500;
const FONTS = ['400 14px Inter', '500 14px Inter'];

const chosen = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: chosen.get('mode') ?? 'dark' } });
const width = (panel) => (panel.gridPos.w * WIDTH) / COLUMNS - GAP;

/** Shows in the picture what a panel stumbled over, and tells the console, which the script reads. */
class Guard extends Component {
  state = { error: null };
  static getDerivedStateFromError = (error) => ({ error });
  render = () => (this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children);
}

function Header({ dashboard, values }) {
  const choices = dashboard.templating.list.filter(({ name }) => name in values);
  const told = (value, { allValue }) => (value === allValue ? 'All' : value);
  return (
    <header style={{ height: HEADER, display: 'flex', gap: 24, alignItems: 'center', padding: '0 8px' }}>
      <strong style={{ fontSize: 18 }}>{dashboard.title}</strong>
      <span style={{ flex: 1, color: theme.colors.text.secondary }}>{dashboard.description}</span>
      {choices.map((choice) => (
        <span key={choice.name}>
          <span style={{ color: theme.colors.text.secondary }}>{choice.label} </span>
          {told(values[choice.name], choice)}
        </span>
      ))}
    </header>
  );
}

function Panel({ panel, ...told }) {
  const { x, y, h } = panel.gridPos;
  const place = {
    position: 'absolute',
    left: (x * WIDTH) / COLUMNS + GAP / 2,
    top: HEADER + y * CELL,
    width: width(panel),
    height: h * CELL - GAP,
  };
  if (panel.type === 'row') return <div style={{ ...place, fontSize: 16, fontWeight: 500 }}>⌄ {panel.title}</div>;
  return (
    <div style={place}>
      <PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
        {(inner, high) => (
          <Guard>
            <Body panel={panel} width={inner} height={high} {...told} />
          </Guard>
        )}
      </PanelChrome>
    </div>
  );
}

async function draw() {
  const dashboard = await (await fetch(`/dashboards/${chosen.get('board')}.json`)).json();
  const span = { start: Number(chosen.get('from')), end: Number(chosen.get('until')), scrape: Number(chosen.get('scrape') ?? 5) };
  const values = await variables(dashboard, chosen);
  const marks = await marksOf(dashboard, span, values);
  const told = await Promise.all(
    dashboard.panels.map(async (panel) =>
      panel.type === 'row' ? [] : drawable(panel, await framesOf(panel, span, width(panel), values), theme),
    ),
  );
  const rows = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const page = {
    position: 'relative',
    width: WIDTH,
    height: HEADER + rows * CELL,
    background: theme.colors.background.canvas,
    color: theme.colors.text.primary,
  };
  const root = createRoot(document.getElementById('root'));
  flushSync(() => root.render(<GlobalStyles />));
  await Promise.all(FONTS.map((font) => document.fonts.load(font))); // what is measured before they are there is cropped
  root.render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="drawn" style={page}>
        <Header dashboard={dashboard} values={values} />
        {dashboard.panels.map((panel, place) => (
          <Panel key={panel.id} panel={panel} frames={told[place]} {...{ span, marks, theme }} />
        ))}
      </div>
    </ThemeContext.Provider>,
  );
}

draw().catch((error) => {
  console.error(error.message);
  document.getElementById('root').textContent = error.message;
});
