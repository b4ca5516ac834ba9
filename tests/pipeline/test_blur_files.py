import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from restorekit import restore_folder
from restorekit.deconvolution import Blur, Kernel, Lines, Shake, Windows
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import ExitCode, RestorekitError, UsageError
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.discover import Job
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr
from restorekit.pipeline import large
from restorekit.pipeline.blur_drawing import draw_kernel, draw_motion, draw_sheet
from restorekit.pipeline.blur_files import KnownBlurs, estimate_psf, parse_values, to_blur, write_blur

CPU = Settings("cpu")
PSF = psf.trajectory(np.random.default_rng(3), 12)  # not symmetric: a turned PSF would be noticed
SHARP = {"a.png": 0, "deeper/b.png": 1, "deeper/c.png": 2}


@pytest.fixture
def blurred(tmp_path: Path, photo: np.ndarray) -> Path:
    """Three images, each blurred in another direction."""
    for name, number in SHARP.items():
        write_image(Image(convolve(photo[:64, :80], kernel_of(number))), tmp_path / "in" / name)
    return tmp_path / "in"


def kernel_of(number: int) -> np.ndarray:
    return psf.linear(7, 60 * number)


def gains(folder: Path, out: Path, photo: np.ndarray) -> list[float]:
    """Decibels that the results are nearer to the truth."""
    sharp = photo[:64, :80]
    return [psnr(read_rgb8(out / name), sharp) - psnr(read_rgb8(folder / name), sharp) for name in SHARP]


def as_png(kernel: np.ndarray) -> np.ndarray:
    return np.rint(kernel / kernel.max() * 255).astype(np.uint8)[..., None]


def test_a_folder_of_psfs_is_matched_by_name_in_every_format(blurred: Path, tmp_path: Path, photo: np.ndarray) -> None:
    known = tmp_path / "psfs"
    write_image(Image(as_png(kernel_of(0))), known / "a.png")
    (known / "deeper").mkdir()
    tifffile.imwrite(known / "deeper/b.tif", kernel_of(1))
    np.save(known / "deeper/c.npy", 17 * kernel_of(2).astype(float))
    run = restore_folder([blurred], tmp_path / "out", model="tv", kernel=known, settings=CPU)
    assert run.exit_code == ExitCode.OK
    assert min(gains(blurred, tmp_path / "out", photo)) > 4


def test_a_strong_blur_undone_is_no_doubt_and_a_wrong_psf_is(tmp_path: Path, photo: np.ndarray) -> None:
    long = psf.linear(21, 30)
    write_image(Image(convolve(photo, long)), tmp_path / "in/a.png")
    doubts = {}
    for name, kernel in (("right", long), ("wrong", long[:, ::-1])):
        np.save(tmp_path / "psf.npy", kernel)
        run = restore_folder([tmp_path / "in"], tmp_path / name, model="tv", kernel=tmp_path / "psf.npy", settings=CPU)
        doubts[name] = next(iter(run.results)).doubt
    assert doubts["right"] == ""
    assert "brighter or darker" in doubts["wrong"]


def test_a_missing_or_bad_psf_is_its_images_failure(blurred: Path, tmp_path: Path) -> None:
    known = tmp_path / "psfs"
    write_image(Image(as_png(kernel_of(0))), known / "a.png")
    (known / "deeper").mkdir()
    np.save(known / "deeper/c.npy", -kernel_of(2))
    run = restore_folder([blurred], tmp_path / "out", model="tv", kernel=known, settings=CPU)
    reasons = {result.source.name: result.reason for result in run.results}
    assert reasons["a.png"] == ""
    assert "no PSF for deeper/b.png" in reasons["b.png"]
    assert reasons["c.png"].startswith(f"{known / 'deeper/c.npy'}: ")  # not the image is what is wrong
    assert "negative" in reasons["c.png"]
    assert run.exit_code == ExitCode.SOME_FAILED


