"""The gateway: holds the sockets, tells Redis what clients say, tells clients what the pool says."""
