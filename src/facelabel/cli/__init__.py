"""The command line."""

from __future__ import annotations

from facelabel.cli.main import cli, commands, main

__all__ = ["cli", "commands", "main"]
