"""More than one server: what a failover, a moved slot and a silent replica cost."""
