// The one reducer: every message, of the pool and of this page's own link and questions, becomes state here.
//
// `reduce(state, message, atMs)` is all there is to it: no clock, no network, no page. So a recorded log
// of messages, replayed into it, shows what was seen.

import { printable } from "./format.js";
import { held, PoolHistory, tones } from "./amounts.js";
import { History, stepOf } from "./history.js";

const ACTIVITY_LIMIT = 500;
const TASK_LIMIT = 2_000;
const MERGE_MS = 4_000;
/** A join or leave and the pool's event about it come this close to each other. */
const FINAL = new Set(["succeeded", "failed", "cancelled", "expired"]);
const NO_RESOURCES = {
  cpuUsage: 0,
  cpuAvailable: 0,
  cpuCores: 0,
  memoryUsage: 0,
  memoryAvailable: 0,
  memoryTotal: 0,
  storageUsage: 0,
  storageAvailable: 0,
  storageTotal: 0,
  hasGPU: false,
  gpuName: null,
  gpuUsage: null,
};

export function createState() {
  return {
    devices: new Map(),
    tasks: new Map(),
    allocations: new Map(),
    activity: [],
    answers: {},
    /** latest REST answers by name: `{value, atMs}` or `{error, code, atMs}` */
    link: { name: "connecting", sinceMs: 0 },
    listed: false,
    liveMs: 0,
    /** when we last heard that what we show is true */
    history: new PoolHistory(),
    rev: { members: 0, resources: 0, tasks: 0, allocations: 0, activity: 0, link: 0, answers: 0 },
    serial: 0,
  };
}

/** Take over one message; answers whether it was one we know. */
export function reduce(state, message, atMs) {
  const handler = HANDLERS[message.type];
  if (!handler) return false;
  handler(state, message, atMs);
  return true;
}

export function isFinal(task) {
  return FINAL.has(task.state);
}

export function taskKey(task) {
  return `${task.submitterId}/${task.id}`;
}

// --- devices --------------------------------------------------------------------------------------

function rowOf(device, atMs) {
  const seenMs = Date.parse(device.lastSeen) || atMs;
  return {
    id: device.id,
    name: printable(device.name) || printable(device.id),
    platform: printable(device.platform),
    ipAddress: printable(device.ipAddress),
    isOnline: device.isOnline !== false,
    resources: device.resources ?? NO_RESOURCES,
    reported: Boolean(device.resources?.cpuCores || device.resources?.memoryTotal),
    seenMs,
    sinceMs: atMs,
    history: new History(["cpu", "memory", "gpu"]),
    held: { work: {}, shares: {} },
    tasks: [],
  };
}

function put(state, device, atMs) {
  const fresh = rowOf(device, atMs);
  const row = state.devices.get(device.id);
  if (!row) {
    state.devices.set(device.id, fresh);
    state.rev.members++;
    return true;
  }
  const { history, sinceMs, held: has, tasks, ...changed } = fresh;
  Object.assign(row, changed);
  return false;
}

function onDevices(state, { devices }, atMs) {
  const before = state.listed;
  const here = new Set(devices.map((device) => device.id));
  for (const [id, row] of state.devices) {
    if (here.has(id)) continue;
    state.devices.delete(id);
    if (before)
      note(state, atMs, {
        kind: "device_left",
        deviceId: id,
        name: row.name,
        reason: "while this page was away",
      });
  }
  for (const device of devices) {
    const isNew = put(state, device, atMs);
    if (isNew && before) note(state, atMs, { kind: "device_joined", deviceId: device.id });
  }
  state.listed = true;
  if (!before && state.answers.history) ANSWERS.history(state, state.answers.history.value);
  state.rev.members++;
  state.rev.resources++;
  settle(state);
}

function onJoined(state, { device }, atMs) {
  put(state, device, atMs);
  state.rev.resources++;
  note(state, atMs, { kind: "device_joined", deviceId: device.id });
  settle(state);
}

function onLeft(state, { deviceId }, atMs) {
  const row = state.devices.get(deviceId);
  if (!row) return;
  state.devices.delete(deviceId);
  state.rev.members++;
  note(state, atMs, { kind: "device_left", deviceId, name: row.name });
}

function onUpdate(state, { deviceId, resources }, atMs) {
  const row = state.devices.get(deviceId);
  if (!row) return;
  row.resources = resources;
  row.seenMs = atMs;
  row.reported = row.isOnline = true;
  state.rev.resources++;
}

// --- what happens -----------------------------------------------------------------------------------

/** Remember that something happened; the pool's event about a join or leave adds to what we saw ourselves. */
function note(state, atMs, event) {
  event.name ??= state.devices.get(event.deviceId)?.name ?? printable(event.deviceId);
  const same = state.activity.find((each) => atMs - each.atMs < MERGE_MS && isSame(each, event));
  if (same) {
    for (const [field, value] of Object.entries(event))
      if (value !== undefined && !same[field]) same[field] = value;
  } else {
    state.activity.unshift({ id: ++state.serial, atMs, ...event });
    if (state.activity.length > ACTIVITY_LIMIT) state.activity.length = ACTIVITY_LIMIT;
  }
  state.rev.activity++;
}

function isSame(one, other) {
  return one.kind === other.kind && one.kind.startsWith("device_") && one.deviceId === other.deviceId;
}

