/**
 * The client of a resource pool: watch its devices, reserve resources, have tasks run.
 *
 * One file without dependencies; the WebSocket class is an argument, because node 20 has none. What was
 * asked for survives lost connections: it is said again under the same id, which the pool answers once.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
const SUPERSEDED_WAIT_MS = 60_000; // two clients with one device id would drive each other out for ever
const STABLE_MS = 10_000; // a connection that lasted this long was a good one: the next wait is short again
const PING_EVERY_MS = 5_000;
const FIRST_PING_MS = 500; // the first moments are busy with the first list
const ANSWER_LIMIT_MS = 10_000; // without a first message or a pong for this long, it is dead
const RETRY_MS = 1_500;
const GREETING_ID = "greeting";
const UNAVAILABLE = new Set(["STORE_UNAVAILABLE", "QUEUE_FULL", "DRAINING"]);
const NOTHING = () => {};

/** What the pool refused; `code` is for programs. */
export class PoolError extends Error {
  constructor(text, code) {
    super(text);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A task ended without success; `code` tells how: EXIT, TIMEOUT, OOM, CANCELLED, ... */
export class TaskFailed extends PoolError {}

/** The WebSocket of a server that is given as `http://host:3000`, `ws://host/ws` or `host:3000`. */
export function webSocketUrl(server) {
  const url = new URL(/^[a-z]+:\/\//i.test(server) ? server : `http://${server}`);
  url.protocol = { "http:": "ws:", "https:": "wss:" }[url.protocol] ?? url.protocol;
  url.hash = "";
  if (!url.pathname.endsWith("/ws")) url.pathname = `${url.pathname.replace(/\/$/, "")}/ws`;
  return url.href;
}

/** 128 random bits in hex; pages that came without TLS have no `crypto.randomUUID`. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What a WebSocket is opened with to show `token`: its arguments after the address. Browsers cannot send
 * headers with one; they get a ticket for the token, good for one use, and name it as a subprotocol.
 */
async function admission(url, token) {
  const headers = { Authorization: `Bearer ${token}` };
  if (!globalThis.document) return [[], { headers }];
  const asked = new URL(url.replace(/^ws/, "http").replace(/ws$/, "api/tickets"));
  const response = await fetch(asked, { method: "POST", headers });
  const told = await response.json();
  if (!response.ok) throw new PoolError(told.error, told.code);
  return [["rpn", told.ticket]];
}

/** How long to wait before the next connection: anything up to a bound that doubles with each failure. */
export function waitMs(ending, failures, chance) {
  if (ending.superseded) return SUPERSEDED_WAIT_MS * (1 + chance);
  if (ending.returnAfterMs !== undefined) return ending.returnAfterMs + FIRST_WAIT_MS * chance;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 16)) * (0.2 + 0.8 * chance);
}

/**
 * A connection that comes back: it greets a gateway, and greets another when the one is gone.
 *
 * `greet` makes the first message of each connection; `onMessages` gets every frame's messages as a list;
 * `onState` hears `{name: "connecting" | "live" | "waiting" | "closed", ...}`, live with its `latencyMs`,
 * waiting with `untilMs` (of `Date.now()`) and the `reason`.
 */
export class Link {
  constructor(servers, { greet, onMessages = NOTHING, onState = NOTHING, onOnline = NOTHING, ...options }) {
    this.state = { name: "connecting" };
    this._urls = [servers].flat().map(webSocketUrl);
    this._greet = greet;
    this._onMessages = onMessages;
    this._onState = onState;
    this._onOnline = onOnline;
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!this._WebSocket) throw new TypeError("no WebSocket here: give its class as the option `WebSocket`");
    this._token = typeof options.token === "function" ? options.token : () => options.token;
    this._random = options.random ?? Math.random;
    this._pingEveryMs = options.pingEveryMs ?? PING_EVERY_MS;
    this._turn = Math.floor(this._random() * this._urls.length);
    this._failures = 0;
    this._timers = new Set();
    this._connect();
  }

  /** Send these messages; false when there is no connection now. */
  send(...messages) {
    if (this.state.name !== "live") return false;
    for (const message of messages) this._socket.send(JSON.stringify(message));
    return true;
  }

  /** Do not wait any longer: try at once. */
  retryNow() {
    if (this.state.name === "waiting") this._connect();
  }

  /** End it for good. */
  close() {
    this._become({ name: "closed" });
    this._cancel(...this._timers);
    this._socket?.close(1000);
  }

  _become(state) {
    if (this.state.name === "closed") return;
    this.state = state;
    this._onState(state);
  }

  _after(ms, act) {
    const timer = setTimeout(() => {
      this._timers.delete(timer);
      act();
    }, ms);
    this._timers.add(timer);
    return timer;
  }

  _cancel(...timers) {
    for (const timer of timers) clearTimeout(timer);
    for (const timer of timers) this._timers.delete(timer);
  }

