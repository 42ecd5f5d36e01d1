"""Fourfold: a company's own language models, in production and traceable, on one machine."""

__version__ = "0.1.0"
