import numpy as np
import pytest
import torch
from helpers import noise
from scipy import ndimage
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Lines, Shake, Windows, line_kernel, sample_windows
from restorekit.deconvolution import lines as lines_module
from restorekit.deconvolution.blurs import Operator
from restorekit.deconvolution.gradients import divergence, gradient
from restorekit.deconvolution.lines import LinesOperator
from restorekit.degradation import motion, psf
from restorekit.degradation.scene import Scene
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import to_unit
from restorekit.metrics import psnr

HEIGHT, WIDTH = 37, 53  # odd, and no products of small primes
PSF = psf.trajectory(np.random.default_rng(3), 12)  # not symmetric: a turned PSF would be noticed


def grid(rows: int, columns: int) -> np.ndarray:
    """(rows,columns,9,9): a different PSF in every cell."""
    rng = np.random.default_rng(0)
    psfs = rng.random((rows, columns, 9, 9))
    return (psfs / psfs.sum(axis=(2, 3), keepdims=True)).astype(np.float32)


def field() -> Lines:
    """Vectors that turn and grow over the image, still ones among them."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return Lines((x - 20) / 4, (y - 10) / 3 - x / 10)


def shake() -> Shake:
    angles = np.random.default_rng(1).normal(size=(5, 3)) * (0.02, 0.02, 0.05)
    return Shake(angles, np.array([0.3, 0.2, 0.2, 0.2, 0.1]), 80, HEIGHT, WIDTH, ((WIDTH - 1) / 2, (HEIGHT - 1) / 2))


BLURS = {
    "kernel": Kernel(PSF),
    "kernel of unequal sides": Kernel(PSF[2:-2] / PSF[2:-2].sum()),
    "windows": Windows(grid(3, 4), HEIGHT, WIDTH),
    "one window": Windows(grid(1, 1), HEIGHT, WIDTH),
    "windows seen from elsewhere": Windows(grid(3, 4), 90, 90, top=40, left=-6),
    "lines": field(),
    "shake": shake(),
}


@pytest.mark.parametrize("blur", BLURS.values(), ids=BLURS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_the_adjoint_is_exact(blur: Blur, dtype: torch.dtype, error: float) -> None:
    x, y = (torch.randn(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(i), dtype=dtype) for i in (1, 2))
    operator = blur.on(x)
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == adjoint.shape == x.shape
    difference = (forward * y).sum() - (x * adjoint).sum()
    assert abs(difference) < error * forward.norm() * y.norm()
    assert (forward - x).norm() > 0.1 * x.norm()  # the identity would be its own adjoint


@pytest.mark.parametrize("blur", BLURS.values(), ids=BLURS)
def test_a_constant_image_stays_constant(blur: Blur) -> None:
    flat = torch.full((1, 1, HEIGHT, WIDTH), 0.4)
    torch.testing.assert_close(blur.on(flat).forward(flat), flat)


def test_a_kernel_convolves_and_does_not_correlate() -> None:
    x = noise(1, 1, HEIGHT, WIDTH)
    expected = ndimage.convolve(x[0, 0].double().numpy(), PSF.astype(float), mode="wrap")
    np.testing.assert_allclose(Kernel(PSF).on(x).forward(x)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("counts", [(1, 1), (2, 3), (5, 4)])
def test_equal_windows_are_one_kernel(counts: tuple[int, int]) -> None:
    x = noise(1, 2, HEIGHT, WIDTH)
    windows = Windows(np.broadcast_to(PSF, (*counts, *PSF.shape)), HEIGHT, WIDTH)
    torch.testing.assert_close(windows.on(x).forward(x), Kernel(PSF).on(x).forward(x), rtol=0, atol=1e-6)


def test_windows_fade_from_cell_to_cell() -> None:
    psfs = np.zeros((1, 2, 1, 3), np.float32)
    psfs[0, 0, 0, 0], psfs[0, 1, 0, 2] = 1, 1  # the left cell moves a pixel to the left, the right cell to the right
    x = torch.zeros(1, 1, 3, 8)
    x[0, 0, 1] = torch.tensor([0, 8.0, 0, 8, 0, 0, 8, 0])
    # The middles are the pixels 2 and 6: at pixels 3 to 5 the right cell counts 1/4, 2/4 and 3/4.
    expected = torch.tensor([8.0, 0, 8, 0, 4, 2, 0, 8])
    torch.testing.assert_close(Windows(psfs, 3, 8).on(x).forward(x)[0, 0, 1], expected)


@pytest.mark.parametrize(("u", "v"), [(9, 0), (0, 6), (7, 4), (-3, 8), (0.5, 0.2)])
def test_equal_lines_are_one_kernel(u: float, v: float) -> None:
    x = noise(1, 2, HEIGHT, WIDTH)
    lines = Lines(np.full((HEIGHT, WIDTH), u, np.float32), np.full((HEIGHT, WIDTH), v, np.float32))
    kernel = line_kernel(u, v)
    inside = np.s_[..., lines.radius : -lines.radius, lines.radius : -lines.radius]
    torch.testing.assert_close(lines.on(x).forward(x)[inside], kernel.on(x).forward(x)[inside], rtol=0, atol=1e-6)
    assert kernel.psf.shape[0] <= 2 * lines.radius + 1


def test_lines_are_those_of_fspecial() -> None:
    # fspecial('motion', 3, 45) as MATLAB prints it.
    printed = [[0, 0.0754, 0.1883], [0.0754, 0.3215, 0.0754], [0.1883, 0.0754, 0]]
    side = 3 / np.sqrt(2)
    np.testing.assert_allclose(line_kernel(side, -side).psf, printed, atol=6e-5)
    np.testing.assert_allclose(line_kernel(-side, side).psf, printed, atol=6e-5)
    assert line_kernel(1, 0).psf.tolist() == [[1]]
    assert line_kernel(0, 0).psf.tolist() == [[1]]


def test_lines_that_are_too_many_to_be_kept_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = noise(2, 3, HEIGHT, WIDTH)
    kept = field().on(scene)
    monkeypatch.setattr(lines_module, "KEPT", 0)
    monkeypatch.setattr(lines_module, "DRAWN", 5000)  # a few parts, the last of them smaller
    drawn = field().on(scene)
    assert isinstance(drawn, LinesOperator)
    assert drawn.gather is drawn.scatter is None
    assert HEIGHT * WIDTH % drawn.step > 0
    torch.testing.assert_close(drawn.forward(scene), kept.forward(scene))
    torch.testing.assert_close(drawn.adjoint(scene), kept.adjoint(scene))


def test_a_row_counts_its_pixels() -> None:
    np.testing.assert_allclose(line_kernel(5, 0).psf.sum(axis=0), np.full(5, 0.2), atol=1e-6)
    np.testing.assert_allclose(line_kernel(4, 0).psf.sum(axis=0), np.array([0.5, 1, 1, 1, 0.5]) / 4, atol=1e-6)


def rolled(degrees: float, side: int) -> Shake:
    """The steady roll of `degradation.motion.roll`."""
    turns = np.radians(motion.sample(motion.roll(degrees), (np.arange(40) + 0.5) / 40)[:, 2])
    angles = np.stack([0 * turns, 0 * turns, turns], axis=1)
    return Shake(angles, np.full(40, 1 / 40), 500, side, side, ((side - 1) / 2, (side - 1) / 2))


def test_a_roll_is_that_of_the_degradation(photo: np.ndarray) -> None:
    sharp = to_unit(np.ascontiguousarray(photo[:128, :128]))
    expected = Scene(motion.roll(3)).expose(sharp)
    scene = torch.from_numpy(sharp).permute(2, 0, 1)[None]
    blur = rolled(3, 128)
    result = blur.on(scene).forward(scene)[0].permute(1, 2, 0).numpy()
    inside = np.s_[blur.radius : -blur.radius, blur.radius : -blur.radius]
    assert psnr(result[inside], expected[inside]) > 45


def test_nine_by_nine_windows_stand_for_a_roll() -> None:
    from skimage import data

    sharp = torch.from_numpy(to_unit(data.camera()[100:420, 100:420]))[None, None]
    blur = rolled(3, 320)
    exact = blur.on(sharp).forward(sharp)
    windows = sample_windows(blur, 320, 320, 9, 9)
    inside = np.s_[0, 0, 17:303, 17:303]  # between the outer middles
    assert psnr(windows.on(sharp).forward(sharp)[inside].numpy(), exact[inside].numpy()) > 55


@pytest.mark.parametrize("name", ["kernel", "windows", "lines", "shake"])
def test_a_crop_blurs_as_the_whole_does(name: str) -> None:
    blur, x = BLURS[name], noise(1, 1, HEIGHT, WIDTH)
    whole = blur.on(x).forward(x)
    top, left, height, width = 3, 8, 30, 40
    part = x[..., top : top + height, left : left + width]
    cropped = blur.crop(top, left, height, width).on(part).forward(part)
    margin = blur.radius
    inside = np.s_[..., margin : height - margin, margin : width - margin]
    expected = whole[..., top : top + height, left : left + width]
    assert cropped[inside].numel() > 20
    torch.testing.assert_close(cropped[inside], expected[inside], rtol=0, atol=1e-5)


def test_the_path_of_a_point_is_the_sampled_psf() -> None:
    windows = sample_windows(Kernel(PSF), HEIGHT, WIDTH, 2, 3)
    assert windows.psfs.shape[:2] == (2, 3)
    np.testing.assert_allclose(windows.psfs, np.broadcast_to(PSF, (2, 3, *PSF.shape)), atol=1e-6)


def normal(operator: Operator, x: torch.Tensor, data: float, smooth: float) -> torch.Tensor:
    """(data A'A + smooth D'D) x."""
    return data * operator.adjoint(operator.forward(x)) + smooth * divergence(*gradient(x))


@pytest.mark.parametrize("name", ["windows", "lines"])
def test_conjugate_gradients_solve_the_normal_equations(name: str) -> None:
    x = noise(1, 2, HEIGHT, WIDTH).double()
    operator, start = BLURS[name].on(x), torch.zeros_like(x)
    prior = noise(1, 2, HEIGHT, WIDTH).double()
    for _ in range(12):
        start = operator.solve(operator.project(x), prior, 2.0, 0.5, start)
    right = 2.0 * operator.adjoint(x) + 0.5 * prior
    torch.testing.assert_close(normal(operator, start, 2.0, 0.5), right, rtol=0, atol=1e-6)


def test_a_kernel_solves_exactly() -> None:
    x, prior = noise(1, 2, HEIGHT, WIDTH).double(), noise(1, 2, HEIGHT, WIDTH).double()
    operator = Kernel(PSF).on(x)
    solved = operator.solve(operator.project(x), prior, 2.0, 0.5, x)
    right = 2.0 * operator.adjoint(x) + 0.5 * prior
    torch.testing.assert_close(normal(operator, solved, 2.0, 0.5), right, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["kernel", "lines"])
def test_a_solution_comes_with_its_blur(name: str) -> None:
    x, prior = noise(1, 2, HEIGHT, WIDTH).double(), noise(1, 2, HEIGHT, WIDTH).double()
    operator = BLURS[name].on(x)
    solved, blurred = operator.solve_and_blur(operator.project(x), prior, 2.0, 0.5, x)
    torch.testing.assert_close(solved, operator.solve(operator.project(x), prior, 2.0, 0.5, x))
    torch.testing.assert_close(blurred, operator.forward(solved))


NAN, NEGATIVE = np.full((3, 3), np.nan), np.array([[0.0, -0.1, 1.1]])


@pytest.mark.parametrize(
    ("psf", "word"),
    [
        (np.zeros((0, 3)), "odd"),
        (np.full((2, 3), 1 / 6), "odd"),
        (np.ones(3), "odd"),
        (NAN, "finite"),
        (NEGATIVE, "negative"),
        (np.zeros((3, 3)), "sum"),
        (np.ones((3, 3)), "sum"),
    ],
)
def test_what_is_no_psf_is_refused(psf: np.ndarray, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Kernel(psf)
    if psf.ndim == 2:
        with pytest.raises(UsageError, match=word):
            Windows(psf[None, None], 9, 9)


def test_fields_and_motions_that_do_not_fit_are_refused() -> None:
    zeros = np.zeros((4, 5), np.float32)
    for u, v, word in ((zeros, zeros.T, "shape"), (zeros * np.nan, zeros, "not finite"), (zeros + 2000, zeros, "2000")):
        with pytest.raises(UsageError, match=word):
            Lines(u, v)
    with pytest.raises(UsageError, match="5x4"):
        Lines(zeros, zeros).on(torch.zeros(1, 1, 5, 4))
    with pytest.raises(UsageError, match="fit"):
        Shake(np.zeros((2, 3)), np.ones(1), 10, 4, 4, (0, 0))
    with pytest.raises(UsageError, match="sum"):
        Shake(np.zeros((2, 3)), np.ones(2), 10, 4, 4, (0, 0))
    with pytest.raises(UsageError, match="axes"):
        Windows(zeros, 4, 5)
    with pytest.raises(UsageError, match="larger"):
        Kernel(np.full((5, 5), 0.04)).on(torch.zeros(1, 1, 9, 4))


def gpu_or_skip() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    return "cuda"


@pytest.mark.gpu
@pytest.mark.parametrize("blur", BLURS.values(), ids=BLURS)
def test_a_gpu_gives_the_same(blur: Blur) -> None:
    x: Tensor = noise(1, 3, HEIGHT, WIDTH)
    y = x.to(gpu_or_skip())
    torch.testing.assert_close(blur.on(y).forward(y).cpu(), blur.on(x).forward(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(blur.on(y).adjoint(y).cpu(), blur.on(x).adjoint(x), rtol=0, atol=1e-5)


def test_an_enlarged_psf_is_interpolated_about_its_middle() -> None:
    enlarged = Kernel(np.array([[0.25, 0.5, 0.25]], np.float32)).enlarge(2, 80, 60)
    expected = np.outer([1, 2, 1], [1, 2, 3, 4, 3, 2, 1]) / 64
    np.testing.assert_allclose(enlarged.psf, expected, atol=1e-7)
    cells = Windows(np.full((2, 1, 1, 3), [[[0.25, 0.5, 0.25]]], np.float32), 40, 30).enlarge(2, 80, 60)
    assert (cells.height, cells.width, cells.psfs.shape) == (80, 60, (2, 1, 3, 7))
    np.testing.assert_allclose(cells.psfs[1, 0], expected, atol=1e-7)


def test_enlarged_lines_keep_their_direction_and_what_is_sharp() -> None:
    u, v = np.array([[9, 0], [0, -3]], np.float32), np.array([[0, 5], [1, 0]], np.float32)
    larger = Lines(u, v).enlarge(2, 4, 6)
    np.testing.assert_allclose(larger.u[:, ::3], [[17, 0], [17, 0], [0, -5], [0, -5]])  # 9 px span 8; twice that is 16
    np.testing.assert_allclose(larger.v[:, ::3], [[0, 9], [0, 9], [1, 0], [1, 0]])
    np.testing.assert_array_equal(larger.u[:, :3], np.repeat(larger.u[:, :1], 3, axis=1))


def test_an_enlarged_shake_moves_what_it_moved_as_many_times_as_far() -> None:
    before, after = shake(), shake().enlarge(3, 3 * HEIGHT, 3 * WIDTH)
    point = np.array([7.0, 11.0, 1])
    seen, expected = (blur.homographies() @ at for blur, at in ((after, [3 * 7 + 1, 3 * 11 + 1, 1]), (before, point)))
    # The middle of a pixel lies in the middle of the nine that it becomes.
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], 3 * expected[:, :2] / expected[:, 2:] + 1)


def test_a_blur_knows_whether_it_changes_nothing() -> None:
    one, none = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    middle = np.zeros((3, 3), np.float32)
    middle[1, 1] = 1
    assert Kernel(middle).is_identity
    assert not Kernel(np.roll(middle, 1, 0)).is_identity
    assert Lines(one, none).is_identity
    assert not Lines(one, one).is_identity
    assert not any(blur.is_identity for blur in BLURS.values())
