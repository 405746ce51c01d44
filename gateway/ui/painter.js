// Paints when something changed, but not more often than eyes can follow, or than the machine takes well.

const PAUSE_MS = 200;
const SHARE = 8;
/** painting takes at most one part in so many of the time */

export class Painter {
  constructor(paint) {
    this._paint = paint;
    this._restUntilMs = 0;
    this._planned = false;
  }

  /** Paint soon. */
  changed() {
    if (this._planned) return;
    this._planned = true;
    setTimeout(
      () => requestAnimationFrame(() => this.now()),
      Math.max(0, this._restUntilMs - performance.now()),
    );
  }

  /** Paint at once. */
  now() {
    this._planned = false;
    const beganMs = performance.now();
    this._paint();
    const costMs = performance.now() - beganMs;
    this._restUntilMs = beganMs + Math.max(PAUSE_MS, SHARE * costMs);
  }
}
