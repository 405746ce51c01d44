"""How many requests a second one scheduler decides, from the stream to the commit."""
