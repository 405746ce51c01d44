"""The Resource Pooling Network: the words its processes share, and the library users import."""

__version__ = "0.1.0"
