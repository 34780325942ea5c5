"""scprism: interpretable autoencoders that transfer to cells they have never seen."""

from scprism._version import __version__

__all__ = ["__version__"]
