// See the pool's devices and have one of them count primes: `npm install ws`, then `node first_task.mjs`.
import WebSocket from "ws";

import { Pool } from "../../gateway/ui/rpn-client/index.js"; // or from "resource-pooling-network"

const pool = new Pool("http://127.0.0.1:3000", { WebSocket, name: "first task" });
const devices = await pool.ready;
console.log([...devices.values()].map((device) => device.name));
console.log(await pool.submit("primes", { n: 100_000 }));
pool.close();
