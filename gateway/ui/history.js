// The last quarter of an hour, in steps of five seconds, of the pool and of each device.

export const STEP_MS = 5_000;
export const STEPS = 180;
const NONE = -1;

export function stepOf(ms) {
  return Math.floor(ms / STEP_MS);
}

/** Some series over the same steps: a ring that forgets what is older; -1 where nothing is known. */
export class History {
  constructor(names) {
    this.series = Object.fromEntries(names.map((name) => [name, new Float32Array(STEPS).fill(NONE)]));
    this.last = NONE;
  }

  /** These values hold at `step`, and since the step before if `unbroken`. */
  record(step, values, unbroken = false) {
    if (this.last !== NONE) this._skip(step, unbroken ? values : undefined);
    for (const name in this.series) this.series[name][step % STEPS] = values[name] ?? NONE;
    this.last = Math.max(step, this.last);
  }

  _skip(step, values) {
    for (let each = Math.max(this.last + 1, step - STEPS + 1); each < step; each++)
      for (const name in this.series) this.series[name][each % STEPS] = values?.[name] ?? NONE;
  }

  /** The values of one series up to `step`, the oldest first. */
  read(name, step, steps = STEPS) {
    const found = new Float32Array(steps).fill(NONE);
    if (this.last === NONE) return found;
    for (let back = 0; back < steps; back++) {
      const at = step - back;
      if (at > this.last || at <= this.last - STEPS || at < 0) continue;
      found[steps - 1 - back] = this.series[name][at % STEPS];
    }
    return found;
  }
}
