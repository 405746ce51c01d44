// The keyboard: what keys do anywhere on the page, and the help that lists them.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { address } from "./router.js";

const VIEWS = ["devices", "work", "request", "activity", "system"];
const KEYS = [
  ["/", "search devices"],
  ["1 … 5", "go to Devices, Work, Request, Activity, System"],
  ["a", "add a device"],
  ["?", "this help"],
  ["Esc", "close, or leave the search"],
  ["← ↑ → ↓", "move on the heat map; Enter opens the device"],
];
const WORDS = [
  ["used by owners", "owners", "what the people and programs of the devices themselves use"],
  ["allocated by the pool", "pool", "what is reserved or running for somebody in the pool"],
  ["free", "free", "what a request or a task could get now"],
];

export function handleKeys(app) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    if (act(event.key, app)) event.preventDefault();
  });
}

function act(key, app) {
  if (key === "/") return focusSearch();
  if (key === "?") return openHelp();
  if (key === "a") return go("add");
  const view = VIEWS[Number(key) - 1];
  return view ? go(view) : false;
}

function go(view) {
  location.hash = address(view);
  return true;
}

function focusSearch() {
  const search = document.getElementById("search");
  if (search) search.focus();
  else {
    addEventListener("hashchange", () => document.getElementById("search")?.focus(), { once: true });
    go("devices");
  }
  return true;
}

/** A dialog with this content; it goes when it is closed. */
export function openDialog(title, ...content) {
  const close = h(
    "button",
    { type: "button", class: "button quiet icon-only", "aria-label": "Close", onclick: () => dialog.close() },
    icon("close"),
  );
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title), close),
    h("div", { class: "dialog-body" }, content),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.getElementById("layer").append(dialog);
  dialog.showModal();
  return dialog;
}

export function openHelp() {
  if (document.querySelector("dialog")) return true;
  const keys = KEYS.map(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)]);
  const words = WORDS.map(([word, tone, text]) => [
    h("dt", { class: `key ${tone}` }, word),
    h("dd", {}, text),
  ]);
  openDialog(
    "Help",
    h(
      "p",
      {},
      "Devices that joined this pool are shown as they report themselves, live. Anyone may reserve part of them, or have tasks run on the device that fits.",
    ),
    h("h3", {}, "What the bars say"),
    h("dl", { class: "pairs" }, words.flat()),
    h("h3", {}, "Keys"),
    h("dl", { class: "pairs" }, keys.flat()),
  );
  return true;
}
