"""`restorekit sr` on real files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from tiff_files import twelve_bit_tiff
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.errors import ExitCode, RestorekitError
from restorekit.inference.image import Size
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image, Metadata
from restorekit.weights.manifest import load_manifest

runner = CliRunner()


@pytest.fixture
def small(tmp_path: Path, photo: np.ndarray) -> Path:
    """Colour, 16-bit grey, alpha with resolution, one pixel."""
    root = tmp_path / "small"
    write_image(Image(photo[:20, :30]), root / "colour.png")
    write_image(Image(photo[:17, :11, :1].astype(np.uint16) * 257), root / "deeper" / "grey16.tif")
    alpha = np.tile(np.arange(16, dtype=np.uint8) * 16, (12, 1))
    write_image(Image(photo[:12, :16], alpha, Metadata(resolution=(300.0, 300.0))), root / "alpha.png")
    write_image(Image(photo[:1, :1]), root / "one.png")
    return root


def run(*arguments: object) -> int:
    return runner.invoke(app, ["sr", *map(str, arguments), "--device", "cpu"], catch_exceptions=False).exit_code


def test_everything_is_enlarged_and_kept(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(small, "-o", out, "--model", "espcn", "--scale", 3) == ExitCode.OK
    assert read_image(out / "colour.png").size == (60, 90)
    grey = read_image(out / "deeper" / "grey16.tif").pixels
    assert (grey.shape, grey.dtype) == ((51, 33, 1), np.uint16)
    picture = read_image(out / "alpha.png")
    assert picture.alpha is not None
    assert picture.alpha.shape == (36, 48)
    assert (np.diff(picture.alpha[18].astype(int)) >= -1).all()  # the ramp is still one
    assert picture.metadata.resolution == pytest.approx((300, 300), rel=0.01)
    assert read_image(out / "one.png").size == (3, 3)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert run(small, "-o", out, "--model", "espcn", "--scale", 3) == ExitCode.OK
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == stamps  # done already


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_of_twelve_bits_is_enlarged_as_its_values_in_sixteen(tmp_path: Path, channels: int) -> None:
    pixels = np.arange(9 * 7 * channels, dtype=np.uint16).reshape(9, 7, channels).squeeze() * 4095 // (63 * channels)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "12.tif").write_bytes(twelve_bit_tiff("<", pixels, {}))
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(
        tmp_path / "in" / "16.tif", np.rint(pixels / 4095 * 65535).astype(np.uint16), photometric=photometric
    )
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--model", "bicubic") == ExitCode.OK
    twelve, sixteen = (read_image(tmp_path / "out" / f"{bits}.tif").pixels for bits in (12, 16))
    assert twelve.shape == (36, 28, channels)
    assert np.array_equal(twelve, sixteen)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (["--model", "bicubic", "--outscale", 2.7], (54, 81)),
        (["--model", "bicubic", "--size", "50x41"], (41, 50)),
        (["--model", "bicubic", "--scale", 6], (120, 180)),
        (["--model", "espcn", "--outscale", 0.5], (10, 15)),
        (["--model", "espcn", "--outscale", 9], (180, 270)),
        (["--model", "compact", "--scale", 2], (40, 60)),
        ([], (80, 120)),
    ],
)
def test_any_size(small: Path, tmp_path: Path, arguments: list[object], size: tuple[int, int]) -> None:
    assert run(small / "colour.png", "-o", tmp_path / "out", *arguments) == ExitCode.OK
    assert read_image(tmp_path / "out" / "colour.png").size == size


def test_variants_of_interpolation(small: Path, tmp_path: Path) -> None:
    source, size = cv2.imread(str(small / "colour.png")), (60, 40)
    for variant, flag in (
        ("cubic-opencv", cv2.INTER_CUBIC),
        ("linear", cv2.INTER_LINEAR),
        ("nearest", cv2.INTER_NEAREST),
    ):
        out = tmp_path / variant
        chosen = ("--config", f"variant={variant}", "--config", "border=replicate")
        assert run(small / "colour.png", "-o", out, "--model", "bicubic", "--scale", 2, *chosen) == ExitCode.OK
        found = cv2.imread(str(out / "colour.png")).astype(int)
        assert np.abs(found - cv2.resize(source, size, interpolation=flag)).max() <= 1


def test_another_size_is_another_result(small: Path, tmp_path: Path) -> None:
    for factor in (2, 3):
        assert run(small / "colour.png", "-o", tmp_path / "out", "--model", "bicubic", "--scale", factor) == ExitCode.OK
        assert read_image(tmp_path / "out" / "colour.png").size == (20 * factor, 30 * factor)


def test_bicubic_is_the_exact_one(small: Path, tmp_path: Path) -> None:
    run(small / "colour.png", "-o", tmp_path / "out", "--model", "bicubic", "--scale", 2)
    source, found = (
        cv2.imread(str(path)).astype(float) for path in (small / "colour.png", tmp_path / "out" / "colour.png")
    )
    # The second derivative of a ramp is zero: inside, means of 2x2 pixels stay close to the source.
    means = cv2.resize(found, source.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(means - source)[3:-3, 3:-3].mean() < 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scale", 2, "--outscale", 2.5], "exclude"),
        (["--model", "bicubic", "--config", "wings=2"], "wings"),
        (["--model", "bicubic", "--config", "wings"], "KEY=VALUE"),
        (["--size", "12by9"], "1920x1080"),
        (["--outscale", -1], "cannot have that size"),
        (["--outscale", 0], "cannot have that size"),
        (["--weights", "x4"], "--model"),
        (["--model", "gggan-lite"], "enlarge"),
        (["--model", "espcn", "--weights", "x4", "--scale", 2], "enlarge by 4, not by 2"),
    ],
)
def test_what_makes_no_sense_is_said(small: Path, tmp_path: Path, arguments: list[object], word: str) -> None:
    with pytest.raises(RestorekitError, match=word):
        run(small, "-o", tmp_path / "out", *arguments)


def test_the_best_weights_are_chosen_by_scale() -> None:
    assert {scale: load_manifest().choose_upscaler(scale).model for scale in (1.5, 2, 3, 4, 16)}.keys() == {
        1.5,
        2,
        3,
        4,
        16,
    }
    assert load_manifest().choose_scale("espcn", 2.2) == 3
    assert load_manifest().choose_scale("espcn", 5) == 4
    assert load_manifest().choose_scale("bicubic", 2.2) == 3
    assert Size(factor=2.5).of(3, 5, 4) == (8, 13)  # half up


def test_a_tile_that_lies_mostly_in_overlaps_is_told_once_with_a_better_one(tmp_path: Path, photo: np.ndarray) -> None:
    for name in ("a.png", "b.png"):
        write_image(Image(photo[:20, :20]), tmp_path / "in" / name)

    def told(tile: int) -> str:
        arguments = ["sr", str(tmp_path / "in"), "-o", str(tmp_path / f"{tile}"), "--model", "espcn", "--device", "cpu"]
        return runner.invoke(app, [*arguments, "--tile", str(tile)], env={"COLUMNS": "300"}).output

    # Cores of 4 px with 4 px around them: tiles of 8, 12, 12, 12 and 8 px on each axis, 1 - (20 / 52)^2 is 85 %.
    line = (
        "--tile 12 is small for espcn: up to 85 % of what it computed lay in the tiles' overlaps. "
        "--tile 32, or none, is faster."
    )
    assert told(12).count(line) == 1
    assert "overlaps" not in told(32)
