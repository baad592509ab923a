// The first screen: one banner in words, and six tiles. A tile says its level in words too, never by colour alone.

import { NONE, age, clip, count, money, number, share, span, words } from "./format.js";

const REASONS = {
  paused: "paused by a person",
  draining: "the run is ending",
  stranded: "an arb is stranded: a person has to act (flatten)",
  not_reconciled: "ledger and venues are not reconciled",
  venue_quarantined: "fewer than two venues may be traded at",
};

function why(reason, state) {
  if (reason === "venue_not_ready") {
    const late = state.venues.filter((row) => !(row.market_up && row.account_up));
    return late.length ? late.map((row) => `${row.venue} ${row.state}`).join(", ") : "a venue has told no balances";
  }
  if (state.run.latched.includes(reason)) return `the limit ${words(reason)} is latched`;
  return REASONS[reason] ?? words(reason);
}

function by(act) {
  if (!act) return "";
  return `${act.actor}${act.reason ? `: ${act.reason}` : ""}`;
}

// Return what the banner says: its level, its word, and why. `quiet`: for how long nothing was heard, or told.
export function standing(state, now, quiet) {
  const { run } = state;
  if (quiet.silentMs) {
    const below = run ? "what is below is as it last was" : "or as many pages are open as there may be";
    return ["bad", `No data for ${span(quiet.silentMs)}`, `the daemon does not answer; ${below}`];
  }
  if (!run) return ["wait", "Connecting", ""];
  if (quiet.oldMs) {
    return ["bad", `No news for ${span(quiet.oldMs)}`, "the daemon lives, but does not say how things stand; what is below is as it last was"];
  }
  if (run.killed) {
    const act = run.acts.kill;
    if (!act) return ["bad", "KILLED", "by arbot itself: see the alerts"];
    const before = act.ts_ms < run.started_ms ? ", before this run" : "";
    return ["bad", `KILLED by ${act.actor}`, `${act.reason ? `${act.reason}, ` : ""}${span(now - act.ts_ms)} ago${before}`];
  }
  if (run.problems.length) return ["bad", "Broken", run.problems.join("; ")];
  const others = run.reasons.filter((reason) => reason !== "paused" || run.reasons.length === 1);
  if (!run.may_open) {
    const act = run.halted ? run.acts.halt : run.paused ? run.acts.pause : null;
    const told = others.map((reason) => why(reason, state)).join("; ");
    return ["warn", `Not trading: ${told}`, act && run.reasons.includes("paused") ? by(act) : ""];
  }
  const ill = state.venues.filter((row) => row.state !== "live").map((row) => `${row.venue} ${row.state}`);
  return ["good", "Trading", ill.length ? `without ${ill.join(", ")}` : `for ${span(now - run.started_ms)}`];
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function drawBanner(banner, [level, word, because]) {
  const className = `banner ${level}`;
  if (banner.className !== className) banner.className = className;
  set(banner.querySelector("#banner-word"), word);
  set(banner.querySelector("#banner-why"), clip(because));
  const title = `${clip(word, 60)} · arbot`;
  if (document.title !== title) document.title = title;
}

export function drawTiles(tile, state, now) {
  const { run, money: earned, unhedged, limits, venues } = state;
  tile("pnl", `${money(earned.pnl_run, true)} ${run.ccy}`, `today ${money(earned.pnl_day, true)}`, earned.pnl_run < 0 ? "warn" : "");

  const working = state.arbs_open.length;
  const left = earned.arbs_stranded ? `${earned.arbs_stranded} stranded: act` : `${count(earned.arbs_flat, "closed", "closed")}, ${number(earned.arbs_missed, 0)} missed`;
  tile("arbs", number(working, 0), left, earned.arbs_stranded ? "bad" : "");

  const open = unhedged.assets.length > 0 && (unhedged.value === null || unhedged.value > 0);
  const sinceMs = unhedged.since_ms ? now - unhedged.since_ms : 0;
  tile("unhedged", open ? `${money(unhedged.value)} ${run.ccy}` : `0.00 ${run.ccy}`, unhedged.since_ms ? `for ${age(sinceMs)}` : "nothing is open", sinceMs > 10000 ? "bad" : unhedged.since_ms ? "warn" : "");

  const tightest = limits[0];
  const state_ = !tightest ? "" : tightest.is_latched ? ", latched" : tightest.share >= 1 ? ", full" : "";
  tile("limit", tightest ? share(tightest.share) : NONE, tightest ? `${words(tightest.limit)}${state_}` : "", !tightest ? "" : tightest.is_latched || tightest.share >= 1 ? "bad" : tightest.share >= 0.8 ? "warn" : "");

  const live = venues.filter((row) => row.state === "live").length;
  const ill = venues.filter((row) => row.state !== "live").map((row) => `${row.venue}: ${row.state}`);
  tile("venues", `${live} of ${venues.length}`, ill.join(", ") || "all", live < venues.length ? "bad" : "");

  const last = state.alerts[0];
  const level = !last || now - last.ts_ms > 600000 ? "" : last.severity === "critical" ? "bad" : last.severity === "warning" ? "warn" : "";
  tile("alerts", number(state.alerts_count, 0), last ? `${last.severity}: ${words(last.code)}, ${span(now - last.ts_ms)} ago` : "none", level);
}
