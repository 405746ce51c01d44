// A broadcast with Node's `ws`, as its documentation shows it: encoded once, sent to each client.

const { WebSocket, WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });
const registered = new Set();

server.on("connection", (socket) => {
  socket.on("error", () => socket.terminate());
  socket.on("close", () => registered.delete(socket));
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "register") {
      registered.add(socket);
      socket.send(JSON.stringify({ type: "devices", devices: [] }));
    } else if (message.type === "resource_update") {
      const text = JSON.stringify(message);
      for (const client of registered) {
        if (client.readyState === WebSocket.OPEN) client.send(text);
      }
    }
  });
});
