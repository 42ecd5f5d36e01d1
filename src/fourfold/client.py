"""The Python SDK: `from fourfold.client import Client`."""

from fourfold.application.client import Answer, Client

__all__ = ["Answer", "Client"]
