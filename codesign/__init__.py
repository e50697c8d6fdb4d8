"""Which memory, chip, count and layout serve a model best under a budget, with proof."""

from codesign.facts.version import __version__

__all__ = ["__version__"]
