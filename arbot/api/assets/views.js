// What each table shows of a row, and which rows come first. Words for people are here; numbers are made in format.js.

import { NONE, age, bp, clip, money, moment, number, plain, qty, share, span, words } from "./format.js";
import { Table } from "./table.js";

export const staleMs = (state) => state.run.book_age_ms_max;
const WHY_CHARS = 90;  // of what is wrong with a venue; all of it when pointed at, and in /status
const GOOD_STATES = new Set(["live"]);

// Every book as a row: those that are not valid first, then the stale, each by symbol and venue. A desk may have thousands, told
// twice a second, so rows are kept, and sorted only when there are others.
export class Books {
  constructor() {
    this.sorted = [];
  }

  rows(state, now) {
    if (!this.isKnown(state.books)) this.list(state.books);
    const ranks = [[], [], []];
    const most = staleMs(state);
    for (const row of this.sorted) {
      const book = state.books[row.venue][row.index];
      [, row.bid, , row.ask, , row.recvMs, row.isValid, row.decimals] = book;
      row.ageMs = row.recvMs ? Math.max(0, now - row.recvMs) : null;
      row.isStale = row.isValid && row.ageMs !== null && row.ageMs > most;
      ranks[!row.isValid ? 0 : row.isStale ? 1 : 2].push(row);
    }
    return ranks[0].concat(ranks[1], ranks[2]);
  }

  isKnown(books) {
    let count = 0;
    for (const venue in books) count += books[venue].length;
    return count === this.sorted.length && this.sorted.every((row) => books[row.venue]?.[row.index]?.[0] === row.symbol);
  }

