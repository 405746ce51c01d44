"""How fast everybody sees everything: our gateways beside other servers, under the same load."""
