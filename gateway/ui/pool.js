// A plain view of the pool: observes it over the WebSocket and keeps a table current.
const devices = new Map();
const state = document.getElementById("state");

function text(tag, value) {
  const element = document.createElement(tag);
  element.textContent = value;
  return element;
}

const gib = (mb) => `${(mb / 1024).toFixed(1)} GiB`;

function render() {
  const rows = [...devices.values()].map(({ name, platform, resources: r }) => {
    const row = document.createElement("tr");
    row.append(
      text("td", name),
      text("td", platform),
      text("td", `${Math.round(r.cpuUsage)} % of ${r.cpuCores} cores`),
      text("td", `${gib(r.memoryAvailable)} free of ${gib(r.memoryTotal)}`),
      text("td", `${gib(r.storageAvailable)} free of ${gib(r.storageTotal)}`),
      text("td", r.hasGPU ? (r.gpuName ?? "yes") : "none"),
    );
    return row;
  });
  document.getElementById("devices").replaceChildren(...rows);
  const cores = [...devices.values()].reduce((sum, device) => sum + device.resources.cpuCores, 0);
  document.getElementById("totals").textContent = `${devices.size} devices, ${cores} cores`;
}

const handlers = {
  devices: (message) => {
    devices.clear();
    for (const device of message.devices) devices.set(device.id, device);
  },
  device_joined: ({ device }) => devices.set(device.id, device),
  device_left: ({ deviceId }) => devices.delete(deviceId),
  resource_update: ({ deviceId, resources }) => {
    const device = devices.get(deviceId);
    if (device) device.resources = resources;
  },
};

function connect(delayMs = 500) {
  const url = new URL("../ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onopen = () => {
    state.textContent = "live";
    delayMs = 500;
    socket.send(JSON.stringify({ type: "observe" }));
  };
  socket.onmessage = ({ data }) => {
    for (const message of [JSON.parse(data)].flat()) handlers[message.type]?.(message);
    requestAnimationFrame(render);
  };
  socket.onclose = () => {
    state.textContent = "disconnected: what you see is old; reconnecting";
    setTimeout(() => connect(Math.min(delayMs * 2, 10_000)), delayMs * (0.5 + Math.random() / 2));
  };
}

connect();
