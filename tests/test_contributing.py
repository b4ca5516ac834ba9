"""CONTRIBUTING.md adds a system; here its steps are followed in a copy of the package."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import restorekit
from restorekit.media.encode import write_image
from restorekit.media.image import Image

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "CONTRIBUTING.md"
pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="CONTRIBUTING.md is not beside an installed package")


def blocks() -> dict[str, str]:
    """Code blocks of the guide by the comment in front of them."""
    text = GUIDE.read_text(encoding="utf-8")
    return dict(re.findall(r"<!-- (.+?) -->\n```\w+\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def copy(tmp_path: Path, photo: np.ndarray) -> Path:
    """A copy of the project with some images, in which files can be added."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(restorekit.__file__).parent, folder / "restorekit", ignore=ignored)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    for name in ("pyproject.toml", "weights.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("photos/a.png", "photos/b.png", "small/c.png"):
        write_image(Image(np.roll(photo, len(name), axis=1)), folder / name)
    return folder


def run(folder: Path, command: str) -> str:
    """Run a command in a copy of the project, which must succeed. Returns what it prints."""
    ran = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def bundle(folder: Path, weights: Path) -> None:
    """Give the trained weights the guide's place and entry in the manifest."""
    data = weights.read_bytes()
    (folder / "restorekit" / "weights" / "fsrcnn-x4.safetensors").write_bytes(data)
    entry = blocks()["entry of weights.toml"].replace("SHA256", hashlib.sha256(data).hexdigest())
    entry = entry.replace("size = 1\n", f"size = {len(data)}\n")
    bundled, remote = (folder / "weights.toml").read_text(encoding="utf-8").split("[[remote]]", 1)
    manifest = f"{bundled}{entry}\n[[remote]]{remote}"
    for place in {folder / "weights.toml", *folder.glob("restorekit/weights.toml")}:  # the latter where it is installed
        place.write_text(manifest, encoding="utf-8")


@pytest.mark.slow
def test_the_walk_adds_a_system_that_tests_find_and_commands_use(copy: Path) -> None:
    files = {name.removeprefix("file: "): code for name, code in blocks().items() if name.startswith("file: ")}
    assert len(files) == 2
    for name, code in files.items():
        (copy / name).write_text(code, encoding="utf-8")
    swept = run(copy, "pytest -k fsrcnn tests/models/test_sweep.py tests/models/test_fsrcnn.py --verbosity=0")
    assert re.search(r"\b1\d passed", swept)
    assert "12,809" in run(copy, "restorekit models show fsrcnn")
    run(copy, "restorekit train --data photos --out run --model fsrcnn --steps 1 --batch 1 --crop 64")
    run(copy, "restorekit sr small -o large --model fsrcnn --weights run/weights.safetensors --device cpu")
    bundle(copy, copy / "run" / "weights.safetensors")
    assert re.search(r"fsrcnn.+x4.+ok", run(copy, "restorekit models verify fsrcnn"))
    run(copy, "restorekit sr small -o again --model fsrcnn --device cpu")
    assert (copy / "again" / "c.png").read_bytes() == (copy / "large" / "c.png").read_bytes()


def test_the_house_of_the_guide_is_the_house_of_the_contracts() -> None:
    drawn: dict[int, set[str]] = {}
    for floor, room in re.findall(r"^\| (\d) \| `(\w+)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE):
        drawn.setdefault(int(floor), set()).add(room)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [set(layer.split(" | ")) for layer in project["tool"]["importlinter"]["contracts"][0]["layers"]]
    assert layers[0] == {"__main__"}  # above all rooms
    assert drawn[0] == layers[-1] - {"_version"}
    assert [drawn[floor] for floor in range(7, 0, -1)] == layers[1:-1]
