"""Whole processes, as their users start them."""
