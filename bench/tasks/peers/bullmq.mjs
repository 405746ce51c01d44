// BullMQ: two workers in processes of their own; prints {"rate", "p50_ms"} as JSON.
import { fork } from "node:child_process";
import { createRequire } from "node:module";

const { Queue, QueueEvents, Worker } = createRequire(`${process.env.BENCH_NODE_MODULES}/`)("bullmq");
const address = new URL(process.env.BENCH_REDIS_URL);
const connection = { host: address.hostname, port: Number(address.port) };

if (process.argv[2] === "worker") {
  process.on("disconnect", () => process.exit(0)); // whoever started it is gone
  new Worker("echo", async (job) => job.data.given, { connection, concurrency: 64 });
} else {
  const workers = [1, 2].map(() => fork(process.argv[1], ["worker"]));
  const queue = new Queue("echo", { connection });
  const events = new QueueEvents("echo", { connection });
  await events.waitUntilReady();
  const one = async () => (await queue.add("echo", { given: "x" })).waitUntilFinished(events);
  await one();
  const took = [];
  for (let n = 0; n < 200; n++) {
    const began = performance.now();
    await one();
    took.push(performance.now() - began);
  }
  const count = Number(process.argv[2]);
  const began = performance.now();
  const jobs = await queue.addBulk(Array.from({ length: count }, () => ({ name: "echo", data: { given: "x" } })));
  await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
  const rate = count / ((performance.now() - began) / 1000);
  console.log(JSON.stringify({ rate, p50_ms: took.sort((a, b) => a - b)[100] }));
  workers.forEach((worker) => worker.kill());
  process.exit(0);
}
