"""One port for every local model."""

__version__ = "0.1.0"
