// Puts the parts together: what changed is drawn, in frames that stay short; what shows an age is drawn with every message.

import { Curve } from "./curve.js";
import { duration, money, moment } from "./format.js";
import { drawBanner, drawTiles, standing } from "./glance.js";
import { Operator } from "./operate.js";
import { Stream } from "./stream.js";
import { Books, Inventory, makeTables } from "./views.js";

const FRAME_MS = 4;    // of drawing; the rest waits for the next frame
const REST_MS = 5000;  // between two drawings of what is out of sight
const el = (id) => document.getElementById(id);
const section = (id) => el(`sec-${id}`);

const stream = new Stream(onChange, onSilence);
const tables = makeTables(section, () => stream.now());
const books = new Books();
const inventory = new Inventory(section("inventory"));
const curve = new Curve(el("curve"));
const operator = new Operator(() => stream.state);

// What is drawn of which sections, the urgent first; without sections: with every message. `at` is where: out of sight it rests.
const PARTS = [
  { draw: () => banner() },
  { draw: (state, now) => drawTiles(tile, { ...state, limits: tightestFirst(state.limits) }, now) },
  { draw: (state, now) => put("heard", moment(now)) },
  { at: section("books"), draw: (state, now) => tables.books.draw(books.rows(state, now)) },
  { at: section("open"), draw: (state) => tables.open.draw([...state.arbs_open].sort((a, b) => a.opened_ms - b.opened_ms)) },
  { of: ["venues"], at: section("venues"), draw: (state) => tables.venues.draw([...state.venues].sort((a, b) => (a.state === "live") - (b.state === "live"))) },
  { of: ["alerts"], at: section("alerts"), draw: (state) => tables.alerts.draw(state.alerts) },
  { of: ["edges"], at: section("edges"), draw: (state) => tables.edges.draw([...state.edges].sort((a, b) => b.edge_net_bps - a.edge_net_bps)) },
  { of: ["run"], draw: (state) => drawImpaired(state.run.impaired) },
  { of: ["run"], draw: (state) => put("about", `${state.run.version} \u00b7 ${state.run.mode} \u00b7 ${state.run.run_name}`) },
  { of: ["run"], draw: (state) => operator.show(state.run) },
  { of: ["money"], draw: (state) => put("curve-note", earned(state)) },
  { of: ["curve"], at: section("curve"), draw: (state) => curve.draw(state.curve, state.run.ccy) },
  { of: ["limits"], at: section("limits"), draw: (state) => tables.limits.draw(tightestFirst(state.limits)) },
  { of: ["arbs_closed"], at: section("closed"), draw: (state) => tables.closed.draw(state.arbs_closed) },
  { at: section("transfers"), draw: (state) => tables.transfers.draw([...state.transfers].sort((a, b) => b.is_overdue - a.is_overdue || a.since_ms - b.since_ms)) },
  { of: ["nodes"], at: section("nodes"), draw: (state) => tables.nodes.draw([...state.nodes].sort((a, b) => fullness(b) - fullness(a))) },
  { of: ["inventory", "run"], at: section("inventory"), draw: (state) => inventory.draw(state.inventory, state.run.ccy) },
  { of: ["declines"], at: section("declines"), draw: (state) => tables.declines.draw(state.declines) },
  { of: ["decisions"], at: section("decisions"), draw: (state) => tables.decisions.draw(state.decisions) },
];

const inSight = new Set();
const sight = new IntersectionObserver((told) => {
  for (const { target, isIntersecting } of told) if (isIntersecting) inSight.add(target); else inSight.delete(target);
  askForFrame();
}, { rootMargin: "400px" });
for (const part of PARTS) if (part.at) sight.observe(part.at);

const rests = (part) => part.at && !inSight.has(part.at) && performance.now() - (part.drawnAt ?? -REST_MS) < REST_MS;

const waiting = new Set();
let isAsked = false;  // for a frame: in a tab that nobody sees there are none, however much is told
let fault = "";       // of this page itself: nobody may take for true what it draws then

function onChange(changed) {
  for (const part of PARTS) if (!part.of || part.of.some((name) => changed.has(name))) waiting.add(part);
  if (document.hidden) banner();  // its word is the title of the tab, which is seen
  askForFrame();
}

function askForFrame() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(draw);
}

function draw() {
  isAsked = false;
  const until = performance.now() + FRAME_MS;
  for (const part of PARTS) {
    if (!waiting.has(part) || rests(part)) continue;
    if (performance.now() > until) { askForFrame(); return; }
    waiting.delete(part);
    part.drawnAt = performance.now();
    try {
      part.draw(stream.state, stream.now());
    } catch (error) {
      fault = String(error);
      banner();
      reportError(error);
    }
  }
}

function onSilence() {
  const isQuiet = stream.silentMs() > 0 || (stream.isWhole && stream.oldMs() > 0);
  if (!isQuiet) return;
  banner();
  if (stream.isWhole) tables.books.draw(books.rows(stream.state, stream.now()));
}

function banner() {
  const quiet = { silentMs: stream.silentMs(), oldMs: stream.oldMs() };
  drawBanner(el("banner"), fault ? ["bad", "This page has failed", `load it again, or use arbot status: ${fault}`] : standing(stream.state, stream.now(), quiet));
}

const fullness = (row) => (row.limit ? row.value / row.limit : -1);
const tightestFirst = (limits) => [...limits].sort((a, b) => b.is_latched - a.is_latched || b.share - a.share);

function earned({ money: m, run }) {
  const held = m.equity === null ? "an asset has no price" : `${money(m.equity)} ${run.ccy} held`;
  return `today ${money(m.pnl_day, true)}, ever ${money(m.pnl_ever, true)}, drawdown ${money(m.drawdown)}; ${held}; book to decision p99 ${duration(m.latency_us.p99)}`;
}

// What watches the run has a fault of its own: nobody may take what is shown for the whole truth.
function drawImpaired(names) {
  el("impaired").hidden = !names.length;
  put("impaired", names.length ? `Something may be missing below since an error in ${names.join(", ")}; trading goes on. The log has it, a restart makes it whole.` : "");
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
