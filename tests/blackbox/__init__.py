"""API.md, clause by clause, against a running pool."""
