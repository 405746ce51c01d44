"""One part at a time, mostly without I/O."""
