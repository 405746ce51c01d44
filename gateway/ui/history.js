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
    this.first = NONE;
    /** the first step that was recorded rather than told */
  }

  /** These values hold at `step`, and since the step before if `unbroken`. */
  record(step, values, unbroken = false) {
    if (this.first === NONE) this.first = step;
    if (this.last !== NONE) this._skip(step, unbroken ? values : undefined);
    for (const name in this.series) this.series[name][step % STEPS] = values[name] ?? NONE;
    this.last = Math.max(step, this.last);
  }

  _skip(step, values) {
    for (let each = Math.max(this.last + 1, step - STEPS + 1); each < step; each++)
      for (const name in this.series) this.series[name][each % STEPS] = values?.[name] ?? NONE;
  }

  /** These values held at a step before any that was recorded here. */
  fill(step, values) {
    if (this.first !== NONE && step >= this.first) return;
    if (step <= this.last - STEPS) return;
    if (step > this.last) this.last = step;
    for (const name in values) this.series[name][step % STEPS] = values[name] ?? NONE;
  }

  /** Lists of values by name, each ending at `step`. */
  seed(step, lists) {
    for (const [name, values] of Object.entries(lists)) {
      if (!this.series[name]) continue;
      values.forEach((value, at) => this.fill(step - values.length + 1 + at, { [name]: value }));
    }
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