def test_one_file_serves_all_and_another_one_is_noticed(blurred: Path, tmp_path: Path) -> None:
    known, out = tmp_path / "psf.npy", tmp_path / "out"
    counts = []
    for kernel in (PSF, PSF, PSF[::-1]):
        np.save(known, kernel)
        run = restore_folder(
            [blurred], out, model="richardson-lucy", config={"iterations": 1}, kernel=known, settings=CPU
        )
        counts.append((run.count("done"), run.count("skipped")))
    assert counts == [(3, 0), (0, 3), (3, 0)]


def test_one_file_for_all_is_read_once(tmp_path: Path) -> None:
    np.save(tmp_path / "psf.npy", PSF)
    blurs, job = KnownBlurs.open(tmp_path / "psf.npy"), Job.of(tmp_path / "a.png", Path("a.png"))
    digest = blurs.digest(job)
    np.save(tmp_path / "psf.npy", PSF[::-1])
    blur, read = blurs.read(job, 64, 64)
    assert isinstance(blur, Kernel)
    assert np.allclose(blur.psf, PSF / PSF.sum())
    assert digest == read


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_one_file_that_holds_no_blur_ends_the_run_before_it_begins(
    content: bytes, blurred: Path, tmp_path: Path
) -> None:
    (tmp_path / "psf.png").write_bytes(content)
    with pytest.raises(RestorekitError) as caught:
        restore_folder([blurred], tmp_path / "out", model="tv", kernel=tmp_path / "psf.png", settings=CPU)
    assert caught.value.path == tmp_path / "psf.png"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("named", ["", "pairs.jsonl"])
def test_the_records_of_a_set_are_psfs(named: str, tmp_path: Path, photo: np.ndarray) -> None:
    pairs = tmp_path / "pairs"
    for number, name in enumerate(SHARP):
        write_image(Image(photo[number : number + 64, :80]), tmp_path / "sharp" / name)
    synthesize_pairs([tmp_path / "sharp"], pairs, settings=BlurSettings(length=(5, 9)))
    before = {path.name: path for path in (pairs / "all/blur").rglob("*.png")}
    run = restore_folder([pairs / "all/blur"], tmp_path / "out", model="tv", kernel=pairs / named, settings=CPU)
    assert run.count("done") == len(before) == 3
    for result in run.results:
        sharp = read_rgb8(pairs / "all/sharp" / result.output.relative_to(tmp_path / "out"))
        assert psnr(read_rgb8(result.output), sharp) > psnr(read_rgb8(before[result.source.name]), sharp) + 4


def test_blurs_that_are_written_serve_again_and_are_part_of_what_is_done(blurred: Path, tmp_path: Path) -> None:
    known, seen = tmp_path / "psf.npy", tmp_path / "seen"
    np.save(known, PSF)
    options = {"model": "tv", "settings": CPU}
    first = restore_folder([blurred], tmp_path / "out", kernel=known, blur_out=seen, **options)
    again = restore_folder([blurred], tmp_path / "out", kernel=known, blur_out=seen, **options)
    assert (first.count("done"), again.count("skipped")) == (3, 3)
    assert sorted(path.name for path in seen.rglob("*.blur.*") if "deeper" in path.parts) == [
        *("b.png.blur.png", "b.png.blur.tif", "c.png.blur.png", "c.png.blur.tif")
    ]
    np.testing.assert_allclose(tifffile.imread(seen / "a.png.blur.tif"), PSF, atol=1e-7)
    (seen / "a.png.blur.png").unlink()
    assert restore_folder([blurred], tmp_path / "out", kernel=known, blur_out=seen, **options).count("done") == 1
    restore_folder([blurred], tmp_path / "other", kernel=seen, **options)
    for name in SHARP:
        np.testing.assert_array_equal(read_rgb8(tmp_path / "other" / name), read_rgb8(tmp_path / "out" / name))


