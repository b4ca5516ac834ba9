"""What a user pastes into a report."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.inference.backends.choice import Choice

CHOICE = Choice(
    "gggan",
    "photo",
    "fp32",
    "onnx",
    (64, 32),
    {"torch": 0.25, "onnx": 0.1},
    {"torch": "1", "onnx": "2"},
    "a processor",
    3,
    "cpu",
)


def doctor() -> dict[str, str]:
    """What the command prints, by topic."""
    ran = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert ran.exit_code == 0
    return {line[:14].rstrip(): line[14:] for line in ran.stdout.splitlines()}


@pytest.mark.slow
def test_doctor_tells_of_the_cache_and_of_what_auto_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    assert doctor()["cache"] == f"{tmp_path}; empty"
    for folder in ("backends", "weights"):
        (tmp_path / folder / "deeper").mkdir(parents=True)
    (tmp_path / "weights" / "a").write_bytes(bytes(1_500_000))
    (tmp_path / "weights" / "deeper" / "b").write_bytes(bytes(600_000))
    (tmp_path / "backends" / "c.json").write_text(json.dumps(asdict(CHOICE)))
    told = doctor()
    assert told["cache"] == f"{tmp_path}; backends 0.0 MB; weights 2.1 MB"
    assert told["auto"] == "gggan, photo in fp32: onnx is taken (torch 250 ms, onnx 100 ms for 64x32 px)"


@pytest.mark.slow
def test_doctor_names_runtimes_that_are_missing_or_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise OSError('libopenvino.so:\\n wrong ELF class')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    told = doctor()
    assert told["ONNX Runtime"] == "not installed"
    assert told["OpenVINO"] == "broken (OSError: libopenvino.so: wrong ELF class)"
    assert "--device auto is c" in told["PyTorch"]
    assert "libx264" in told["FFmpeg"].split()
    assert "h264" not in told["FFmpeg"].split()  # a decoder
