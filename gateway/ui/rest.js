// Asks the gateway by REST what the WebSocket does not bring: seldom, and honest about what it was refused.

const LONGEST_MS = 60_000;
const ABSENT_RETRY_MS = 60_000;
const TIMEOUT_MS = 10_000;

export class RestError extends Error {
  constructor(text, code, status, retryAfterMs = 0) {
    super(text);
    Object.assign(this, { code, status, retryAfterMs });
  }
}

export class Rest {
  /** `base` ends in a slash; `tell` takes messages for the reducer; `isClosed` says that nothing is to be asked. */
  constructor(base, tell, isClosed = () => false) {
    this._isClosed = isClosed;
    this.token = sessionStorage.getItem("rpn.token") ?? "";
    this.base = base;
    this._tell = tell;
  }

  /** The token for a pool that asks for one; kept as long as this tab is open. */
  remember(token) {
    this.token = token;
    sessionStorage.setItem("rpn.token", token);
  }

  /** The answer's JSON. Raises RestError. */
  async call(method, path, body, { signal } = {}) {
    if (this._isClosed()) throw new RestError("this is a recording", "RECORDING", 0);
    const response = await this.fetch(
      method,
      path,
      body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" },
      signal,
    );
    this._tell({ type: "stale", stale: response.headers.get("X-RPN-Stale") === "1" });
    const told = await response.json().catch(() => ({}));
    if (response.ok) return told;
    if (response.status === 401) this._tell({ type: "locked", reason: this.token ? told.error : "" });
    const retryAfterMs = 1000 * Number(response.headers.get("Retry-After") ?? 0);
    throw new RestError(
      told.error ?? `status ${response.status}`,
      told.code ?? "UNKNOWN",
      response.status,
      retryAfterMs,
    );
  }

  /** The response as it comes; a pool that is not open is shown the token. Raises RestError. */
  async fetch(method, path, { body, type } = {}, signal) {
    const headers = new Headers();
    if (type) headers.set("Content-Type", type);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const options = {
      method,
      headers,
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    };
    if (body !== undefined) options.body = body;
    try {
      return await fetch(new URL(path, this.base), options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new RestError("the gateway cannot be reached", "UNREACHABLE", 0);
    }
  }
}

/**
 * One question that is asked again: every `everyMs` while somebody looks at its answer, and `minMs`
 * after the last time when something happened that may have changed it.
 */
export class Question {
  constructor(rest, tell, name, path, { everyMs, minMs = 4_000 }) {
    Object.assign(this, { name, _rest: rest, _tell: tell, _path: path, _everyMs: everyMs, _minMs: minMs });
    this._askers = new Set();
    this._lastMs = -Infinity;
    this._pauseMs = 0;
  }

  /** Somebody wants the answer kept fresh from now on; call what this returns when not any more. */
  want() {
    const asker = {};
    this._askers.add(asker);
    this._plan(0);
    return () => this._askers.delete(asker);
  }

  /** What stood in the way is gone: ask at once. */
  again() {
    this._pauseMs = this._notBeforeMs = 0;
    clearTimeout(this._timer);
    this._timer = undefined;
    this._lastMs = -Infinity;
    this._plan(0);
  }

  /** Something happened: ask soon, if anybody looks. */
  nudge() {
    this._plan(this._minMs);
  }

  _plan(afterMs) {
    if (!this._askers.size || this._asking) return;
    const atMs = Math.max(
      performance.now() + Math.min(afterMs, this._everyMs),
      this._lastMs + this._minMs,
      this._notBeforeMs ?? 0,
    );
    if (this._timer !== undefined && this._atMs <= atMs) return;
    clearTimeout(this._timer);
    this._atMs = atMs;
    this._timer = setTimeout(() => this._ask(), atMs - performance.now());
  }

  async _ask() {
    this._timer = undefined;
    if (!this._askers.size) return;
    this._asking = true;
    this._lastMs = performance.now();
    try {
      const value = await this._rest.call("GET", this._path);
      this._pauseMs = 0;
      this._tell({ type: "answer", name: this.name, value });
    } catch (error) {
      this._failed(error);
    }
    this._asking = false;
    this._notBeforeMs = this._pauseMs ? performance.now() + this._pauseMs : 0;
    this._plan(this._pauseMs || this._everyMs);
  }

  _failed(error) {
    const absent = [401, 403, 404, 405].includes(error.status);
    const doubled = Math.min(LONGEST_MS, Math.max(this._everyMs, 2 * this._pauseMs));
    this._pauseMs =
      error.retryAfterMs || (absent ? ABSENT_RETRY_MS : error.status === 0 ? this._minMs : doubled);
    this._tell({
      type: "answer",
      name: this.name,
      error: error.message,
      code: [404, 405].includes(error.status) ? "ABSENT" : error.code,
    });
  }
}
