// Numbers and times as people read them. Every number keeps its width: the same decimals for the same column.

const cache = new Map();

function formatter(decimals, sign) {
  const key = `${decimals}${sign}`;
  if (!cache.has(key)) {
    cache.set(key, new Intl.NumberFormat("en-US", {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals, signDisplay: sign ? "exceptZero" : "auto",
    }));
  }
  return cache.get(key);
}

export const NONE = "–";

export function number(value, decimals = 2, sign = false) {
  if (value === null || value === undefined) return NONE;
  return formatter(decimals, sign).format(value).replace("-", "\u2212");
}

export const money = (value, sign = false) => number(value, 2, sign);
export const share = (value) => (value === null ? NONE : `${number(value * 100, 1)} %`);
export const bp = (value) => number(value, 1, true);

// A quantity: as many digits as say something, at least two decimals for what is below one hundred.
export function qty(value, sign = false) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const decimals = size >= 10000 ? 0 : size >= 100 ? 2 : size >= 1 ? 4 : 6;
  return number(value, decimals, sign);
}

// A number of whatever unit: four digits that count, no empty decimals.
export function plain(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  return number(Number(value.toFixed(decimals)), Number.isInteger(Number(value.toFixed(decimals))) ? 0 : decimals);
}

export function age(ms) {
  if (ms < 0) return "0.0 s";
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  return span(ms);
}

export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// A short time, given in microseconds: three digits that count, in the unit that fits.
export function duration(us) {
  if (us === null || us === undefined) return NONE;
  const [value, unit] = us < 999.5 ? [us, "\u00b5s"] : us < 999500 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return `${number(value, unit === "\u00b5s" || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
}

export function moment(ms) {
  const at = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

// A text of somebody else's may be of any length; all of it is in the log and, in a table, there when pointed at.
export const clip = (text, chars = 240) => (text.length > chars ? `${text.slice(0, chars)} \u2026` : text);
export const words = (name) => name.replaceAll("_", " ");
export const count = (n, one, many = `${one}s`) => `${number(n, 0)} ${n === 1 ? one : many}`;