def test_images_that_go_by_rows_are_told_too(blurred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "psf.npy", kernel_of(0))
    np.save(tmp_path / "field.npy", np.stack(np.broadcast_arrays(np.full((64, 80), 7.0), 0.0), axis=2))
    for known in ("psf.npy", "field.npy"):
        way: dict[str, object] = {
            "model": "tv",
            "config": {"iterations": 2},
            "kernel": tmp_path / known,
            "settings": Settings("cpu", tile=60, overlap=8),
            "blur_out": tmp_path / "seen",
        }
        restore_folder([blurred / "a.png"], tmp_path / "whole", **way)
        with monkeypatch.context() as patched:
            patched.setattr(large, "WHOLE_PIXELS", 0)
            run = restore_folder([blurred / "a.png"], tmp_path / "rows", overwrite=True, **way)
        assert [result.by_rows for result in run.results] == [True]
        whole, rows = (read_rgb8(tmp_path / folder / "a.png") for folder in ("whole", "rows"))
        np.testing.assert_array_equal(rows, whole)
        assert (rows != read_rgb8(blurred / "a.png")).any()


def fields(height: int, width: int) -> dict[str, Blur]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turns = np.linspace(-0.05, 0.05, 5)
    angles = np.stack([0 * turns, 0 * turns, turns], axis=1)
    return {
        "kernel": Kernel(PSF),
        "lines": Lines(x / 9 - 2, 3 - y / 9),
        "windows": Windows(np.full((2, 3, 7, 7), 1 / 49, np.float32), height, width),
        "shake": Shake(angles, np.full(5, 0.2), 50, height, width, ((width - 1) / 2, (height - 1) / 2)),
    }


@pytest.mark.parametrize("kind", ["kernel", "lines", "windows", "shake"])
def test_every_kind_of_blur_is_read_as_it_was_written(kind: str, tmp_path: Path, photo: np.ndarray) -> None:
    image = Image(photo[:40, :56])
    blur = fields(40, 56)[kind]
    write_blur(blur, image.size, image, tmp_path / "x.tif", tmp_path / "x.png")
    read = to_blur(parse_values((tmp_path / "x.tif").read_bytes()), 40, 56)
    assert read_image(tmp_path / "x.png").pixels.shape[2] == 3
    if isinstance(blur, Kernel):
        np.testing.assert_allclose(read.psf, blur.psf, atol=1e-7)
    elif isinstance(blur, Lines):
        assert isinstance(read, Lines)
        np.testing.assert_array_equal(np.stack([read.u, read.v]), np.stack([blur.u, blur.v]))
    else:
        assert isinstance(read, Windows)
        assert read.psfs.shape[:2] == ((2, 3) if kind == "windows" else (6, 8))


def test_a_motion_field_is_told_by_its_file(tmp_path: Path, photo: np.ndarray) -> None:
    sharp = photo[:64, :80]
    field = np.zeros((64, 80, 2), np.float32)
    field[..., 0] = 7
    np.save(tmp_path / "field.npy", field)
    write_image(
        Image(convolve(sharp, np.pad(np.full((1, 7), 1 / 7, np.float32), ((3, 3), (0, 0))))), tmp_path / "in/a.png"
    )
    restore_folder([tmp_path / "in"], tmp_path / "out", model="tv", kernel=tmp_path / "field.npy", settings=CPU)
    assert psnr(read_rgb8(tmp_path / "out/a.png"), sharp) > psnr(read_rgb8(tmp_path / "in/a.png"), sharp) + 4


@pytest.mark.parametrize(
    ("values", "error", "word"),
    [
        (np.zeros((3, 3)), UsageError, "empty"),
        (np.full((3, 3), np.nan), UsageError, "not finite"),
        (-np.eye(3), UsageError, "negative"),
        (np.ones(5), UsageError, "no blur"),
        (np.ones((4, 4, 5)), UsageError, "no blur"),
        (np.array([["a"]]), UsageError, "no blur"),
        (np.array([[None]]), UsageError, "damaged"),
        (np.zeros((0, 3)), UsageError, "no PSF"),
    ],
)
def test_bad_values_are_refused_with_their_file_before_anything_is_restored(
    values: np.ndarray, error: type[Exception], word: str, blurred: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "psf.npy", values, allow_pickle=True)
    with pytest.raises(error, match=word) as caught:
        restore_folder([blurred], tmp_path / "out", model="tv", kernel=tmp_path / "psf.npy", settings=CPU)
    assert caught.value.path == tmp_path / "psf.npy"
    assert not (tmp_path / "out").exists()


