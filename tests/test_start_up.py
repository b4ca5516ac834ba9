"""What is imported before there is work: a prompt must answer at once, and torch alone takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restorekit.media.encode import write_image
from restorekit.media.image import Image

HEAVY = {"cv2", "numpy", "scipy", "skimage", "torch"}
COMMAND = """
import sys
from restorekit.cli.app import main
sys.argv = ["restorekit", *sys.argv[1:]]
try:
    main()
finally:
    print("IMPORTED", *sys.modules)
"""


def imported(code: str, *arguments: str, **environment: str) -> set[str]:
    """Run code in a new process. Returns the names of all modules it has imported at its end."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    return set(ran.stdout.splitlines()[-1].removeprefix("IMPORTED ").split())


def test_import_restorekit_loads_nothing_heavy() -> None:
    modules = imported("import sys, restorekit; print('IMPORTED', *sys.modules)")
    assert "restorekit" in modules
    assert not modules & (HEAVY | {"pydantic", "typer", "rich"})


def test_help_loads_nothing_heavy() -> None:
    modules = imported(COMMAND, "--help")
    assert "restorekit.cli.app" in modules
    assert not modules & (HEAVY | {"pydantic"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["no-such-command"],
        ["deblur", "--no-such-option"],
        *(
            [command, "--help"]
            for command in (
                *("benchmark", "deblur", "demo", "doctor", "export"),
                *("models", "quantize", "sr", "synth-blur", "train"),
            )
        ),
    ],
)
def test_answers_without_work_load_nothing_heavy(arguments: list[str]) -> None:
    # pydantic may be there: typer itself converts parameters with it.
    assert not imported(COMMAND, *arguments) & HEAVY


@pytest.mark.parametrize("typed", ["restorekit ", "restorekit deblur --", "restorekit deblur --model gg"])
def test_completion_loads_nothing_heavy(typed: str) -> None:
    words = typed.split(" ")
    modules = imported(COMMAND, _RESTOREKIT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    assert "typer.completion" in modules
    assert not modules & HEAVY


def test_an_image_by_a_graph_waits_for_neither_torch_nor_ffmpeg(photo: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    write_image(Image(photo[:32, :32]), tmp_path / "a.png")
    asked = ["sr", tmp_path / "a.png", "-o", tmp_path / "out", "--precision", "int8", "--backend", "onnx"]
    modules = imported(COMMAND, *map(str, asked))
    assert (tmp_path / "out" / "a.png").is_file()
    assert "onnxruntime" in modules
    assert not modules & {"av", "scipy", "skimage", "tifffile", "torch"}


@pytest.mark.slow
def test_an_image_by_pytorch_waits_for_no_other_large_library(photo: np.ndarray, tmp_path: Path) -> None:
    write_image(Image(photo[:32, :32]), tmp_path / "a.png")
    asked = ["deblur", tmp_path / "a.png", "-o", tmp_path / "out", "--backend", "torch"]
    modules = imported(COMMAND, *map(str, asked))
    assert (tmp_path / "out" / "a.png").is_file()
    assert "torch" in modules
    assert not modules & {"av", "onnxruntime", "scipy", "skimage", "tifffile"}
