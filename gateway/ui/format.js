// Numbers, times and names as people read them.

const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u061c\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;

/** A name from outside: what cannot be seen, or would turn the text around, is shown as a mark. */
export function printable(text) {
  return String(text ?? "").replace(HIDDEN, "\ufffd");
}

function rounded(value, digits = 1) {
  return value >= 100
    ? Math.round(value).toLocaleString("en")
    : Number(value.toFixed(digits)).toLocaleString("en");
}

/** Core-percent as cores: 250 is "2.5". */
export function cores(corePercent) {
  return rounded(corePercent / 100);
}

/** MB with the unit that fits. */
export function size(mb) {
  if (mb < 1024) return `${Math.round(mb)} MB`;
  if (mb < 1024 * 1024) return `${rounded(mb / 1024)} GB`;
  return `${rounded(mb / 1024 / 1024)} TB`;
}

export function percent(part, whole = 100) {
  return whole > 0 ? Math.min(100, Math.max(0, (100 * part) / whole)) : 0;
}

export function whole(value) {
  return `${Math.round(value)} %`;
}

/** How long: "850 ms", "4 s", "3 min 5 s", "2 h 4 min", "3 days". */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function ago(ms) {
  return ms < 2000 ? "just now" : `${span(ms)} ago`;
}

/** The time of day of a moment in ms: "12:01:33". */
export function clock(ms) {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** What is required, in words: "2 cores, 4 GB memory, a GPU". */
export function needs({ cpu = 0, memory = 0, storage = 0, gpu = false, devices } = {}) {
  const parts = [
    cpu > 0 && `${cores(cpu)} ${cpu === 100 ? "core" : "cores"}`,
    memory > 0 && `${size(memory)} memory`,
    storage > 0 && `${size(storage)} storage`,
    gpu && "a GPU",
    devices && `on ${count(devices, "device")}`,
  ];
  return parts.filter(Boolean).join(", ") || "nothing";
}

/** An id, shortened to what tells it from others. */
export function shortId(id) {
  const text = printable(id);
  return text.length > 13 ? `${text.slice(0, 8)}…` : text;
}
