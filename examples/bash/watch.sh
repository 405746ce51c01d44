#!/usr/bin/env bash
# Watch the pool from a shell, a line a message, with websocat, or else with node and its package `ws`.
set -euo pipefail

url=${1:-ws://127.0.0.1:3000/ws}
if command -v websocat >/dev/null; then
  exec websocat --no-close "$url" <<<'{"type": "observe"}'
fi
exec node --eval '
  const WebSocket = require("ws");
  const socket = new WebSocket(process.argv[1]);
  socket.on("open", () => socket.send(JSON.stringify({ type: "observe" })));
  socket.on("message", (data) => console.log(String(data)));
' "$url"
