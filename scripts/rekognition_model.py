"""Write ``src/facelabel/rekognition/model.json``: what Amazon's own model says of its face calls.

::

    python scripts/rekognition_model.py            # after an update of botocore
    python scripts/rekognition_model.py --check    # 1 if the file is not what botocore says

Constraints and the declared errors come from botocore; its documentation is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

TARGET = Path(__file__).parents[1] / "src/facelabel/rekognition/model.json"
OPERATIONS = (
    "AssociateFaces",
    "CompareFaces",
    "CreateCollection",
    "CreateUser",
    "DeleteCollection",
    "DeleteFaces",
    "DeleteUser",
    "DescribeCollection",
    "DetectFaces",
    "DisassociateFaces",
    "IndexFaces",
    "ListCollections",
    "ListFaces",
    "ListTagsForResource",
    "ListUsers",
    "SearchFaces",
    "SearchFacesByImage",
    "SearchUsers",
    "SearchUsersByImage",
    "TagResource",
    "UntagResource",
)
_KEPT = ("type", "required", "min", "max", "pattern", "enum")


def generated() -> str:
    """The file's text."""
    service = Loader().load_service_model("rekognition", "service-2")
    model = {
        "botocore": botocore.__version__,
        "operations": {name: _operation(service, name) for name in OPERATIONS},
        "others": sorted(set(service["operations"]) - set(OPERATIONS)),
        "shapes": _shapes(service),
    }
    return json.dumps(model, indent=1, ensure_ascii=False) + "\n"


def _operation(service: dict[str, Any], name: str) -> dict[str, Any]:
    operation = service["operations"][name]
    return {
        "input": operation["input"]["shape"],
        "output": operation["output"]["shape"],
        "errors": [error["shape"] for error in operation["errors"]],
    }


def _shapes(service: dict[str, Any]) -> dict[str, Any]:
    """Every shape that the face operations are made of, by name."""
    found: dict[str, Any] = {}
    waiting = [service["operations"][name][side]["shape"]
               for name in OPERATIONS for side in ("input", "output")]  # fmt: skip
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _shape(service["shapes"][name])
            waiting += _parts(found[name])
    return dict(sorted(found.items()))


def _shape(shape: dict[str, Any]) -> dict[str, Any]:
    kept = {key: shape[key] for key in _KEPT if key in shape}
    if "members" in shape:
        kept["members"] = {name: member["shape"] for name, member in shape["members"].items()}
    for part in ("member", "key", "value"):
        if part in shape:
            kept[part] = shape[part]["shape"]
    return kept


def _parts(shape: dict[str, Any]) -> list[str]:
    single = [shape[part] for part in ("member", "key", "value") if part in shape]
    return [*shape.get("members", {}).values(), *single]


def main() -> int:
    """Write or compare."""
    if "--check" in sys.argv[1:]:
        return int(TARGET.read_text("utf-8") != generated())
    TARGET.write_text(generated(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
