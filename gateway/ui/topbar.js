// The top bar: where you are, how the connection is in words, and what can always be done.

import { h, setAttr, setText } from "./dom.js";
import { clock } from "./format.js";
import { icon } from "./icons.js";
import { address } from "./router.js";
import { openHelp } from "./keys.js";

const TABS = [
  ["devices", "Devices"],
  ["work", "Work"],
  ["request", "Request"],
  ["activity", "Activity"],
  ["system", "System"],
];
const THEMES = {
  auto: ["auto", "Theme: as the system"],
  light: ["sun", "Theme: light"],
  dark: ["moon", "Theme: dark"],
};
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** How the connection is: `[kind, words for the bar, a sentence for the notice]`. */
export function connectionWords({ link, liveMs }, nowMs) {
  const since = liveMs ? ` since ${clock(liveMs)}` : "";
  const asOf = liveMs ? " What you see is how it was then." : "";
  if (link.name === "replay")
    return [
      "replay",
      "recording",
      "This is a recording. Nothing here is live; reload the page for the pool itself.",
    ];
  if (link.name === "waiting") {
    const seconds = Math.max(1, Math.ceil((link.untilMs - nowMs) / 1000));
    return ["away", `reconnecting in ${seconds} s`, `No connection to the pool${since}.${asOf}`];
  }
  if (link.name === "connecting") {
    return liveMs
      ? ["away", "reconnecting", `No connection to the pool${since}.${asOf}`]
      : ["connecting", "connecting", ""];
  }
  if (link.name === "closed")
    return ["away", "no token", `This pool asks for a token; reload the page to enter one.${asOf}`];
  if (link.stale) {
    const at = clock(link.sinceMs).slice(0, 5);
    return [
      "stale",
      `stale since ${at}`,
      `The gateway has lost the pool's server since ${clock(link.sinceMs)}. What you see is how it was then.`,
    ];
  }
  return [
    "live",
    link.latencyMs === null || link.latencyMs === undefined
      ? "live"
      : `live, ${Math.max(1, Math.round(link.latencyMs))} ms`,
    "",
  ];
}

export class Topbar {
  constructor(app) {
    this._app = app;
    this._words = document.getElementById("link-words");
    this._notice = document.getElementById("notice");
    this._noticeText = h("span");
    this._retry = h(
      "button",
      { type: "button", class: "button small", onclick: () => app.retryNow() },
      "Try now",
    );
    this._notice.append(this._noticeText, this._retry);
    this._tabs = TABS.map(([view, text]) =>
      h("a", { href: address(view), "data-view": view }, icon(view), h("span", {}, text)),
    );
    document.getElementById("tabs").append(...this._tabs);
    this._theme = h("button", {
      type: "button",
      class: "button quiet icon-only optional",
      onclick: () => this._nextTheme(),
    });
    document
      .getElementById("buttons")
      .append(
        h(
          "a",
          { class: "button primary", href: address("add"), "aria-label": "Add device" },
          icon("plus"),
          h("span", { class: "wide-only" }, "Add device"),
        ),
        this._theme,
        h(
          "button",
          {
            type: "button",
            class: "button quiet icon-only optional",
            "aria-label": "Help and keys",
            title: "Help and keys (?)",
            onclick: openHelp,
          },
          icon("help"),
        ),
      );
    this._showTheme();
  }

  /** Mark the view that is shown. */
  show(view) {
    for (const tab of this._tabs) setAttr(tab, "aria-current", tab.dataset.view === view ? "page" : null);
  }

  /** Answers the kind of connection. */
  update() {
    const [kind, words, sentence] = connectionWords(this._app.state, Date.now());
    setText(this._words, words);
    setText(this._noticeText, sentence);
    this._notice.hidden = !sentence;
    this._retry.hidden = this._app.state.link.name !== "waiting";
    return kind;
  }

  _chosenTheme() {
    return document.documentElement.dataset.theme ?? "auto";
  }

  _nextTheme() {
    const theme = NEXT[this._chosenTheme()];
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("rpn.theme", theme);
    } catch {
      // Not kept, then.
    }
    this._showTheme();
    this._app.themeChanged();
  }

  _showTheme() {
    const [name, label] = THEMES[this._chosenTheme()];
    setAttr(this._theme, "aria-label", label);
    setAttr(this._theme, "title", label);
    this._theme.replaceChildren(icon(name));
  }
}
