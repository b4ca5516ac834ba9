"""`restorekit deblur --kernel` and `restorekit kernel estimate` on real files."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.cli.console import with_flags
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.errors import ExitCode, UsageError
from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr

PSF = psf.linear(7, 30)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == ExitCode.OK
    return result.output


@pytest.fixture
def pair(tmp_path: Path, photo: np.ndarray) -> Path:
    write_image(Image(photo), tmp_path / "sharp.png")
    write_image(Image(convolve(photo, PSF)), tmp_path / "blurred.png")
    return tmp_path


def test_a_psf_is_estimated_told_and_shown(pair: Path) -> None:
    said = run("kernel", "estimate", pair / "blurred.png", pair / "sharp.png", "-o", pair / "psf.tif")
    assert "psf.tif.png shows it" in said
    told = run(
        *("deblur", pair / "blurred.png", "-o", pair / "out", "--kernel", pair / "psf.tif", "--device", "cpu"),
        *("--blur-out", pair / "seen"),
    )
    assert "tv on cpu, fp32." in told
    truth = read_rgb8(pair / "sharp.png")
    gain = psnr(read_rgb8(pair / "out/blurred.png"), truth) - psnr(read_rgb8(pair / "blurred.png"), truth)
    assert gain > 4
    assert {path.name for path in (pair / "seen").glob("*.*")} >= {"blurred.png.blur.tif", "blurred.png.blur.png"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--model", "wiener"], "wiener must be told the blur. Give --kernel, or"),
        (
            ["--model", "gggan-lite", "--kernel", "PSF"],
            "hyper-laplacian, kim-lee-2014, richardson-lucy, ",
        ),
        (["--blur-out", "seen"], "Give --kernel"),
    ],
)
def test_what_is_missing_or_too_much_is_named_by_its_flag(options: list[str], word: str, pair: Path) -> None:
    np.save(pair / "psf.npy", PSF)
    given = [str(pair / "psf.npy") if option == "PSF" else option for option in options]
    with pytest.raises(UsageError) as caught:
        run("deblur", pair / "blurred.png", "-o", pair / "out", *given)
    assert word in with_flags(str(caught.value))
