"""The scripts in perf/ run and remember what they measured. How fast anything is, no test says."""

import importlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PERF = Path(__file__).parent.parent / "perf"
pytestmark = pytest.mark.skipif(not PERF.is_dir(), reason="perf/ is not beside an installed package")


RUNTIMES = sum(find_spec(package) is not None for package in ("onnxruntime", "openvino", "ncnn"))
"""That are installed beside PyTorch."""
GRAPHS = sum(find_spec(package) is not None for package in ("onnxruntime", "openvino"))
"""Of these, those that run graphs."""


def run(history: Path, script: str, *arguments: str) -> list[dict[str, object]]:
    """Run a script with one round. Returns the lines it appended to the history."""
    command = [sys.executable, str(PERF / script), *arguments, "--rounds", "1", "--history", str(history)]
    subprocess.run(command, check=True, capture_output=True)
    return [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "cases"),
    [
        pytest.param(
            "backends_speed.py",
            ["compact", "--size", "32", "32"],
            RUNTIMES + GRAPHS + 1,
            marks=pytest.mark.skipif(not RUNTIMES or not find_spec("onnx"), reason="there is only PyTorch"),
        ),
        pytest.param(
            "upscaling_speed.py",
            ["--images", "2", "--size", "32"],
            1 + GRAPHS + bool(find_spec("openvino")),
            marks=pytest.mark.skipif(not find_spec("ncnn"), reason="ncnn is not installed"),
        ),
        ("blur_speed.py", [], 1),
        ("scene_speed.py", [], 1),
        ("deconvolution_speed.py", [], 6),
        ("data_loading.py", ["espcn", "--steps", "2", "--device", "cpu"], 1),
        ("inference_speed.py", ["gggan-lite", "--size", "64", "48"], 2),
        ("metrics_speed.py", [], 2),
        pytest.param(
            "start_up.py",
            [],
            5,
            marks=pytest.mark.skipif(
                not (find_spec("onnx") and find_spec("onnxruntime")), reason="there are no graphs"
            ),
        ),
        ("systems_speed.py", ["espcn", "gggan-lite", "--size", "32"], 2),
        ("end_to_end_speed.py", ["gggan-lite", "compact", "--frames", "3", "--images", "2", "--divide", "10"], 14),
        pytest.param(
            "end_to_end_speed.py",
            ["compact", "--frames=3", "--images=2", "--divide=10", "--backend=openvino", "--precision=int8"],
            3,
            marks=pytest.mark.skipif(not (find_spec("onnx") and find_spec("openvino")), reason="there is no OpenVINO"),
        ),
        (
            "gpu_speed.py",
            ["espcn", "--device=cpu", "--precisions=bf16", "--batches=1", "--divide=10", "--images=2", "--frames=3"],
            15,
        ),
        pytest.param(
            "memory.py",
            ["--divide", "40"],
            2,
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows does not count peaks this way"),
        ),
    ],
)
def test_every_script_appends_a_line_for_each_ratio(
    script: str, arguments: list[str], cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path / "cache"))
    lines = run(tmp_path / "history.jsonl", script, *arguments)
    assert len(lines) == len({line["case"] for line in lines}) == cases
    for line in lines:
        assert line["script"] == script.removesuffix(".py")
        assert line["ratio"] > 0
        assert {"date", "machine", "versions", "rounds"} < set(line)


def test_a_ratio_is_the_median_of_the_rounds_and_above_1_where_ours_takes_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PERF))
    monkeypatch.setattr(sys, "argv", ["some/script.py"])
    record = importlib.import_module("common").record
    history = tmp_path / "history.jsonl"
    for case in ("first", "second"):
        record(history, case, {"theirs": [6.0, 8.0, 100.0], "ours": [2.0, 2.0, 1.0]}, "theirs", "ours")
    lines = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    assert [line["case"] for line in lines] == ["first", "second"]
    for line in lines:  # the ratios are 3, 4 and 100
        assert (line["script"], line["ratio"], line["rounds"]) == ("script", 4.0, 3)
        assert line["s"] == {"theirs": 8.0, "ours": 2.0}