def test_even_sides_get_zeros_below_and_to_the_right(tmp_path: Path) -> None:
    np.save(tmp_path / "psf.npy", np.array([[1, 2], [3, 2], [0, 0], [0, 0]]))
    blur = to_blur(parse_values((tmp_path / "psf.npy").read_bytes()), 9, 9)
    expected = np.zeros((5, 3))
    expected[:2, :2] = [[1 / 8, 2 / 8], [3 / 8, 2 / 8]]
    np.testing.assert_allclose(blur.psf, expected)


def test_what_does_not_fit_the_image_fails_with_it(blurred: Path, tmp_path: Path) -> None:
    for values, word in (
        (np.zeros((64, 79, 2)), "79x64 px, the image 80x64"),
        (np.ones((65, 65)), "65 px wide, the image 80x64"),
        (np.full((64, 80, 2), np.nan), "not finite"),
    ):
        np.save(tmp_path / "psf.npy", values)
        run = restore_folder([blurred], tmp_path / "out", model="tv", kernel=tmp_path / "psf.npy", settings=CPU)
        assert run.count("failed") == 3
        assert all(word in result.reason for result in run.results)


def test_constant_images_stay_as_they_are(tmp_path: Path) -> None:
    write_image(Image(np.full((40, 50, 3), 90, np.uint8)), tmp_path / "in/flat.png")
    np.save(tmp_path / "psf.npy", PSF)
    run = restore_folder([tmp_path / "in"], tmp_path / "out", model="tv", kernel=tmp_path / "psf.npy", settings=CPU)
    assert run.exit_code == ExitCode.OK
    assert (read_rgb8(tmp_path / "out/flat.png") == 90).all()


def test_requests_that_make_no_sense_are_refused(blurred: Path, tmp_path: Path, weights_file: Path) -> None:
    np.save(tmp_path / "psf.npy", PSF)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/pairs.jsonl").write_text(json.dumps({"key": "all/a.png"}) + "\n")
    (tmp_path / "records.jsonl").write_text(json.dumps({"key": "all/a.png"}) + "\n")
    (tmp_path / "damaged.npy").write_bytes(b"\0" * 12 + (tmp_path / "psf.npy").read_bytes()[12:])
    for options, word in (
        ({"model": "tv"}, "tv must be told"),
        ({"weights": weights_file, "kernel": tmp_path / "psf.npy"}, "gggan-lite cannot be told"),
        ({"weights": weights_file, "blur_out": tmp_path / "seen"}, "no blur to write"),
        ({"model": "tv", "kernel": tmp_path / "nowhere"}, "no such PSF"),
        ({"model": "tv", "kernel": tmp_path / "set"}, "records no PSFs"),
        ({"model": "tv", "kernel": tmp_path / "damaged.npy"}, r"no \.npy, .* `kernel` may be a PSF"),
        (
            {"model": "tv", "kernel": tmp_path / "records.jsonl"},
            r"no \.npy, .* synth-blur's record by its own name, pairs\.jsonl",
        ),
    ):
        with pytest.raises(UsageError, match=word):
            restore_folder([blurred], tmp_path / "out", settings=CPU, **options)


def test_animations_and_videos_are_not_told(blurred: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "psf.npy", PSF)
    told: dict[str, object] = {"model": "tv", "kernel": tmp_path / "psf.npy", "settings": CPU}
    frames = [PIL.Image.new("RGB", (40, 40), colour) for colour in ((200, 40, 40), (40, 40, 200))]
    frames[0].save(blurred / "moving.gif", save_all=True, append_images=frames[1:], duration=50)
    run = restore_folder([blurred], tmp_path / "out", **told)
    failed = [(result.source.name, result.reason) for result in run.results if result.status == "failed"]
    assert failed == [("moving.gif", "An animation cannot be told its blur.")]
    (blurred / "clip.mkv").write_bytes(bytes.fromhex("1a45dfa3"))
    with pytest.raises(UsageError, match="A video cannot be told"):
        restore_folder([blurred], tmp_path / "out", **told)


