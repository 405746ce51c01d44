"""The same broadcast on other servers, written as one would at first: no pool, no store, no list."""
