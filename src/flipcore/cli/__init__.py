"""The command line."""

from flipcore.cli.app import main

__all__ = ["main"]