  list(books) {
    this.sorted = Object.entries(books).flatMap(([venue, those]) => those.map(([symbol], index) => ({ venue, symbol, index, key: `${symbol} ${venue}` })));
    this.sorted.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

function bookState(row) {
  if (!row.isValid) return { text: "not valid", cls: "bad" };
  return row.isStale ? { text: "stale", cls: "warn" } : { text: "live", cls: "good" };
}

function venueState(row) {
  const why = row.why.join("; ");
  return { text: row.state, cls: venueLevel(row), note: clip(why, WHY_CHARS) || undefined, title: why };
}

const venueLevel = (row) => (GOOD_STATES.has(row.state) ? "good" : row.state === "not reconciled" ? "warn" : "bad");
const at = (instrument) => instrument.slice(instrument.lastIndexOf("@") + 1) || NONE;
const symbolOf = (row) => (row.buy ? row.buy.slice(0, row.buy.lastIndexOf("@")) : NONE);

function life(row, now) {
  return row.life.map(([state, ts], index) => {
    const until = index + 1 < row.life.length ? row.life[index + 1][1] : row.ended_ms || now;
    const took = until - ts;
    if (state === "flat") return "flat";
    if (!took && index + 1 < row.life.length) return "";  // passed through in the same step
    return `${words(state)} ${took < 1000 ? `${Math.max(0, took)} ms` : age(took)}`;
  }).filter(Boolean).join(" \u2192 ");
}

const unhedged = new Set(["one_sided", "hedging", "unwinding", "stranded", "unknown"]);
const arbLevel = (row) => (row.state === "stranded" || row.state === "unknown" ? "bad" : unhedged.has(row.state) ? "warn" : "");
const alertLevel = { info: "", warning: "warn", critical: "bad" };
const decisionLevel = { good: "good", plain: "", warn: "warn", bad: "bad" };
const limitLevel = (row) => (row.is_latched || row.share >= 1 ? "bad" : row.share >= 0.8 ? "warn" : "");
const against = (row) => (row.value || row.limit ? `${plain(row.value)} against ${plain(row.limit)}` : NONE);

// What a limit counts: a share of something, a number of things, basis points; all others are money.
const UNITS = { arbs_open: "count", order_rate: "count", peg_band: "bp", counterparty_share: "share", reject_share: "share", unanswered_share: "share" };
function inUnit(limit, value) {
  const unit = UNITS[limit];
  if (unit === "share") return share(value);
  return unit === "count" ? number(value, 0) : unit === "bp" ? `${number(value, 1)} bp` : money(value);
}

const arbColumns = (clock) => [
  { name: "Arb", cell: (r) => ({ text: r.arb_id, cls: "id" }) },
  { name: "Symbol", cell: (r) => (r.is_flush ? "a residual" : symbolOf(r)) },
  { name: "Buy at", cell: (r) => at(r.buy) },
  { name: "Sell at", cell: (r) => at(r.sell) },
  { name: "Quantity", num: true, cell: (r) => (r.is_flush ? NONE : qty(r.qty)) },
  { name: "Net edge, bp", num: true, cell: (r) => (r.is_flush ? NONE : bp(r.edge_net_bps)) },
  { name: "Life", cell: (r) => ({ text: life(r, clock()), cls: "life" }) },
];

export function makeTables(section, clock) {
  const make = (id, columns, options) => new Table(section(id), columns, options);
  return {
    venues: make("venues", [
      { name: "Venue", cell: (r) => r.venue },
      { name: "State", cell: venueState },
      { name: "Books", num: true, cell: (r) => ({ text: `${r.books_valid} of ${r.books}`, cls: r.books_valid < r.books ? "warn" : "" }) },
      { name: "Answer, ms", num: true, cell: (r) => number(r.ack_ms, 0) },
      { name: "Refused", num: true, cell: (r) => share(r.reject_share) },
      { name: "Orders", num: true, cell: (r) => ({ text: number(r.orders_live, 0), note: r.orders_unknown ? `${r.orders_unknown} unknown` : undefined, cls: r.orders_unknown ? "bad" : "" }) },
    ], { key: (r) => r.venue, empty: "No venue is configured.", filter: (r) => `${r.venue} ${r.state}` }),

    books: make("books", [
      { name: "Symbol", cell: (r) => r.symbol },
      { name: "Venue", cell: (r) => r.venue },
      { name: "Bid", num: true, cell: (r) => number(r.bid, r.decimals) },
      { name: "Ask", num: true, cell: (r) => number(r.ask, r.decimals) },
      { name: "Age", num: true, cell: (r) => (r.ageMs === null ? "never" : age(r.ageMs)) },
      { name: "State", cell: bookState },
    ], { key: (r) => r.key, empty: "No book yet: the venues have not listed their instruments.", filter: (r) => `${r.key} ${bookState(r).text}` }),

    edges: make("edges", [
      { name: "Symbol", cell: (r) => r.symbol },
      { name: "Buy at", cell: (r) => r.buy },
      { name: "Sell at", cell: (r) => r.sell },
      { name: "Gross, bp", num: true, cell: (r) => bp(r.edge_gross_bps) },
      { name: "Net, bp", num: true, cell: (r) => ({ text: bp(r.edge_net_bps), cls: r.edge_net_bps > 0 ? "good" : "" }) },
      { name: "Last declined for", cell: (r) => (r.fees_known ? words(r.reason) || NONE : "fees not known") },
    ], { key: (r) => r.symbol, empty: "No symbol has two valid books.", filter: (r) => `${r.symbol} ${r.buy} ${r.sell}` }),

    open: make("open", [
      ...arbColumns(clock).slice(0, 6),
      { name: "State", cell: (r) => ({ text: words(r.state), cls: arbLevel(r) }) },
      { name: "Residual", num: true, cell: (r) => ({ text: qty(r.residual, true), note: r.residual_foreign ? `${qty(r.residual_foreign, true)} foreign` : undefined }) },
      { name: "Age", num: true, cell: (r) => age(clock() - r.opened_ms) },
      arbColumns(clock)[6],
    ], { key: (r) => r.arb_id, empty: "None: nothing is open." }),

    closed: make("closed", [
      ...arbColumns(clock).slice(0, 6),
      { name: "Net", num: true, cell: (r) => (r.missed ? "missed" : { text: money(r.pnl_net, true), cls: r.pnl_net < 0 ? "bad" : "good" }) },
      { name: "Fees", num: true, cell: (r) => money(r.fees) },
      { name: "Ended", num: true, cell: (r) => moment(r.ended_ms) },
      arbColumns(clock)[6],
    ], { key: (r) => `${r.arb_id} ${r.ended_ms}`, empty: "None in this run.", most: 8 }),

    limits: make("limits", [
      { name: "Limit", cell: (r) => words(r.limit) },
      { name: "In use", cell: (r) => ({ text: share(r.share), bar: r.share, cls: `${limitLevel(r)} barred` }) },
      { name: "Used", num: true, cell: (r) => inUnit(r.limit, r.used) },
      { name: "Bound", num: true, cell: (r) => inUnit(r.limit, r.bound) },
      { name: "Note", cell: (r) => (r.is_latched ? { text: "latched", cls: "bad" } : r.share >= 1 ? { text: "full", cls: "bad" } : r.share >= 0.8 ? { text: "tight", cls: "warn" } : "") },
    ], { key: (r) => r.limit, empty: "No limit is told.", most: 10 }),

    nodes: make("nodes", [
      { name: "Kind", cell: (r) => words(r.kind) },
      { name: "Node", cell: (r) => r.node },
      { name: "In use", cell: (r) => (r.limit ? { text: share(r.value / r.limit), bar: r.value / r.limit, cls: `${limitLevel({ share: r.value / r.limit })} barred` } : "no cap") },
      { name: "Value", num: true, cell: (r) => money(r.value) },
      { name: "Cap", num: true, cell: (r) => money(r.limit) },
    ], { key: (r) => `${r.kind} ${r.node}`, empty: "Nothing is held.", most: 8 }),

    declines: make("declines", [
      { name: "Reason", cell: (r) => words(r.reason) },
      { name: "Times", num: true, cell: (r) => number(r.count, 0) },
      { name: "Last: value against limit", num: true, cell: against },
      { name: "Last route", cell: (r) => `${at(r.buy)} \u2192 ${at(r.sell)}` },
      { name: "Last", num: true, cell: (r) => moment(r.ts_ms) },
    ], { key: (r) => r.reason, empty: "No opportunity was declined in this run.", most: 8 }),

    alerts: make("alerts", [
      { name: "Time", cell: (r) => moment(r.ts_ms) },
      { name: "Severity", cell: (r) => ({ text: r.severity, cls: alertLevel[r.severity] }) },
      { name: "Alert", cell: (r) => ({ text: words(r.code), note: clip(r.text), title: r.text, cls: "text" }) },
    ], { key: (r) => `${r.ts_ms} ${r.code} ${r.text}`, empty: "None in this run.", most: 8 }),

    decisions: make("decisions", [
      { name: "Time", cell: (r) => moment(r.ts_ms) },
      { name: "What", cell: (r) => ({ text: r.what, cls: decisionLevel[r.level] }) },
      { name: "Detail", cell: (r) => ({ text: clip(r.text), title: r.text, cls: "text" }) },
    ], { key: (r) => `${r.ts_ms} ${r.what} ${r.text}`, empty: "Nothing yet.", most: 12 }),

    transfers: make("transfers", [
      { name: "Transfer", cell: (r) => ({ text: r.transfer, cls: "id" }) },
      { name: "Asset", cell: (r) => r.asset },
      { name: "From", cell: (r) => r.source },
      { name: "To", cell: (r) => r.target },
      { name: "Network", cell: (r) => r.network },
      { name: "Quantity", num: true, cell: (r) => qty(r.qty) },
      { name: "Value", num: true, cell: (r) => money(r.value) },
      { name: "State", cell: (r) => ({ text: words(r.state), cls: r.is_overdue ? "bad" : "", note: r.is_overdue ? "overdue" : undefined }) },
      { name: "Since", num: true, cell: (r) => span(clock() - r.since_ms) },
    ], { key: (r) => r.transfer, empty: "None." }),
  };
}

// The inventory is a matrix whose columns are the venues there are; it is laid out anew when those change.
export class Inventory {
  constructor(section) {
    this.section = section;
    this.venues = "";
  }

  draw(rows, ccy) {
    const venues = rows.map((row) => row.venue);
    if (venues.join() !== this.venues) {
      this.venues = venues.join();
      this.section.querySelectorAll(".scroll, .none, .more, .filter").forEach((element) => element.remove());
      this.table = new Table(this.section, [
        { name: "Asset", cell: (r) => r.asset },
        ...venues.map((venue) => ({ name: venue, num: true, cell: (r) => holding(r.cells[venue]) })),
        { name: `Worth, ${ccy}`, num: true, cell: (r) => money(r.value) },
      ], { key: (r) => r.asset, empty: "No balance is known yet.", most: 12 });
    }
    this.table.draw(byAsset(rows));
  }
}

function byAsset(rows) {
  const found = new Map();
  for (const { venue, cells } of rows) {
    for (const [asset, total, reserved, value, deviation] of cells) {
      const cell = { asset, total, reserved, value, deviation };
      if (!found.has(cell.asset)) found.set(cell.asset, { asset: cell.asset, cells: {}, value: 0 });
      const row = found.get(cell.asset);
      row.cells[venue] = cell;
      row.value = row.value === null || cell.value === null ? null : row.value + cell.value;
    }
  }
  return [...found.values()].sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
}

function holding(cell) {
  if (!cell) return NONE;
  const notes = [];
  const off = cell.deviation === null ? 0 : Math.round(cell.deviation * 100);
  if (off) notes.push(`${Math.abs(off)} % ${off > 0 ? "above" : "below"} target`);
  if (cell.reserved) notes.push(`${qty(cell.reserved)} reserved`);
  return { text: qty(cell.total), note: notes.join(", ") || undefined };
}
