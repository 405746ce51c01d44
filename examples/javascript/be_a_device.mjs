// Be a device of the pool: tell what this machine has every two seconds, and hear who comes and goes.
import os from "node:os";

import WebSocket from "ws";

import { Pool } from "../../gateway/ui/rpn-client/index.js"; // or from "resource-pooling-network"

const MB = 2 ** 20;

function measured() {
  const [total, free] = [Math.round(os.totalmem() / MB), Math.round(os.freemem() / MB)];
  const usage = Math.min(100, (100 * os.loadavg()[0]) / os.cpus().length);
  return {
    cpuUsage: usage, cpuAvailable: 100 - usage, cpuCores: os.cpus().length,
    memoryUsage: total - free, memoryAvailable: free, memoryTotal: total,
    storageUsage: 0, storageAvailable: 0, storageTotal: 0,
    hasGPU: false,
  };
}

const pool = new Pool("http://127.0.0.1:3000", { WebSocket, name: os.hostname(), platform: process.platform });
pool.on("device_joined", ({ device }) => console.log(`${device.name} joined`));
pool.on("device_left", ({ deviceId }) => console.log(`${deviceId} left`));
await pool.ready;
pool.report(measured());
console.log(`in the pool as ${pool.deviceId}`);
setInterval(() => pool.report(measured()), 2000);
