// What the daemon tells: one object of sections, kept up to date by server-sent events. Knows nothing of the page.
//
// Between two tellings there are beats with the time alone: a daemon that is busy is not one that has gone.

const SILENT_MS = 3000;  // nothing was heard, not even a beat
const OLD_MS = 6000;     // beats are heard, but nothing of how things stand

export class Stream {
  constructor(onChange, onSilence) {
    this.state = { books: {} };
    this.isWhole = false;
    this.skewMs = 0;            // the daemon's clock less ours
    this.heardAt = this.toldAt = performance.now();
    this.onChange = onChange;
    this.onSilence = onSilence;
  }

  start() {
    this.source = new EventSource("/api/events");
    this.source.onmessage = (event) => this.take(JSON.parse(event.data));
    this.source.addEventListener("beat", (event) => this.hear(Number(event.data)));
    this.source.onerror = () => {
      // The browser tries again by itself unless it was refused; then we do.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.start(), 2000);
    };
    clearInterval(this.watch);
    this.watch = setInterval(() => this.onSilence(), 500);
  }

  take(message) {
    const changed = new Set(Object.keys(message));
    for (const name of changed) {
      if (name === "books") Object.assign(this.state.books, message.books);
      else this.state[name] = message[name];
    }
    this.hear(message.now_ms);
    this.toldAt = this.heardAt;
    this.isWhole ||= "run" in this.state && "curve" in this.state;
    if (this.isWhole) this.onChange(changed);
  }

  hear(nowMs) {
    this.heardAt = performance.now();
    if (nowMs) this.skewMs = nowMs - Date.now();
  }

  // How long nothing was heard, and how long nothing was told; 0 while that is as it should be.
  silentMs() {
    const ms = performance.now() - this.heardAt;
    return ms > SILENT_MS ? ms : 0;
  }

  oldMs() {
    const ms = performance.now() - this.toldAt;
    return ms > OLD_MS ? ms : 0;
  }

  now() {
    return Date.now() + this.skewMs;
  }
}
