// Who uses what: the three tones of every bar, worked out of reports, allocations and running tasks.

import { History } from "./history.js";

export const DIMENSIONS = ["cpu", "memory", "storage", "gpu"];
const RUNNING = new Set(["assigned", "running"]);

/** What a device has and uses, by dimension: `{cpu: {total, used}, ...}` in core-percent, MB, MB and GPUs. */
export function amounts({ resources: r }) {
  return {
    cpu: { total: r.cpuCores * 100, used: r.cpuUsage * r.cpuCores },
    memory: { total: r.memoryTotal, used: r.memoryUsage },
    storage: { total: r.storageTotal, used: r.storageUsage },
    gpu: { total: r.hasGPU ? 1 : 0, used: r.hasGPU ? (r.gpuUsage ?? 0) / 100 : 0 },
  };
}

/**
 * A device's three tones: `{cpu: {total, owners, pool, free}, ...}`.
 *
 * What the pool's tasks use is part of the device's measured usage, so their reservation is taken from it
 * and not counted twice; an allocation reserves for work that we cannot tell from the owner's.
 */
export function split(row) {
  const found = amounts(row);
  for (const name of DIMENSIONS) {
    const { total, used } = found[name];
    const work = row.held.work[name] ?? 0;
    const owners = Math.min(total, Math.max(0, used - work));
    const pool = Math.min(total - owners, work + (row.held.shares[name] ?? 0));
    found[name] = { total, owners, pool, free: total - owners - pool };
  }
  return found;
}

/** The sums over devices, flat: `{cpuTotal, cpuOwners, cpuPool, ...}`. */
export function tones(rows) {
  const sums = {};
  for (const name of DIMENSIONS) for (const part of PARTS) sums[name + part] = 0;
  for (const row of rows) {
    const parts = split(row);
    for (const name of DIMENSIONS) {
      sums[`${name}Total`] += parts[name].total;
      sums[`${name}Owners`] += parts[name].owners;
      sums[`${name}Pool`] += parts[name].pool;
    }
  }
  return sums;
}

const PARTS = ["Total", "Owners", "Pool"];

/** Give each device what it holds for others now, and the tasks it runs. */
export function held(state) {
  for (const row of state.devices.values()) {
    row.held = { work: {}, shares: {} };
    row.tasks = [];
  }
  for (const allocation of state.allocations.values())
    for (const share of allocation.allocatedDevices ?? []) addShare(state.devices.get(share.deviceId), share);
  for (const task of state.tasks.values())
    if (RUNNING.has(task.state)) addTask(state.devices.get(task.deviceId), task);
}

function addShare(row, { allocatedCpu, allocatedMemory, allocatedStorage, allocatedGpu }) {
  if (row) add(row.held.shares, allocatedCpu, allocatedMemory, allocatedStorage, allocatedGpu);
}

function addTask(row, task) {
  if (!row) return;
  const { cpu = 0, memory = 0, storage = 0, gpu = false } = task.requirements ?? {};
  row.tasks.push(task);
  add(row.held.work, cpu, memory, storage, gpu);
}

function add(sums, cpu, memory, storage, gpu) {
  sums.cpu = (sums.cpu ?? 0) + cpu;
  sums.memory = (sums.memory ?? 0) + memory;
  sums.storage = (sums.storage ?? 0) + storage;
  sums.gpu = (sums.gpu ?? 0) + (gpu ? 1 : 0);
}

/** The pool's own history; its gateway tells what was before this page came, by owners and pool together. */
export class PoolHistory extends History {
  constructor() {
    super(DIMENSIONS.flatMap((name) => PARTS.map((part) => name + part)));
  }

  /** A sample a step: `{step, cpuTotal, cpuUsed, ...}`. */
  seed(samples) {
    for (const { step, ...sample } of samples) {
      const values = DIMENSIONS.map((name) => ({
        [`${name}Total`]: sample[`${name}Total`],
        [`${name}Owners`]: sample[`${name}Used`],
        [`${name}Pool`]: 0,
      }));
      this.fill(step, Object.assign({}, ...values));
    }
  }
}
