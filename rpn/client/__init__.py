"""The WebSocket's other end: be a device of a pool, or use one."""
