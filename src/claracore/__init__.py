"""One port for every local model."""

__all__ = ["__version__"]

try:
    from claracore._version import __version__
except ModuleNotFoundError:  # the source as git has it, neither built nor installed
    __version__ = "0.0"
