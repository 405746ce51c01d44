// What this page asks of the pool in its own name: run a task, try or hold a reservation.

import { newId } from "./rpn-client/index.js";

const KEPT = 50;
/** tasks of this page whose input it remembers, to run them again */
const FOLLOW_S = 3;

export class Caller {
  constructor(app) {
    this._app = app;
    this.name = kept("rpn.caller") ?? keep("rpn.caller", `page-${newId().slice(0, 8)}`);
    this._specs = new Map(JSON.parse(kept("rpn.tasks") ?? "[]"));
  }

  /** Have `command` run on `input`; answers the task's id. Raises RestError. */
  async submit(command, input, requirements) {
    const id = newId();
    const spec = { requirements, data: { command, input } };
    await this._app.rest.call("POST", "api/tasks", { id, type: "compute", submitterId: this.name, ...spec });
    this._specs.set(id, spec);
    if (this._specs.size > KEPT) this._specs.delete(this._specs.keys().next().value);
    keep("rpn.tasks", JSON.stringify([...this._specs]));
    return id;
  }

  /** What a task of this page was made of; undefined for those of others. */
  spec(taskId) {
    return this._specs.get(taskId);
  }

  cancel({ id, submitterId }) {
    return this._app.rest.call("DELETE", taskPath(submitterId, id));
  }

  /** Keep a task's description fresh until it is over, or `signal` says to stop. */
  async follow(submitterId, id, signal, isOver) {
    let waitS = 0;
    while (!signal.aborted) {
      const value = await this._app.rest.call(
        "GET",
        `${taskPath(submitterId, id)}&wait=${waitS}`,
        undefined,
        { signal },
      );
      this._app.tell({ type: "answer", name: "task", value });
      if (isOver(value)) return;
      waitS = FOLLOW_S;
    }
  }

  /** What would be reserved now. Raises RestError. */
  tryRequest(requirements, signal) {
    return this._app.rest.call(
      "POST",
      "api/allocations",
      { requirements, dryRun: true, requester: this.name },
      { signal },
    );
  }

  /** Reserve for `ttl` seconds. Raises RestError. */
  async reserve(requirements, ttl) {
    const answer = await this._app.rest.call("POST", "api/allocations", {
      requirements,
      ttl,
      requester: this.name,
    });
    if (answer.allocation.fulfilled) this._app.tell({ type: "answer", name: "reserved", value: answer });
    return answer;
  }

  async release(id) {
    await this._app.rest.call("DELETE", `api/allocations/${encodeURIComponent(id)}`);
    this._app.tell({ type: "answer", name: "released", value: { id } });
  }
}

function taskPath(submitterId, id) {
  return `api/tasks/${encodeURIComponent(id)}?submitter=${encodeURIComponent(submitterId)}`;
}

function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds for this visit, then.
  }
  return value;
}
