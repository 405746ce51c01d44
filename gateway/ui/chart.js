// Draws on canvas in the colours of the theme, sharp on every screen.

const cache = new Map();
let probe;

/** The colour that a custom property has now, as canvas understands it. */
export function tone(name) {
  if (!cache.has(name)) {
    probe ??= document.body.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
    probe.style.color = `var(--${name})`;
    cache.set(name, getComputedStyle(probe).color);
  }
  return cache.get(name);
}

/** The theme has changed. */
export function forgetTones() {
  cache.clear();
}

/** The canvas cleared, as big as it is shown: `{context, width, height}` in CSS pixels. */
export function cleared(canvas, height = canvas.clientHeight) {
  const width = canvas.clientWidth;
  const scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * Areas stacked on each other, from the oldest value to the newest at the right edge.
 *
 * `layers` is a list of `{values, tone}`; values below 0 are gaps. `whole` is what fills the height: a
 * number, or values of its own for a pool that grows and shrinks. `lines` divide it.
 */
export function drawAreas(canvas, layers, whole, { lines = 0 } = {}) {
  const { context, width, height } = cleared(canvas);
  const steps = layers[0].values.length;
  const floor = new Float32Array(steps);
  const full = typeof whole === "number" ? whole : Math.max(1e-9, ...whole);
  const x = (step) => (steps > 1 ? (step * width) / (steps - 1) : 0);
  const y = (value) => height - 1 - (Math.min(value, full) / full) * (height - 2);
  context.fillStyle = tone("line");
  context.fillRect(0, height - 1, width, 1);
  for (let line = 1; line <= lines; line++)
    context.fillRect(0, Math.round(y((full * line) / lines)), width, 1);
  for (const { values, tone: name } of layers) {
    const top = values.map((value, step) => (value < 0 ? -1 : floor[step] + value));
    for (const [from, to] of stretches(values)) fillBetween(context, floor, top, from, to, x, y, tone(name));
    for (let step = 0; step < steps; step++) if (top[step] >= 0) floor[step] = top[step];
  }
}

/** [from, to] of each run of known values. */
function stretches(values) {
  const found = [];
  let from = -1;
  for (let step = 0; step <= values.length; step++) {
    const known = step < values.length && values[step] >= 0;
    if (known && from < 0) from = step;
    if (!known && from >= 0) {
      found.push([from, step - 1]);
      from = -1;
    }
  }
  return found;
}

function fillBetween(context, floor, top, from, to, x, y, colour) {
  const right = from === to ? x(to) + 2 : x(to);
  context.beginPath();
  context.moveTo(x(from), y(floor[from]));
  for (let step = from; step <= to; step++) context.lineTo(x(step), y(top[step]));
  context.lineTo(right, y(top[to]));
  context.lineTo(right, y(floor[to]));
  for (let step = to; step >= from; step--) context.lineTo(x(step), y(floor[step]));
  context.fillStyle = colour;
  context.fill();
}
