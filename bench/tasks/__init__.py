"""How many tasks that do nothing a pool runs in a second, and how soon one comes back."""
