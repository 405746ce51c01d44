// What runs on a device right now, in one line.

import { h, setAttr, setText } from "../dom.js";
import { count, printable } from "../format.js";
import { address } from "../router.js";

/** What a task does, as people know it. */
export function taskName(task) {
  return printable(task.data?.command ?? task.command ?? task.name ?? task.type ?? "task");
}

export function runningLine() {
  const link = h("a", { class: "running" });
  const element = h(
    "p",
    { class: "running-line", hidden: true },
    h("span", { class: "badge accent" }, "runs"),
    link,
  );
  const update = ({ tasks }) => {
    element.hidden = !tasks.length;
    if (!tasks.length) return;
    const [first, ...others] = tasks;
    setText(link, taskName(first) + (others.length ? ` and ${count(others.length, "other")}` : ""));
    setAttr(link, "href", address("work", [first.submitterId, first.id]));
  };
  return { element, update };
}
