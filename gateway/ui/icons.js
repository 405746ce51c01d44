// The few drawings of the page, as SVG elements of 24 by 24.

import { s } from "./dom.js";

const PATHS = {
  devices: "M4 5h16v10H4zM2 19h20M9 15v4M15 15v4",
  work: "M4 6h9M4 12h14M4 18h6M17 16l2 2 3-4",
  request: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4M4 12h16",
  activity: "M3 12h4l3-7 4 14 3-7h4",
  system: "M12 3v4M12 17v4M3 12h4M17 12h4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8",
  plus: "M12 5v14M5 12h14",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 3v18M15 5v14M18 7.5v9",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 1.8v.4M12 17.5v.5",
  close: "M6 6l12 12M18 6L6 18",
  laptop: "M5 5h14v10H5zM2 19h20",
  desktop: "M3 4h18v12H3zM9 20h6M12 16v4",
  server: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  phone: "M8 3h8v18H8zM11 18h2",
  board: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  battery: "M3 8h15v8H3zM21 11v2M6 11v2M9 11v2",
};
const PLATFORMS = [
  [/android|ios|iphone|ipad|phone/i, "phone"],
  [/raspberry|jetson|arm|pi\b|board/i, "board"],
  [/mac|darwin|laptop|book/i, "laptop"],
  [/win|desktop/i, "desktop"],
];

export function icon(name) {
  const attributes = {
    viewBox: "0 0 24 24",
    width: 20,
    height: 20,
    class: "icon",
    "aria-hidden": "true",
    focusable: "false",
  };
  return s(
    "svg",
    attributes,
    s("path", {
      d: PATHS[name] ?? PATHS.server,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.8,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/** What a device of this platform looks like. */
export function platformIcon(platform) {
  return icon(PLATFORMS.find(([pattern]) => pattern.test(platform))?.[1] ?? "server");
}
