"""The scheduler: reads requests and tasks from Redis, decides, and commits what it decided."""