  _connect() {
    this._cancel(...this._timers);
    this._become({ name: "connecting" });
    const url = this._urls[this._turn++ % this._urls.length];
    const visit = { beganMs: Date.now(), greeted: false, ended: false };
    visit.deadline = this._after(ANSWER_LIMIT_MS, () => this._end(visit, "the gateway does not answer"));
    const token = this._token();
    if (!token) return this._open(visit, url);
    admission(url, token).then(
      (shown) => visit.ended || this._open(visit, url, ...shown),
      (error) => this._end(visit, error.message),
    );
  }

  _open(visit, url, ...shown) {
    const socket = (this._socket = new this._WebSocket(url, ...shown));
    socket.onopen = () => socket.send(JSON.stringify({ ...this._greet(), requestId: GREETING_ID }));
    socket.onmessage = ({ data }) => visit.ended || this._hear(visit, JSON.parse(data));
    socket.onerror = NOTHING; // a close follows, and says as much
    socket.onclose = ({ code, reason }) => this._end(visit, reason, code);
  }

  _hear(visit, frame) {
    const messages = Array.isArray(frame) ? frame : [frame];
    for (const message of messages) this._note(visit, message);
    if (visit.ended) return;
    if (!visit.greeted) this._greeted(visit);
    this._onMessages(messages);
  }

  _greeted(visit) {
    visit.greeted = true;
    this._cancel(visit.deadline);
    this._become({ name: "live", latencyMs: null });
    this._onOnline();
    if (this._pingEveryMs) this._after(FIRST_PING_MS, () => this._ping(visit));
  }

  /** What a message says about the connection itself. */
  _note(visit, message) {
    if (message.type === "server_draining") visit.returnAfterMs = message.reconnectAfterMs;
    if (message.requestId === visit.pingId && visit.pingId) this._answered(visit, message.type === "pong");
    else if (message.type === "error" && message.requestId === GREETING_ID) this._end(visit, message.error);
  }

  /** Ask how far away the gateway is; a gateway of an older version refuses, and is not asked again. */
  _ping(visit) {
    visit.pingId = `ping-${(visit.pings = (visit.pings ?? 0) + 1)}`;
    visit.pingedMs = performance.now();
    this.send({ type: "ping", requestId: visit.pingId });
    visit.deadline = this._after(ANSWER_LIMIT_MS, () => this._end(visit, "the gateway does not answer"));
  }

  _answered(visit, understood) {
    this._cancel(visit.deadline);
    visit.pingId = "";
    if (!understood) return;
    this._become({ name: "live", latencyMs: performance.now() - visit.pingedMs });
    this._after(this._pingEveryMs, () => this._ping(visit));
  }

  _end(visit, reason, code) {
    if (visit.ended || this.state.name === "closed") return;
    visit.ended = true;
    this._cancel(...this._timers);
    if (code === undefined) this._socket?.close(1000);
    const superseded = code === 1008 && String(reason).startsWith("superseded");
    const lasted = visit.greeted && Date.now() - visit.beganMs >= STABLE_MS;
    this._failures = lasted || visit.returnAfterMs !== undefined ? 0 : this._failures + 1;
    const ending = { superseded, returnAfterMs: visit.returnAfterMs };
    const delayMs = waitMs(ending, this._failures, this._random());
    this._after(delayMs, () => this._connect());
    this._become({ name: "waiting", untilMs: Date.now() + delayMs, reason: String(reason ?? ""), code });
  }
}

/** A task on its way; await it for its result. Rejects with TaskFailed, or with why it was refused. */
export class Submission {
  constructor(task, cancel, onProgress = NOTHING) {
    this.task = task;
    this.state = "submitted";
    this.deviceId = undefined;
    this.onProgress = onProgress;
    this.cancel = cancel;
    this.result = new Promise((...ways) => ([this._resolve, this._reject] = ways));
    this.result.catch(NOTHING); // a result that nobody awaits is no reason for a complaint
  }

  then(resolved, rejected) {
    return this.result.then(resolved, rejected);
  }

  _finish(outcome) {
    const failed = outcome?.success === false;
    this.state = failed ? "failed" : "succeeded";
    if (failed) this._reject(new TaskFailed(outcome.error, outcome.code));
    else this._resolve(outcome?.result);
  }

  _refuse(error) {
    this.state = "failed";
    this._reject(error);
  }
}

/**
 * A pool. It is joined as a device that offers nothing until `report` is called, or with
 * `observe: true` as a mere watcher, which can neither reserve nor submit.
 */
export class Pool {
  constructor(server, { name = "client", platform = "javascript", deviceId, observe, ...options } = {}) {
    this.deviceId = deviceId ?? `client-${newId()}`;
    this.devices = new Map();
    this.ready = new Promise((resolve) => (this._listed = resolve));
    this._identity = { deviceName: name, platform };
    this._observes = observe;
    this._open = new Map();
    this._listeners = new Map();
    this._beats = observe ? undefined : setInterval(() => this._say({ type: "heartbeat" }), PING_EVERY_MS);
    this._link = new Link(server, {
      ...options,
      greet: () => this._greeting(),
      onMessages: (messages) => messages.forEach((message) => this._hear(message)),
      onState: (state) => this._tell("state", state),
      onOnline: () => this._sayAgain(),
    });
  }

