// Add a device: the command line for each platform, ready to be copied, and a QR code for what has a camera.

import { copyButton, h, setText } from "../dom.js";
import { segments } from "../parts.js";
import { refine } from "../router.js";
import { webSocketUrl } from "../rpn-client/index.js";

const LOOPBACK = /^(localhost|127\.|\[::1\])/;

/** `[title, steps]` by platform; a step is `[what it does, the line to type]`. */
function platforms(server, isGuarded) {
  const install = (pip) => [
    "Once: install (Python 3.11 or newer)",
    `${pip} install resource-pooling-network`,
  ];
  const join = isGuarded
    ? [
        "Join: it asks for a join token, which an administrator makes with `rpn token create join`",
        `rpn agent join ${server}`,
      ]
    : ["Join, for as long as it runs", `rpn agent --server ${server}`];
  return {
    linux: ["Linux", [install("python3 -m pip"), join]],
    macos: ["macOS", [install("python3 -m pip"), join]],
    windows: ["Windows", [install("py -m pip"), join]],
    board: [
      "Raspberry Pi, Jetson",
      [["Once: a place for it", "python3 -m venv ~/rpn && . ~/rpn/bin/activate"], install("pip"), join],
    ],
    any: [
      "Any program",
      [
        ["Connect a WebSocket to", server],
        [
          "Say who you are",
          JSON.stringify({
            type: "register",
            deviceId: "my-device",
            deviceName: "My Laptop",
            platform: "linux",
          }),
        ],
      ],
    ],
  };
}

export function addView(app, route) {
  return new AddView(app, route);
}

class AddView {
  title = "Add a device";

  constructor(app, { params }) {
    this._page = app.base.href;
    this._platforms = platforms(webSocketUrl(app.base.href), Boolean(app.rest.token));
    this._steps = h("ol", { class: "steps" });
    this._choice = segments(
      "Platform",
      Object.entries(this._platforms).map(([key, [title]]) => [key, title]),
      (key) => this._choose(key),
    );
    this._code = h("img", {
      class: "qr",
      width: 200,
      height: 200,
      alt: `QR code of ${this._page}`,
      hidden: true,
    });
    this._caption = h("p", { class: "hint" }, "Drawing the code.");
    const loopback =
      LOOPBACK.test(app.base.hostname) &&
      h(
        "p",
        { class: "callout", role: "note" },
        "This page was opened on the server's own machine, by an address that means nothing to others. To add other machines, start the pool with ",
        h("code", {}, "rpn up --host 0.0.0.0"),
        " and open this page by the server's address in your network.",
      );
    this.element = h(
      "section",
      { class: "add" },
      h("div", { class: "toolbar" }, h("h1", {}, "Add a device")),
      loopback,
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          { class: "panel" },
          this._choice.element,
          this._steps,
          h(
            "p",
            { class: "hint" },
            "It shows up here within a second. What it runs for others beyond the built-in commands is for its owner to name.",
          ),
        ),
        h(
          "div",
          { class: "panel qr-panel" },
          h("h2", {}, "On a phone or tablet"),
          this._code,
          this._caption,
          h(
            "p",
            { class: "line" },
            h("code", { class: "breaks" }, this._page),
            copyButton(() => this._page),
          ),
        ),
      ),
    );
    this._choose(this._platforms[params.get("on")] ? params.get("on") : guess());
    this._draw(app);
  }

  update() {}

  leave() {
    if (this._code.src) URL.revokeObjectURL(this._code.src);
  }

  _choose(key) {
    this._choice.choose(key);
    refine({ on: key });
    this._steps.replaceChildren(
      ...this._platforms[key][1].map(([title, line]) =>
        h(
          "li",
          {},
          h("p", {}, title),
          h(
            "div",
            { class: "command" },
            h("code", {}, line),
            copyButton(() => line),
          ),
        ),
      ),
    );
  }

  /** The code is drawn by the gateway; what it says travels in a body, never in an address. */
  async _draw(app) {
    try {
      const response = await app.rest.fetch("POST", "ui/qr.svg", { body: this._page });
      if (!response.ok) throw new Error((await response.json()).error);
      this._code.src = URL.createObjectURL(await response.blob());
      this._code.hidden = false;
      setText(this._caption, "Scan it to watch the pool from there.");
    } catch (error) {
      setText(this._caption, `There is no code now: ${error.message}.`);
    }
  }
}

function guess() {
  const platform = navigator.userAgent;
  return /windows/i.test(platform) ? "windows" : /mac|iphone|ipad/i.test(platform) ? "macos" : "linux";
}