def test_nothing_is_written_over_an_input_a_psf_or_another_result(blurred: Path, tmp_path: Path) -> None:
    known = tmp_path / "psfs"
    write_image(Image(as_png(PSF)), known / "a.png")
    np.save(tmp_path / "psf.npy", PSF)
    write_image(Image(np.zeros((30, 30, 3), np.uint8)), blurred / "a.png.blur.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for out, options, word in (
        (known, {"kernel": known}, "result of .*a.png would replace an input"),
        (
            tmp_path / "out",
            {"kernel": tmp_path / "psf.npy", "blur_out": blurred},
            "blur of .*a.png would replace an input",
        ),
        (
            tmp_path / "out",
            {"kernel": tmp_path / "psf.npy", "blur_out": tmp_path / "out"},
            "result of .*blur.png would replace the blur of .*a.png",
        ),
        (
            tmp_path / "out",
            {"kernel": tmp_path / "psf.npy", "report": tmp_path / "psf.npy"},
            "report would replace an in",
        ),
    ):
        with pytest.raises(UsageError, match=word):
            restore_folder(blurred.iterdir(), out, model="tv", settings=CPU, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_the_psf_of_a_pair_is_written_and_serves(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(photo), tmp_path / "sharp.png")
    write_image(Image(convolve(photo, PSF)), tmp_path / "in/blurred.png")
    found = estimate_psf(tmp_path / "in/blurred.png", tmp_path / "sharp.png", tmp_path / "psf.tif")
    np.testing.assert_allclose(tifffile.imread(tmp_path / "psf.tif"), found)
    assert read_image(tmp_path / "psf.tif.png").size == (8 * found.shape[0], 8 * found.shape[1])
    restore_folder([tmp_path / "in"], tmp_path / "out", model="tv", kernel=tmp_path / "psf.tif", settings=CPU)
    before, after = (read_rgb8(tmp_path / folder / "blurred.png") for folder in ("in", "out"))
    assert psnr(after, photo) > psnr(before, photo) + 5
    with pytest.raises(UsageError, match="no such file"):  # as `deblur` says it, with the same exit code
        estimate_psf(tmp_path / "in/blurred.png", tmp_path / "nowhere.png", tmp_path / "psf.tif")
    with pytest.raises(UsageError, match="TIFF"):
        estimate_psf(tmp_path / "in/blurred.png", tmp_path / "sharp.png", tmp_path / "psf.png")
    (tmp_path / "sharp.png").rename(tmp_path / "psf.tif.png")
    with pytest.raises(UsageError, match="replace an input"):
        estimate_psf(tmp_path / "in/blurred.png", tmp_path / "psf.tif.png", tmp_path / "psf.tif")


def test_a_psf_is_drawn_large_with_a_cross_in_its_middle() -> None:
    picture = draw_kernel(np.array([[0, 0, 0], [0, 0.5, 0.25], [0, 0.25, 0]], np.float32))
    assert picture.shape == (24, 24, 3)
    assert (picture[8, 8] == 255).all()
    assert (picture[8, 23] == 128).all()
    assert tuple(picture[12, 12]) == (255, 64, 64)
    assert (picture[0, 0] == 0).all()


def test_strokes_are_as_long_as_the_motion_and_opposite_motions_look_alike() -> None:
    grey = np.full((120, 120, 3), 100, np.uint8)
    across = np.full((120, 120), 11, np.float32)
    picture, opposite = (draw_motion(sign * across, 0 * across, grey) for sign in (1, -1))
    np.testing.assert_array_equal(picture, opposite)
    row = picture[94, 84:105] != 50  # the stroke about the pixel (94, 94)
    assert 11 <= row.any(axis=1).sum() <= 13
    assert (picture[89] == 50).all(axis=1)[64:].all()  # between two rows of strokes


def test_a_sheet_shows_every_psf_in_its_place() -> None:
    psfs = np.zeros((2, 3, 3, 3), np.float32)
    psfs[..., 1, 1] = 1
    psfs[1, 2] = np.eye(3) / 3
    sheet = draw_sheet(psfs)
    times = 1000 // 15
    assert sheet.shape == (2 * 5 * times, 3 * 5 * times, 3)
    cell = sheet[::times, ::times, 0][5:8, 10:13]
    np.testing.assert_array_equal(cell, 255 * np.eye(3))
