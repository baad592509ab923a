// The operator's part: a token, the verbs, and a question before each. Nothing is sent without the question answered.

const VERBS = {
  pause: { title: "Pause", does: "Opens no new arbs; what is open is finished." },
  resume: { title: "Resume", does: "Arbs are opened again after pause or halt." },
  halt: { title: "Halt", does: "Cancels every order and opens nothing until resume." },
  flatten: { title: "Flatten", does: "Trades every open residual away, whatever the books give, and opens nothing until resume." },
  quarantine: { title: "Quarantine a venue", does: "Opens nothing more at one venue until it is released by hand.", argument: "Venue", choices: (state) => state.venues.map((row) => row.venue), reason: true },
  release: { title: "Release a venue", does: "Lets a venue that was put into quarantine by hand be traded at again.", argument: "Venue", choices: (state) => state.venues.filter((row) => row.is_held).map((row) => row.venue), none: "No venue is held by hand. What a venue's own conduct did, only its conduct undoes.", reason: true },
  reset_limit: { title: "Reset a limit", does: "A limit that latched and stopped trading no longer stops it.", argument: "Limit", choices: (state) => state.run.latched, none: "No limit is latched.", reason: true },
  unkill: { title: "Take the kill back", does: "Takes the kill switch back. Trading stays paused until resume.", reason: true },
  kill: { title: "Kill", does: "Cancels every order. No order leaves any more, now or after a restart, until the kill is taken back. What is open stays open.", danger: true },
};
const KEPT = "arbot-token";
const el = (id) => document.getElementById(id);

export class Operator {
  constructor(state) {
    this.state = state;        // () -> the sections as they stand
    this.token = "";
    try { this.token = sessionStorage.getItem(KEPT) ?? ""; } catch { /* no storage: the token lives in memory alone */ }
    this.verb = "";
    this.build();
  }

  build() {
    const verbs = el("verbs");
    for (const [verb, { title, does, danger }] of Object.entries(VERBS)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title;
      button.dataset.verb = verb;
      if (danger) button.className = "danger";
      const note = document.createElement("span");
      note.className = "dim";
      note.id = `does-${verb}`;
      note.textContent = does;
      button.setAttribute("aria-describedby", note.id);
      button.addEventListener("click", () => this.ask(verb));
      verbs.append(button, note);
    }
    el("kill").addEventListener("click", () => this.ask("kill"));
    el("open-panel").addEventListener("click", () => this.open());
    el("token-form").addEventListener("submit", (event) => { event.preventDefault(); this.useToken(); });
    el("confirm-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
  }

  show(run) {
    el("read-only").hidden = !run.is_read_only;
    el("token-form").hidden = el("verbs").hidden = run.is_read_only;
  }

  open() {
    if (!el("panel").open) el("panel").showModal();
    (this.token ? el("verbs").querySelector("button") : el("token")).focus();
  }

  async useToken() {
    const token = el("token").value.trim();
    this.say("token-answer", "Asking …", "");
    const [status, told] = await post("/token", token, {});
    if (status !== 200) { this.say("token-answer", told.error, "bad"); return; }
    this.token = token;
    el("token").value = "";
    try {
      if (el("keep").checked) sessionStorage.setItem(KEPT, token); else sessionStorage.removeItem(KEPT);
    } catch { /* no storage: the token lives in memory alone */ }
    this.say("token-answer", "The token is right. The verbs below are yours.", "good");
  }

  ask(verb) {
    const wanted = VERBS[verb];
    const choices = wanted.choices ? wanted.choices(this.state()) : [];
    this.verb = verb;
    el("confirm-title").textContent = wanted.title;
    el("confirm-text").textContent = wanted.choices && !choices.length ? wanted.none : wanted.does;
    el("confirm-argument").hidden = !wanted.choices;
    if (wanted.choices) {
      el("confirm-choice-label").textContent = wanted.argument;
      el("confirm-choice").replaceChildren(...choices.map((name) => new Option(name, name)));
    }
    el("confirm-reason").value = "";
    el("confirm-reason").required = Boolean(wanted.reason);
    el("confirm-reason-label").textContent = wanted.reason ? "Reason, for the journal (needed)" : "Reason, for the journal";
    el("confirm-token").hidden = Boolean(this.token);
    el("confirm-token-input").value = "";
    el("confirm-yes").textContent = `Yes, ${wanted.title.toLowerCase()}`;
    el("confirm-yes").className = wanted.danger ? "danger" : "";
    el("confirm-yes").disabled = Boolean(wanted.choices && !choices.length);
    this.say("confirm-answer", "", "");
    if (!el("confirm").open) el("confirm").showModal();
    (this.token ? el("confirm-reason") : el("confirm-token-input")).focus();
  }

  async send() {
    const verb = this.verb;
    const token = this.token || el("confirm-token-input").value.trim();
    const argument = VERBS[verb].choices ? el("confirm-choice").value : "";
    el("confirm-yes").disabled = true;
    this.say("confirm-answer", "Asking …", "");
    const body = { verb, argument, reason: el("confirm-reason").value.trim(), actor: "page", is_confirmed: true };
    const [status, told] = await post("/operator", token, body);
    el("confirm-yes").disabled = false;
    if (status === 401 && this.token) { this.token = ""; el("confirm-token").hidden = false; }
    if (status !== 200) { this.say("confirm-answer", `Refused: ${told.error}`, "bad"); return; }
    this.token = token;
    el("confirm").close();
    this.say("answer", `${VERBS[verb].title}${argument ? ` ${argument}` : ""}: done, and written into the journal.`, "good");
  }

  say(id, text, level) {
    el(id).textContent = text;
    el(id).className = `answer ${level}`;
  }
}

async function post(path, token, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
    });
    return [answer.status, await answer.json()];
  } catch {
    return [0, { error: "the daemon does not answer, or the token has letters that cannot be sent" }];
  }
}
