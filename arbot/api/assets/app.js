// Puts the parts together: what changed is drawn, in one frame; what shows an age is drawn with every message.

import { Curve } from "./curve.js";
import { money, moment, number } from "./format.js";
import { drawBanner, drawTiles, standing } from "./glance.js";
import { Operator } from "./operate.js";
import { Stream } from "./stream.js";
import { Inventory, bookRows, makeTables } from "./views.js";

const el = (id) => document.getElementById(id);
const section = (id) => el(`sec-${id}`);

const stream = new Stream(onChange, onSilence);
const tables = makeTables(section, () => stream.now());
const inventory = new Inventory(section("inventory"));
const curve = new Curve(el("curve"));
const operator = new Operator(() => stream.state);

const waiting = new Set();
let silentMs = 0;

function onChange(changed) {
  silentMs = 0;
  changed.forEach((name) => waiting.add(name));
  if (waiting.size === changed.size) requestAnimationFrame(draw);
}

function onSilence(ms) {
  silentMs = ms;
  if (!ms || !stream.isWhole) return;
  drawBanner(el("banner"), standing(stream.state, stream.now(), ms));
  tables.books.draw(bookRows(stream.state, stream.now()));
}

function draw() {
  const { state } = stream;
  const now = stream.now();
  const changed = new Set(waiting);
  waiting.clear();
  const has = (...names) => names.some((name) => changed.has(name));

  drawBanner(el("banner"), standing(state, now, silentMs));
  drawTiles(tile, { ...state, limits: tightestFirst(state.limits) }, now);
  put("heard", `${moment(now)}`);
  tables.books.draw(bookRows(state, now));
  tables.open.draw([...state.arbs_open].sort((a, b) => a.opened_ms - b.opened_ms));
  tables.transfers.draw([...state.transfers].sort((a, b) => b.is_overdue - a.is_overdue || a.since_ms - b.since_ms));
  if (has("run")) put("about", `${state.run.version} \u00b7 ${state.run.mode} \u00b7 ${state.run.run_name}`);
  if (has("venues")) tables.venues.draw([...state.venues].sort((a, b) => (a.state === "live") - (b.state === "live")));
  if (has("edges")) tables.edges.draw([...state.edges].sort((a, b) => b.edge_net_bps - a.edge_net_bps));
  if (has("arbs_closed")) tables.closed.draw(state.arbs_closed);
  if (has("limits")) tables.limits.draw(tightestFirst(state.limits));
  if (has("nodes")) tables.nodes.draw([...state.nodes].sort((a, b) => fullness(b) - fullness(a)));
  if (has("inventory", "run")) inventory.draw(state.inventory, state.run.ccy);
  if (has("declines")) tables.declines.draw(state.declines);
  if (has("alerts")) tables.alerts.draw(state.alerts);
  if (has("decisions")) tables.decisions.draw(state.decisions);
  if (has("curve")) curve.draw(state.curve, state.run.ccy);
  if (has("money")) put("curve-note", earned(state));
  if (has("run")) {
    el("read-only").hidden = !state.run.is_read_only;
    el("token-form").hidden = el("verbs").hidden = state.run.is_read_only;
  }
}

const fullness = (row) => (row.limit ? row.value / row.limit : -1);
const tightestFirst = (limits) => [...limits].sort((a, b) => b.is_latched - a.is_latched || b.share - a.share);

function earned({ money: m, run }) {
  const held = m.equity === null ? "an asset has no price" : `${money(m.equity)} ${run.ccy} held`;
  const late = m.latency_us.p99;
  return `today ${money(m.pnl_day, true)}, ever ${money(m.pnl_ever, true)}, drawdown ${money(m.drawdown)}; ${held}; book to decision p99 ${number(late, 0)} \u00b5s`;
}

function put(id, text) {
  if (el(id).textContent !== text) el(id).textContent = text;
}

function tile(name, value, note, level) {
  const place = el(`tile-${name}`);
  const [number_, note_] = place.querySelectorAll("dd");
  if (number_.textContent !== value) number_.textContent = value;
  if (note_.textContent !== note) note_.textContent = note;
  const className = `tile ${level}`.trim();
  if (place.className !== className) place.className = className;
}

// --- colours and keys --------------------------------------------------------------------------------------------

const THEMES = { "": ["Auto", "as the system"], light: ["Light", "light"], dark: ["Dark", "dark"] };

function showTheme() {
  const [label, words] = THEMES[document.documentElement.dataset.theme ?? ""];
  el("theme").textContent = label;
  el("theme").setAttribute("aria-label", `Colours: ${words}`);
  if (curve.plot) curve.build();
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  if (next) document.documentElement.dataset.theme = next; else delete document.documentElement.dataset.theme;
  try {
    if (next) localStorage.setItem("arbot-theme", next); else localStorage.removeItem("arbot-theme");
  } catch { /* no storage: the choice lasts until the page is loaded again */ }
  showTheme();
}

function goTo(index) {
  const found = [...document.querySelectorAll("main section")][index];
  if (!found) return;
  found.scrollIntoView({ block: "start" });
  found.querySelector(".scroll:not([hidden])")?.focus({ preventScroll: true });
}

const KEYS = {
  "?": () => el("keys").showModal(),
  k: () => operator.ask("kill"),
  o: () => operator.open(),
  t: nextTheme,
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
  else if (/^[1-9]$/.test(event.key)) goTo(Number(event.key) - 1);
});
el("theme").addEventListener("click", nextTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

showTheme();
stream.start();
