"""The tests, from single functions to whole pools that lose processes."""
