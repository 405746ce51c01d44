"""How fast resource requests are answered, from WebSocket to WebSocket."""
