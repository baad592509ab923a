// A table that changes only what has changed. Every text goes in as textContent: what a venue says is never markup.
//
// A column: { name, title?, num?, cell(row) -> text or { text, cls, title, bar, steps } }.
// With more than `most` rows the most urgent are shown (rows come sorted by urgency) until the reader asks for all. Of a thousand
// rows those in sight are kept up to date, with the most urgent ones; the others when they come into sight.

const MOST = 20;
const ROWS_A_FRAME = 100;  // more to show at once would hold the page up

export class Table {
  constructor(section, columns, { key, empty, most = MOST, filter = null }) {
    this.columns = columns;
    this.key = key;
    this.most = most;
    this.filter = filter;
    this.isAll = false;
    this.room = most;  // for rows, growing frame by frame when all are asked for
    this.wanted = "";
    this.rows = new Map();
    this.data = [];

    if (filter) {
      this.search = document.createElement("input");
      Object.assign(this.search, { type: "search", placeholder: "Filter", hidden: true, className: "filter" });
      this.search.setAttribute("aria-label", `Filter ${section.querySelector("h2").textContent}`);
      this.search.addEventListener("input", () => { this.wanted = this.search.value.trim().toLowerCase(); this.draw(this.data); });
      section.append(this.search);
    }
    this.frame = document.createElement("div");
    this.frame.className = "scroll";
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "region");
    this.frame.setAttribute("aria-labelledby", section.getAttribute("aria-labelledby"));
    this.table = document.createElement("table");
    const head = this.table.createTHead().insertRow();
    for (const column of columns) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = column.name;
      if (column.num) th.className = "num";
      head.append(th);
    }
    this.body = this.table.createTBody();
    this.frame.append(this.table);
    this.none = document.createElement("p");
    this.none.className = "dim none";
    this.none.textContent = empty;
    this.more = document.createElement("button");
    Object.assign(this.more, { type: "button", className: "quiet more", hidden: true });
    this.more.addEventListener("click", () => { this.isAll = !this.isAll; this.room = this.most; this.keepWidths(false); this.draw(this.data); });
    this.sight = new IntersectionObserver((told) => told.forEach((one) => this.see(one)), { rootMargin: "300px" });
    section.append(this.frame, this.none, this.more);
  }

  draw(data) {
    this.data = data;
    const found = this.wanted ? data.filter((row) => this.filter(row).toLowerCase().includes(this.wanted)) : data;
    const shown = found.slice(0, this.isAll ? this.room : this.most);
    const seen = new Set();
    let before = null;
    for (const [place, row] of shown.entries()) {
      const key = this.key(row);
      seen.add(key);
      let known = this.rows.get(key);
      if (!known) {
        known = { tr: document.createElement("tr"), cells: [], isFilled: false, isSeen: false };
        this.columns.forEach((column, at) => {
          const cell = document.createElement(at === 0 ? "th" : "td");
          if (at === 0) cell.scope = "row";
          known.tr.append(cell);
          known.cells.push({ element: cell, mark: null });
        });
        known.tr.dataset.key = key;
        this.rows.set(key, known);
        this.sight.observe(known.tr);
      }
      known.row = row;
      if (place < this.most || known.isSeen || !known.isFilled) this.fill(known);
      const next = before ? before.nextSibling : this.body.firstChild;
      if (next !== known.tr) this.body.insertBefore(known.tr, next);
      before = known.tr;
    }
    for (const [key, known] of this.rows) {
      if (!seen.has(key)) { this.sight.unobserve(known.tr); known.tr.remove(); this.rows.delete(key); }
    }
    if (this.isAll && this.room < found.length) requestAnimationFrame(() => { this.room += ROWS_A_FRAME; this.draw(this.data); });
    else if (this.isAll && found.length > ROWS_A_FRAME) this.keepWidths(true);
    if (this.frame.hidden !== !shown.length) this.frame.hidden = !shown.length;
    if (this.none.hidden !== Boolean(shown.length)) this.none.hidden = Boolean(shown.length);
    const hidden = found.length - Math.min(found.length, this.most);
    this.more.hidden = !hidden;
    const label = this.isAll ? `Show the ${this.most} most urgent` : `Show all ${found.length}`;
    if (this.more.textContent !== label) this.more.textContent = label;
    if (this.search && data.length > this.most) this.search.hidden = false;
  }

  // Keep the columns as wide as they are: otherwise every number that changes has all rows measured anew.
  keepWidths(isKept) {
    if (this.table.classList.contains("kept") === isKept) return;
    const heads = [...this.table.tHead.rows[0].cells];
    const widths = heads.map((th) => (isKept ? `${th.offsetWidth}px` : ""));
    heads.forEach((th, at) => { th.style.width = widths[at]; });
    this.table.classList.toggle("kept", isKept);
  }

  fill(known) {
    known.isFilled = true;
    this.columns.forEach((column, at) => fill(known.cells[at], column.cell(known.row), column.num));
  }

  see({ target, isIntersecting }) {
    const known = this.rows.get(target.dataset.key);
    if (!known) return;
    known.isSeen = isIntersecting;
    if (isIntersecting) this.fill(known);
  }
}

function fill(cell, told, isNum) {
  const value = typeof told === "string" ? { text: told } : told;
  const mark = `${value.text}\u0000${value.cls ?? ""}\u0000${value.title ?? ""}\u0000${value.bar ?? ""}\u0000${value.note ?? ""}`;
  if (mark === cell.mark) return;
  cell.mark = mark;
  const { element } = cell;
  element.className = [isNum ? "num" : "", value.cls ?? ""].join(" ").trim();
  if (value.title) element.title = value.title; else element.removeAttribute("title");
  if (value.bar !== undefined) { bar(element, value); return; }
  if (value.note) {
    const note = document.createElement("span");
    note.className = "sub";
    note.textContent = value.note;
    element.replaceChildren(value.text, note);
  } else element.textContent = value.text;
}

function bar(element, value) {
  const track = document.createElement("span");
  track.className = "bar";
  const filled = document.createElement("span");
  filled.style.width = `${Math.max(0, Math.min(1, value.bar)) * 100}%`;
  track.append(filled);
  const text = document.createElement("span");
  text.className = "num";
  text.textContent = value.text;
  element.replaceChildren(track, text);
}
