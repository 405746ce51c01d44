// A request as other programs would make it: on the command line, in Python, as a message.

const json = (value, indent) => JSON.stringify(value, null, indent);

/** A value as Python writes it. */
function python(value) {
  return json(value)
    .replace(/\btrue\b/g, "True")
    .replace(/:/g, ": ")
    .replace(/,/g, ", ");
}

function asCurl(base, requirements) {
  const url = new URL("api/allocations", base);
  return `curl -X POST ${url} \\\n  -H 'Content-Type: application/json' \\\n  -d '${json({ requirements, ttl: 600 }).replaceAll("'", "'\\''")}'`;
}

function asPython(base, requirements) {
  return [
    "import asyncio",
    "",
    "from rpn.client.pool import AsyncPool",
    "from rpn.model import Requirements",
    "",
    "",
    "async def main() -> None:",
    `    async with AsyncPool("${new URL(base).origin}") as pool:`,
    `        allocation = await pool.request(Requirements(**${python(requirements)}))`,
    "        print(allocation.fulfilled, allocation.allocated_devices)",
    "",
    "",
    "asyncio.run(main())",
  ].join("\n");
}

function asMessage(_, requirements) {
  return json({ type: "resource_request", deviceId: "my-device", requirements }, 2);
}

export const COPIES = { curl: asCurl, Python: asPython, JSON: asMessage };
