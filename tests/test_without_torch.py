"""What works where PyTorch is not installed: restoring images by an exported graph, and clear errors for all else."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restorekit.inference.export import export
from restorekit.media.decode import read_image
from restorekit.pipeline.files import restore_folder

COMMAND = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
from restorekit.cli.app import main
sys.argv = ["restorekit", *sys.argv[1:]]
main()
"""


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that finds no PyTorch."""
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
    assert "needs PyTorch, which is not installed. Run `pip install torch`" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "run"}


def test_doctor_tells_that_torch_is_missing() -> None:
    ran = run("doctor")
    assert ran.returncode == 0, ran.stderr
    assert "PyTorch       not installed\n" in ran.stdout