function onEvent(state, { type, at, ...event }, atMs) {
  for (const field of ["reason", "state"]) if (event[field]) event[field] = printable(event[field]);
  note(state, event.kind.startsWith("device_") ? atMs : Math.min(atMs, Date.parse(at) || atMs), event);
  if (event.kind === "task") onTaskEvent(state, event, atMs);
  if (event.kind === "allocation") state.rev.allocations++;
}

/** A task changed: we know its state at once, the rest is asked for when somebody looks. */
function onTaskEvent(state, { taskId, submitterId, state: name, deviceId }, atMs) {
  const task = state.tasks.get(`${submitterId}/${taskId}`);
  state.rev.tasks++;
  if (!task || !name) return;
  task.state = name;
  if (deviceId) task.deviceId = deviceId;
  if (name === "running") task.startedMs ||= atMs;
  if (FINAL.has(name)) task.endedMs ||= atMs;
  settle(state);
}

// --- what was asked by REST -------------------------------------------------------------------------

function onAnswer(state, { name, value, error, code }, atMs) {
  if (error === undefined) ANSWERS[name]?.(state, value, atMs);
  const before = state.answers[name];
  state.answers[name] = error === undefined ? { value, atMs } : { ...before, error, code, failedMs: atMs };
  if (error === undefined) delete state.answers[name].error;
  state.rev.answers++;
}

const ANSWERS = {
  tasks(state, { tasks }) {
    for (const task of tasks) keepTask(state, task);
    forgetOldTasks(state);
    state.rev.tasks++;
    settle(state);
  },
  allocations(state, { allocations }) {
    state.allocations = new Map(allocations.map((each) => [(each.allocation ?? each).id, flat(each)]));
    settle(state);
  },
  task(state, task) {
    keepTask(state, task);
    state.rev.tasks++;
    settle(state);
  },
  reserved(state, held) {
    state.allocations.set(held.allocation.id, flat(held));
    settle(state);
  },
  released(state, { id }) {
    state.allocations.delete(id);
    settle(state);
  },
  history(state, { pool, step, devices }) {
    state.history.seed(pool);
    for (const [id, kinds] of Object.entries(devices)) state.devices.get(id)?.history.seed(step, kinds);
  },
  deviceHistory(state, { id, step, ...kinds }) {
    state.devices.get(id)?.history.seed(step, kinds);
  },
};

function flat(held) {
  return held.allocation ? { ...held.allocation, expiresAt: held.expiresAt } : held;
}

/** Take over one task as REST tells it. */
export function keepTask(state, told) {
  const ms = (text) => (text ? Date.parse(text) : 0);
  const times = {
    submittedMs: ms(told.submittedAt),
    startedMs: ms(told.startedAt),
    endedMs: ms(told.endedAt),
  };
  const { taskId: id, submitterId } = told;
  const before = state.tasks.get(`${submitterId}/${id}`);
  const task = { ...before, ...told, id, ...times, assignedMs: ms(told.assignedAt) };
  state.tasks.set(taskKey(task), task);
  return task;
}

function forgetOldTasks(state) {
  if (state.tasks.size <= TASK_LIMIT) return;
  const ended = [...state.tasks.values()].filter(isFinal).sort((a, b) => a.endedMs - b.endedMs);
  for (const task of ended.slice(0, state.tasks.size - TASK_LIMIT)) state.tasks.delete(taskKey(task));
}

/** Work out which devices hold what, and run what. */
function settle(state) {
  held(state);
  state.rev.allocations++;
}

// --- this page --------------------------------------------------------------------------------------

function onLink(state, { state: link }, atMs) {
  const was = state.link;
  const same = was.name === link.name && !(was.stale && link.name !== "live");
  state.link = { ...link, stale: link.name === "live" && was.stale, sinceMs: same ? was.sinceMs : atMs };
  if (was.name === "live" && link.name !== "live") {
    state.liveMs = atMs;
    note(state, atMs, { kind: "link", state: "lost", reason: printable(link.reason) });
  }
  if (link.name === "live" && was.name !== "live" && state.liveMs)
    note(state, atMs, { kind: "link", state: "back" });
  state.rev.link++;
}

/** REST says that the gateway itself has lost the pool's server, or has it again. */
function onStale(state, { stale }, atMs) {
  if (Boolean(state.link.stale) === stale) return;
  state.link = { ...state.link, stale, sinceMs: atMs };
  state.rev.link++;
}

/** Five seconds went by: remember how things stand. */
function onTick(state, _, atMs) {
  const step = stepOf(atMs);
  const live = state.link.name === "live" && !state.link.stale;
  const unbroken = live && step - state.history.last < 30;
  state.history.record(step, live ? tones(state.devices.values()) : {}, unbroken);
  for (const { resources: r, history, reported } of state.devices.values()) {
    const known = live && reported;
    const memory = r.memoryTotal ? (100 * r.memoryUsage) / r.memoryTotal : 0;
    history.record(
      step,
      known ? { cpu: r.cpuUsage, memory, gpu: r.hasGPU ? (r.gpuUsage ?? undefined) : undefined } : {},
      unbroken,
    );
  }
}

const HANDLERS = {
  devices: onDevices,
  device_joined: onJoined,
  device_left: onLeft,
  resource_update: onUpdate,
  pool_event: onEvent,
  answer: onAnswer,
  link: onLink,
  stale: onStale,
  tick: onTick,
};
