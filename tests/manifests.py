"""Manifests of packs of the user's own, and the schema that tells what may stand in them."""

from __future__ import annotations


def manifest(file: str = "own.onnx", *lines: str, detector: str = 'from = "classic"') -> str:
    """A pack "own" with one embedder; ``lines`` stand before its tables, or replace some there.

    ``detector``: what its table says.
    """
    head = {"name": '"own"', "version": "1"}
    embedder = {
        "size": "150",
        "template": '"arcface"',
        "order": '"RGB"',
        "mean": "[0, 0, 0]",
        "scale": "1",
        "dimensions": "128",
    }
    for line in lines:
        key, _, value = line.partition(" = ")
        (embedder if key in embedder else head)[key] = value
    return "\n".join([
        *_written(head), "[detector]", detector,
        "[embedder]", f'file = "{file}"', *_written(embedder), "",
    ])  # fmt: skip


def _written(values: dict[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in values.items()]
