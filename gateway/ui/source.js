// Where messages come from: the pool itself, over a link that comes back, or a recorded log.

import { Link } from "./rpn-client/index.js";

const LOG_LIMIT = 20_000;

/** The pool, watched live. */
export function liveSource(app) {
  const link = new Link(app.base.href, {
    token: () => app.rest.token,
    greet: () => ({ type: "observe", accepts: ["events"] }),
    onMessages: (messages) => messages.forEach((message) => app.tell(message)),
    onState: (state) => app.tell({ type: "link", state }),
  });
  const back = () => link.retryNow();
  addEventListener("online", back);
  return {
    retryNow: back,
    stop() {
      removeEventListener("online", back);
      link.close();
    },
  };
}

/** Feed a log, a list of `[atMs, message]`, to `take`. */
export function replay(log, take) {
  for (const [atMs, message] of log) take(message, atMs);
  const endMs = log.length ? log[log.length - 1][0] : 0;
  take({ type: "link", state: { name: "replay" } }, endMs);
}

/** Keeps what comes in while it is on, so that it can be saved and replayed. */
export class Recorder {
  constructor() {
    this.log = null;
  }

  /** Record from what is known now. */
  start(state) {
    const devices = [...state.devices.values()].map(
      ({ id, name, platform, ipAddress, seenMs, isOnline, resources }) => ({
        id,
        name,
        platform,
        ipAddress,
        lastSeen: new Date(seenMs).toISOString(),
        isOnline,
        resources,
      }),
    );
    this.log = [[Date.now(), { type: "devices", devices }]];
  }

  take(message, atMs) {
    if (this.log && this.log.length < LOG_LIMIT) this.log.push([atMs, message]);
  }

  /** What was recorded; it is off from now on. */
  stop() {
    const log = this.log ?? [];
    this.log = null;
    return log;
  }
}
