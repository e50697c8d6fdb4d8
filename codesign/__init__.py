"""Which memory, chip, count and layout serve a model best under a budget, with proof."""

__version__ = "0.1.0"