  get state() {
    return this._link.state;
  }

  /** Hear of `"message"`, `"state"` or a message's type; answers how to stop it. */
  on(type, listener) {
    if (!this._listeners.has(type)) this._listeners.set(type, new Set());
    this._listeners.get(type).add(listener);
    return () => this._listeners.get(type).delete(listener);
  }

  /** Tell what this device has and uses, in the API's units. */
  report(resources) {
    this._mustBeDevice();
    this._resources = resources;
    this._say({ type: "resource_update", resources });
  }

  /** Reserve resources until `release` or the end: `{allocation, reason?}`; look at `fulfilled`. */
  request(requirements, { ttl, dryRun } = {}) {
    this._mustBeDevice();
    const message = { type: "resource_request", deviceId: this.deviceId, requirements, ttl, dryRun };
    return new Promise((resolve, reject) => this._ask(newId(), message, { resolve, reject }));
  }

  /** Give an allocation back. */
  release(allocation) {
    this._link.send({ type: "resource_release", allocationId: allocation.id ?? allocation });
  }

  /** Have a device run `command` on `input`; the same `id` never runs a second task. */
  submit(command, input = null, { id = newId(), requirements = {}, onProgress, ...more } = {}) {
    this._mustBeDevice();
    const data = { command, input };
    const task = { id, type: "compute", submitterId: this.deviceId, requirements, data, ...more };
    const submission = new Submission(task, () => this._cancelTask(id), onProgress);
    this._ask(id, { type: "task_submit", task }, { submission });
    return submission;
  }

  /** Leave the pool: what is held is released, tasks that were submitted go on. */
  close() {
    clearInterval(this._beats);
    this._link.close();
  }

  _greeting() {
    if (this._observes) return { type: "observe", accepts: ["events"] };
    return { type: "register", deviceId: this.deviceId, ...this._identity, accepts: ["acks", "events"] };
  }

  _mustBeDevice() {
    if (this._observes) throw new PoolError("an observer only watches", "NOT_ALLOWED");
  }

  _say(message) {
    return this._link.send({ ...message, deviceId: this.deviceId });
  }

  _ask(id, message, answer) {
    this._open.set(id, { message: { ...message, requestId: id }, ...answer });
    this._link.send(this._open.get(id).message);
  }

  /** Say again what is open: the ids make that safe. */
  _sayAgain() {
    if (this._resources) this._say({ type: "resource_update", resources: this._resources });
    for (const { message, cancelled } of this._open.values()) {
      this._link.send(message);
      if (cancelled) this._link.send({ type: "task_cancel", taskId: message.task.id });
    }
  }

  _cancelTask(taskId) {
    const asked = this._open.get(taskId);
    if (!asked) return;
    asked.cancelled = true;
    this._link.send({ type: "task_cancel", taskId });
  }

  _hear(message) {
    HANDLERS[message.type]?.(this, message);
    this._tell(message.type, message);
    this._tell("message", message);
  }

  _tell(type, value) {
    for (const listener of this._listeners.get(type) ?? []) listener(value);
  }

  _allocated(message) {
    const { allocation, requestId } = message;
    this._link.send({ type: "ack", ids: [allocation.id] });
    const asked = this._open.get(requestId);
    this._open.delete(requestId);
    if (asked) asked.resolve(message);
    else if (allocation.fulfilled && !message.dryRun) this.release(allocation); // answered before, on a lost connection
  }

  _finished({ taskId, result }) {
    this._link.send({ type: "ack", ids: [taskId] });
    this._open.get(taskId)?.submission?._finish(result);
    this._open.delete(taskId);
  }

  _refused({ error, code, requestId }) {
    const asked = this._open.get(requestId);
    if (!asked) return;
    const again = () => this._open.has(requestId) && this._link.send(asked.message);
    if (UNAVAILABLE.has(code)) return void setTimeout(again, RETRY_MS);
    this._open.delete(requestId);
    const refusal = new PoolError(error, code);
    if (asked.submission) asked.submission._refuse(refusal);
    else asked.reject(refusal);
  }
}

const HANDLERS = {
  devices(pool, { devices }) {
    pool.devices = new Map(devices.map((device) => [device.id, device]));
    pool._listed(pool.devices);
  },
  device_joined: (pool, { device }) => pool.devices.set(device.id, device),
  device_left: (pool, { deviceId }) => pool.devices.delete(deviceId),
  resource_update(pool, { deviceId, resources }) {
    const device = pool.devices.get(deviceId);
    if (device) device.resources = resources;
  },
  resource_allocation: (pool, message) => pool._allocated(message),
  task_result: (pool, message) => pool._finished(message),
  task_status(pool, { taskId, state, deviceId, reason }) {
    const submission = pool._open.get(taskId)?.submission;
    if (submission) Object.assign(submission, { state, deviceId, reason });
  },
  task_progress: (pool, message) => pool._open.get(message.taskId)?.submission?.onProgress(message),
  error: (pool, message) => pool._refused(message),
};
