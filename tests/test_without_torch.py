"""What works where PyTorch and others are not installed: restoring by a graph, and clear errors for all else."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from video_clips import make_clip, pattern

from restorekit.inference.export import export
from restorekit.media.decode import read_image
from restorekit.pipeline.files import restore_folder

ROOT = Path(__file__).parent.parent
LEFT_OUT = {"safetensors", "scikit-image", "scipy", "torch"}
COMMAND = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("safetensors", "scipy", "skimage", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from restorekit.cli.app import main
sys.argv = ["restorekit", *sys.argv[1:]]
main()
"""


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that finds neither PyTorch nor what else `LEFT_OUT` names."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


@pytest.mark.parametrize(
    ("command", "model", "weights", "runtime"),
    [
        ("deblur", "gggan-lite", "photo", "onnx"),
        ("deblur", "gggan-lite", "photo", "openvino"),
        ("sr", "espcn", "x2", "onnx"),
    ],
)
def test_a_folder_is_restored_by_a_graph(
    command: str, model: str, weights: str, runtime: str, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")  # checks what is exported
    pytest.importorskip(runtime.replace("onnx", "onnxruntime"))
    export(tmp_path / "net.onnx", model=model, weights=weights)
    expected = restore_folder([folder], tmp_path / "expected", model=model, weights=weights)
    assert expected.count("done") == 3
    asked = ["--model", model, "--weights", tmp_path / "net.onnx", "--backend", runtime]
    ran = run(command, folder, "-o", tmp_path / "out", *asked)
    assert ran.returncode == 0, ran.stderr
    for result in expected.results:
        restored = read_image(tmp_path / "out" / result.source.relative_to(folder)).pixels.astype(int)
        assert np.abs(restored - read_image(result.output).pixels).max() <= 1  # 1e-4 of the range, rounded


def test_a_graph_that_ships_restores_images_and_videos(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make_clip(folder / "clip.mp4", frames=[pattern(index) for index in range(2)])
    ran = run("sr", folder, "-o", tmp_path / "out", "--precision", "int8", "--backend", "onnx")
    assert ran.returncode == 0, ran.stderr
    for path in ("a.png", "deeper/b.png", "deeper/ü c.png", "clip.mp4"):
        assert (tmp_path / "out" / path).is_file()


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the README is not beside an installed package")
def test_the_readme_names_what_is_to_be_installed_by_hand() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split("[><=]", requirement)[0] for requirement in needed} - LEFT_OUT
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.search(r"pip install --no-deps restorekit && pip install (.*)", readme)
    assert told is not None
    assert told[1].split() == sorted(names | {"onnx", "onnxruntime"})


@pytest.mark.parametrize(
    "command",
    [
        ["deblur", "in", "-o", "out"],
        ["deblur", "in", "-o", "out", "--kernel", "psf.png"],
        ["sr", "in", "-o", "out"],
        ["export", "-o", "net.onnx"],
        ["train", "--data", "in", "--out", "run"],
        ["benchmark", "--data", "in", "--protocol", "pairs", "--model", "gggan", "-o", "out"],
        ["models"],
    ],
)
def test_what_needs_torch_says_that_it_is_missing(command: list[str], folder: Path, tmp_path: Path) -> None:
    ran = run(*command, cwd=tmp_path)
    assert ran.returncode == 2, ran.stderr
    assert "needs PyTorch, which is not installed. Run `pip install restorekit`" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "run"}


def test_doctor_tells_that_torch_is_missing() -> None:
    ran = run("doctor")
    assert ran.returncode == 0, ran.stderr
    assert "PyTorch       not installed\n" in ran.stdout
