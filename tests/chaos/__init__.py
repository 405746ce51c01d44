"""What the pool survives."""
