// The JavaScript client: what it says, what it makes of what it hears, and how it comes back.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Pool, PoolError, TaskFailed, waitMs, webSocketUrl } from "../../gateway/ui/rpn-client/index.js";
import { fakeSockets } from "./fake_socket.mjs";

const DEVICE = { id: "a", name: "A", platform: "linux", resources: { cpuUsage: 1 } };

function poolOf(options = {}) {
  const sockets = fakeSockets();
  const pool = new Pool("http://here:3000", { WebSocket: sockets.FakeSocket, random: () => 0.5, ...options });
  sockets.last().open();
  return { pool, ...sockets };
}

function live(options) {
  const made = poolOf(options);
  made.last().say({ type: "devices", devices: [DEVICE] });
  return made;
}

test.beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] }));
test.afterEach(() => mock.timers.reset());

test("a server may be named as people name it", () => {
  assert.equal(webSocketUrl("http://host:3000"), "ws://host:3000/ws");
  assert.equal(webSocketUrl("https://host/pool/"), "wss://host/pool/ws");
  assert.equal(webSocketUrl("ws://host/ws"), "ws://host/ws");
  assert.equal(webSocketUrl("host:3000"), "ws://host:3000/ws");
});

test("it registers first, and is ready with the first list", async () => {
  const { pool, last } = poolOf({ name: "laptop" });
  assert.equal(last().sent[0].type, "register");
  assert.equal(last().sent[0].deviceName, "laptop");
  assert.equal(pool.state.name, "connecting");
  last().say({ type: "devices", devices: [DEVICE] });
  assert.deepEqual([...(await pool.ready).keys()], ["a"]);
  assert.equal(pool.state.name, "live");
  pool.close();
});

test("devices stay current, lists of messages included", () => {
  const { pool, last } = live();
  last().say([
    { type: "device_joined", device: { ...DEVICE, id: "b" } },
    { type: "resource_update", deviceId: "b", resources: { cpuUsage: 50 } },
    { type: "device_left", deviceId: "a" },
  ]);
  assert.deepEqual([...pool.devices.keys()], ["b"]);
  assert.equal(pool.devices.get("b").resources.cpuUsage, 50);
  pool.close();
});

test("a task brings its result, or fails with the pool's code", async () => {
  const { pool, last } = live();
  const good = pool.submit("echo", 1);
  const bad = pool.submit("echo", 2);
  last().say({ type: "task_status", taskId: good.task.id, state: "running", deviceId: "a" });
  assert.equal(good.state, "running");
  last().say({ type: "task_result", taskId: good.task.id, result: { success: true, result: 7 } });
  last().say({ type: "task_result", taskId: bad.task.id, result: { success: false, error: "no", code: "EXIT" } });
  assert.equal(await good, 7);
  await assert.rejects(bad.result, (error) => error instanceof TaskFailed && error.code === "EXIT");
  assert.deepEqual(last().sent.filter(({ type }) => type === "ack").map(({ ids }) => ids[0]), [good.task.id, bad.task.id]);
  pool.close();
});

test("a refusal rejects what it is about, unless it passes", async () => {
  const { pool, last } = live();
  const refused = pool.request({ cpu: -1 });
  last().say({ type: "error", error: "no", code: "BAD_REQUIREMENTS", requestId: last().sent.at(-1).requestId });
  await assert.rejects(refused, (error) => error instanceof PoolError && error.code === "BAD_REQUIREMENTS");
  pool.submit("echo");
  const submitted = last().sent.at(-1);
  last().say({ type: "error", error: "later", code: "STORE_UNAVAILABLE", requestId: submitted.requestId });
  mock.timers.tick(1_500);
  assert.deepEqual(last().sent.filter((message) => message.type === "task_submit"), [submitted, submitted]);
  pool.close();
});

test("what is open is said again on the next connection, under the same id", () => {
  const { pool, opened, last } = live();
  const submission = pool.submit("echo");
  submission.cancel();
  opened[0].end();
  assert.equal(pool.state.name, "waiting");
  mock.timers.tick(5_000);
  assert.equal(opened.length, 2);
  last().open();
  last().say({ type: "devices", devices: [] });
  const again = last().sent.filter(({ type }) => type.startsWith("task"));
  assert.deepEqual(again.map(({ type }) => type), ["task_submit", "task_cancel"]);
  assert.equal(again[0].task.id, submission.task.id);
  assert.equal(pool.devices.size, 0);
  pool.close();
});

test("an allocation that nobody waits for any more is given back", () => {
  const { pool, last } = live();
  const allocation = { id: "x", fulfilled: true, allocatedDevices: [] };
  last().say({ type: "resource_allocation", allocation, requestId: "forgotten" });
  assert.deepEqual(last().sent.at(-1), { type: "resource_release", allocationId: "x" });
  pool.close();
});

test("a pong tells how far away the gateway is; a gateway that knows none is not asked again", () => {
  const { pool, last } = live();
  mock.timers.tick(500);
  const ping = last().sent.find(({ type }) => type === "ping");
  last().say({ type: "pong", requestId: ping.requestId });
  assert.equal(typeof pool.state.latencyMs, "number");
  mock.timers.tick(5_000);
  const second = last().sent.filter(({ type }) => type === "ping").at(-1);
  last().say({ type: "error", error: "unknown", code: "BAD_MESSAGE", requestId: second.requestId });
  mock.timers.tick(60_000);
  assert.equal(last().sent.filter(({ type }) => type === "ping").length, 2);
  assert.equal(pool.state.name, "live");
  pool.close();
});

test("a gateway that falls silent is left for another", () => {
  const { pool, opened } = live();
  mock.timers.tick(500);
  mock.timers.tick(10_000);
  assert.equal(opened[0].closed, 1000);
  assert.equal(pool.state.name, "waiting");
  pool.close();
});

test("who was superseded stays away for long, who was asked to come back does", () => {
  assert.ok(waitMs({ superseded: true }, 0, 0) >= 60_000);
  assert.equal(waitMs({ returnAfterMs: 300 }, 0, 0), 300);
  assert.ok(waitMs({}, 1, 0) > 0);
  assert.equal(waitMs({}, 99, 1), 5_000);
});

test("a token is shown with every connection", async () => {
  const shown = [];
  const sockets = fakeSockets();
  class Guarded extends sockets.FakeSocket {
    constructor(url, protocols, options) {
      super(url);
      shown.push(options.headers.Authorization);
    }
  }
  const pool = new Pool("http://here:3000", { WebSocket: Guarded, token: () => "secret", random: () => 0.5 });
  await Promise.resolve();
  sockets.last().end();
  mock.timers.tick(5_000);
  await Promise.resolve();
  assert.deepEqual(shown, ["Bearer secret", "Bearer secret"]);
  pool.close();
});

test("an observer only watches", () => {
  const { pool, last } = live({ observe: true });
  assert.deepEqual(last().sent[0], { type: "observe", accepts: ["events"], requestId: "greeting" });
  assert.throws(() => pool.submit("echo"), PoolError);
  pool.close();
});

test("closing ends it: nobody comes back", () => {
  const { pool, opened } = live();
  pool.close();
  opened[0].end(1000);
  mock.timers.tick(120_000);
  assert.equal(opened.length, 1);
});
