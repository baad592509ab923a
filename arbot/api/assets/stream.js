// What the daemon tells: one object of sections, kept up to date by server-sent events. Knows nothing of the page.

const SILENT_MS = 3000;

export class Stream {
  constructor(onChange, onSilence) {
    this.state = { books: {} };
    this.isWhole = false;
    this.skewMs = 0;            // the daemon's clock less ours
    this.heardAt = performance.now();
    this.onChange = onChange;
    this.onSilence = onSilence;
  }

  start() {
    this.source = new EventSource("/api/events");
    this.source.onmessage = (event) => this.take(JSON.parse(event.data));
    this.source.onerror = () => {
      // The browser tries again by itself unless it was refused; then we do.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.start(), 2000);
    };
    clearInterval(this.watch);
    this.watch = setInterval(() => this.onSilence(this.silentMs()), 500);
  }

  take(message) {
    const changed = new Set(Object.keys(message));
    for (const name of changed) {
      if (name === "books") Object.assign(this.state.books, message.books);
      else this.state[name] = message[name];
    }
    this.heardAt = performance.now();
    if (message.now_ms) this.skewMs = message.now_ms - Date.now();
    this.isWhole ||= "run" in this.state && "curve" in this.state;
    if (this.isWhole) this.onChange(changed);
  }

  silentMs() {
    const ms = performance.now() - this.heardAt;
    return ms > SILENT_MS ? ms : 0;
  }

  now() {
    return Date.now() + this.skewMs;
  }
}
