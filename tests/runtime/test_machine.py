"""Device, precision, memory and what is told of them."""

import importlib.metadata
import time
from pathlib import Path

import pytest
import torch

from restorekit.errors import UsageError
from restorekit.runtime import memory, precision, provenance
from restorekit.runtime.device import choose_device
from restorekit.runtime.precision import choose_dtype, name_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta", "", "cpu:x"])
def test_an_unknown_device_is_a_usage_error_that_names_it(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}'"):
        choose_device(name)


def test_auto_is_a_device_that_computes() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(("gain", "chosen"), [(2.0, torch.bfloat16), (0.5, torch.float32)])
def test_training_on_a_cpu_takes_the_faster_type_as_measured(
    gain: float, chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "bf16_speed_up", lambda: gain)
    assert choose_dtype("auto", CPU, "training") == chosen
    assert choose_dtype("auto", CPU, "inference") == torch.float32
    assert choose_dtype("auto", CPU, "training", half_precision=False) == torch.float32


def test_the_measurement_is_a_ratio_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.01 < precision.bf16_speed_up.__wrapped__() < 100
    ticks = iter(range(1000))
    # Every step takes one tick: neither type is faster.
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    assert precision.bf16_speed_up.__wrapped__() == 1


def test_a_precision_that_is_asked_for_is_given_or_refused() -> None:
    assert choose_dtype("bf16", CPU) == torch.bfloat16
    assert choose_dtype("fp32", CPU, half_precision=False) == torch.float32
    with pytest.raises(UsageError, match="half precision"):
        choose_dtype("fp16", CPU, half_precision=False)
    assert [name_of(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)] == ["fp32", "bf16", "fp16"]


def test_memory_is_the_machines_or_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory.total_memory()
    assert 1 << 28 < machine < 1 << 50
    monkeypatch.setattr(memory, "_container_limits", lambda: [1 << 29, 1 << 62])
    assert memory.total_memory.__wrapped__() == 1 << 29


def test_versions_are_told_of_whatever_distribution_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def headless(name: str) -> str:
        if name == "opencv-python-headless":
            return "4.12.1"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", headless)
    told = provenance.environment()
    assert told["opencv"] == "4.12.1"
    assert "torch" not in told
    assert told["cpu"]


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert provenance.digest({"a": 1, "b": [1, 2]}) == provenance.digest({"b": (1, 2), "a": 1})
    assert provenance.digest({"a": 1}) != provenance.digest({"a": 2})


def test_the_processor_s_instructions_and_free_memory_are_read_where_linux_tells_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = "model name\t: A\nflags\t\t: fpu sse2 avx2 avx512_vnni amx_int8 sse4_2\nMemTotal: 9 kB\nMemAvailable:   2048 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: told)
    assert provenance.cpu_features() == ["amx_int8", "avx2", "avx512_vnni", "sse4_2"]
    assert memory.free_memory() == 2 << 20
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor\t: 0\nFeatures\t: fp asimd sve i8mm\n")
    assert provenance.cpu_features() == ["asimd", "i8mm", "sve"]
    assert memory.free_memory() is None
