// The small parts that several views are made of: bars, badges, states, empty places.

import { h, setAttr, setText, setVar } from "./dom.js";
import { percent } from "./format.js";

/** A bar in three tones; `update({total, owners, pool})`. */
export function toneBar(label) {
  const owners = h("i", { class: "owners" });
  const pool = h("i", { class: "pool" });
  const element = h("div", { class: "bar", role: "img" }, owners, pool);
  const update = (parts) => {
    const [own, shared] = [percent(parts.owners, parts.total), percent(parts.pool, parts.total)];
    setVar(owners, "--part", own.toFixed(1));
    setVar(pool, "--part", shared.toFixed(1));
    setAttr(
      element,
      "aria-label",
      `${label}: ${Math.round(own)} % used by owners, ${Math.round(shared)} % by the pool`,
    );
  };
  return { element, update };
}

const STATE_WORDS = {
  submitted: "submitted",
  queued: "waiting",
  assigned: "starting",
  running: "running",
  succeeded: "done",
  failed: "failed",
  cancelled: "cancelled",
  expired: "expired",
};
const STATE_TONES = {
  running: "accent",
  assigned: "accent",
  succeeded: "good",
  failed: "bad",
  expired: "bad",
};

export function stateBadge(state) {
  return h("span", { class: `badge ${STATE_TONES[state] ?? ""}` }, STATE_WORDS[state] ?? state);
}

export function setStateBadge(element, state) {
  setAttr(element, "class", `badge ${STATE_TONES[state] ?? ""}`);
  setText(element, STATE_WORDS[state] ?? state);
}

/** What stands where there is nothing to show, and why. */
export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), ...more);
}

/** Why a view has no data from REST, in words; null when it has. */
export function missing(answer, what) {
  if (!answer) return `Asking for ${what}.`;
  if (!answer.error) return null;
  if (answer.code === "ABSENT") return `This gateway does not offer ${what}.`;
  if (answer.code === "FORBIDDEN" || answer.code === "UNAUTHORIZED")
    return `Your token does not let you see ${what}.`;
  if (answer.code === "RATE_LIMITED")
    return `The gateway takes no more questions from this address for a moment; ${what} will come later.`;
  return `No ${what} now: ${answer.error}.`;
}

/** A choice of a few, as buttons; `onchoose(value)`. */
export function segments(label, options, onchoose) {
  const buttons = options.map(([value, text]) =>
    h(
      "button",
      {
        type: "button",
        class: "segment",
        "data-value": value,
        "aria-pressed": "false",
        onclick: () => onchoose(value),
      },
      text,
    ),
  );
  const element = h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
  const choose = (value) =>
    buttons.forEach((each) => setAttr(each, "aria-pressed", String(each.dataset.value === value)));
  return { element, choose };
}

/** A field with its label above it. */
export function field(label, input, hint) {
  return h(
    "label",
    { class: "field" },
    h("span", { class: "field-name" }, label),
    input,
    hint && h("span", { class: "hint" }, hint),
  );
}
