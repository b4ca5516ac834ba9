import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from restorekit import metrics
from restorekit.errors import UsageError
from restorekit.metrics import METRICS, SSIM_VARIANTS

SHARP = np.ascontiguousarray(data.chelsea()[:200, :240])
RESTORED = SHARP.copy()
RESTORED[:, ::2] += 3


def test_the_order_is_that_of_reports() -> None:
    assert list(METRICS) == ["psnr", "ssim", "mse", "ms-ssim", "lpips", "niqe"]
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("metric", [*METRICS.values(), *SSIM_VARIANTS.values()], ids=lambda metric: metric.name)
def test_a_metric_pickles(metric: metrics.Metric) -> None:
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_direction_says_which_score_is_better() -> None:
    assert {name for name, metric in METRICS.items() if metric.higher_is_better} == {"psnr", "ssim", "ms-ssim"}
    assert METRICS["psnr"].better(30.0, math.inf) == math.inf
    assert METRICS["niqe"].better(3.0, 4.0) == 3.0


def test_a_metric_of_the_protocol_gets_its_colour_and_border() -> None:
    for name in ("psnr", "ssim", "mse", "ms-ssim"):
        function = {"psnr": metrics.psnr, "ssim": metrics.ssim, "mse": metrics.mse, "ms-ssim": metrics.ms_ssim}[name]
        expected = function(RESTORED, SHARP, colour="y", border=4)
        assert METRICS[name].measure(RESTORED, SHARP, colour="y", border=4) == expected
        assert expected != function(RESTORED, SHARP)


def test_ssim_variants_differ_and_have_one_name() -> None:
    scores = {variant: metric.measure(RESTORED, SHARP) for variant, metric in SSIM_VARIANTS.items()}
    assert scores["wang"] == metrics.ssim(RESTORED, SHARP)
    assert scores["skimage"] == metrics.ssim_skimage(RESTORED, SHARP)
    assert scores["global"] == metrics.ssim_global(RESTORED, SHARP)
    assert {metric.name for metric in SSIM_VARIANTS.values()} == {"ssim"}


def test_a_metric_without_reference_does_not_look_at_the_sharp_image() -> None:
    niqe = METRICS["niqe"]
    assert not niqe.needs.reference
    assert niqe.measure(RESTORED, SHARP) == niqe.measure(RESTORED, np.zeros_like(SHARP))


def test_a_metric_that_needs_weights_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lpips needs its weights"):
        METRICS["lpips"].measure(RESTORED, SHARP)
    assert {name for name, metric in METRICS.items() if metric.load_weights} == {"lpips"}


@pytest.mark.parametrize("metric", [*METRICS.values(), *SSIM_VARIANTS.values()], ids=lambda metric: metric.name)
def test_the_stated_smallest_side_is_the_smallest_that_is_measured(metric: metrics.Metric) -> None:
    if metric.needs.weights:
        pytest.skip("measured with its weights in test_lpips")
    side = metric.needs.min_side
    assert math.isfinite(metric.measure(RESTORED[:side, :side], SHARP[:side, :side]))
    if side > 1:
        with pytest.raises(UsageError, match=f"at least {side} px"):
            metric.measure(RESTORED[: side - 1], SHARP[: side - 1])


def test_importing_the_metrics_does_not_import_torch() -> None:
    script = (
        "import sys, restorekit.metrics; print([name for name in ('torch', 'skimage', 'scipy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
