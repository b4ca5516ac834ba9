"""`cv2.resize(picture, size, cv2.INTER_CUBIC)` binds the flag to `dst` and silently interpolates linearly."""

import ast
from pathlib import Path

import pytest

import restorekit

ROOT = Path(restorekit.__file__).parent


def positional(code: str) -> list[int]:
    """Lines that call a resize of OpenCV with more than the picture and its size by position, or without a kind."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "resize":
            owner = node.func.value
            named = {keyword.arg for keyword in node.keywords}
            if (
                isinstance(owner, ast.Name)
                and owner.id == "cv2"
                and (len(node.args) > 2 or "interpolation" not in named)
            ):
                found.append(node.lineno)
    return found


def test_the_check_sees_the_mistake() -> None:
    assert positional("cv2.resize(a, size, cv2.INTER_CUBIC)") == [1]
    assert positional("cv2.resize(a, size)") == [1]
    assert positional("cv2.resize(a, size, interpolation=cv2.INTER_CUBIC)") == []


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_opencv_gets_its_interpolation_by_name(path: Path) -> None:
    assert positional(path.read_text(encoding="utf-8")) == []
