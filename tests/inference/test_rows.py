from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SMALL, randomise
from torch import Tensor, nn

from restorekit.errors import RestorekitError
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size, restore_to_size
from restorekit.inference.rows import restore_rows
from restorekit.inference.settings import Settings
from restorekit.media.image import Image
from restorekit.media.rows import ArrayReader, ResizedReader, RowReader, SequentialReader
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.models.spec import Spec

FACTS = Spec(
    name="x",
    task="sr",
    summary="",
    paper="",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=4,
    receptive_field=8,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=100,
    scale=2,
)


class Double(nn.Module):
    """Enlarges by 2 and looks 8 pixels around."""

    def forward(self, rgb: Tensor) -> Tensor:
        mean = nn.functional.avg_pool2d(rgb, 17, 1, 8, count_include_pad=False)
        return nn.functional.interpolate(mean, scale_factor=2, mode="nearest")


class Choosy(Double):
    """A device that only small tiles fit into."""

    def forward(self, rgb: Tensor) -> Tensor:
        if rgb.shape[2] * rgb.shape[3] > 1500:
            raise torch.OutOfMemoryError("full")
        return super().forward(rgb)


class Grey(nn.Module):
    """Diverged: the same everywhere."""

    def forward(self, rgb: Tensor) -> Tensor:
        return rgb * 0 + 0.5


class InOrder(SequentialReader):
    """An array that is only given from top to bottom; counts how often."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(*pixels.shape, pixels.dtype)
        self.pixels, self.begun = pixels, 0

    def parts(self) -> Iterator[np.ndarray]:
        self.begun += 1
        for top in range(0, self.height, 5):
            yield self.pixels[top : top + 5]


def engine(module: nn.Module, settings: Settings, **facts: object) -> Engine:
    return Engine(Model(module, replace(FACTS, **facts)), settings)


def all_rows(reader: RowReader, step: int = 7) -> np.ndarray:
    return np.concatenate([reader.rows(top, min(top + step, reader.height)) for top in range(0, reader.height, step)])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("size", "passes"),
    [(Size(), 1), (Size(1.7), 1), (Size(3), 2), (Size(pixels=(200, 31)), 2)],
    ids=["the network's", "smaller", "two passes", "another shape"],
)
def test_rows_are_those_of_the_whole_image(photo: np.ndarray, dtype: type, size: Size, passes: int) -> None:
    small = photo[:90, :70]
    pixels = small / np.float32(255) if dtype is np.float32 else small.astype(dtype)
    tiled = engine(Double(), Settings("cpu", tile=48))
    whole = restore_to_size(Image(pixels), tiled, size)
    source = InOrder(pixels)
    restored = restore_rows(source, tiled, size)
    result = all_rows(restored.result)
    assert len(restored.passes) == passes
    assert result.dtype == dtype
    assert np.array_equal(result, whole.image.pixels)
    assert restored.info == whole.info
    assert source.begun == 1


@pytest.mark.parametrize("statistics", ["fast", pytest.param("exact", marks=pytest.mark.slow)])
def test_what_must_be_known_of_the_whole_image_is_found_out_first(photo: np.ndarray, statistics: str) -> None:
    model = registry.build("deblurgan", **SMALL["deblurgan"])
    settings = Settings("cpu", tile=48, overlap=8, statistics=statistics)
    tiled = Engine(Model(randomise(model), registry.spec_of("deblurgan")), settings)
    pixels = np.ascontiguousarray(photo[:90, :70])
    source = InOrder(pixels)
    restored = restore_rows(source, tiled)
    assert np.array_equal(all_rows(restored.result), tiled(pixels).pixels)
    assert source.begun == restored.info.passes + 1


def test_tiles_that_are_faded_into_each_other_are_those_of_the_whole_image(photo: np.ndarray) -> None:
    seamed = engine(Double(), Settings("cpu", tile=32, overlap=4), tiling="approximate", overlap=4)
    pixels = np.ascontiguousarray(photo[:90, :70])
    assert np.array_equal(all_rows(restore_rows(InOrder(pixels), seamed).result), seamed(pixels).pixels)


def test_a_tile_that_does_not_fit_is_halved(photo: np.ndarray) -> None:
    pixels = np.ascontiguousarray(photo[:90, :70])
    choosy = engine(Choosy(), Settings("cpu"))
    restored = restore_rows(InOrder(pixels), choosy)
    whole = choosy(pixels)
    assert np.array_equal(all_rows(restored.result), whole.pixels)
    assert restored.info == whole.info
    assert restored.info.halvings > 0
    assert restored.limits == whole.limits


def test_one_colour_from_an_image_that_has_several_is_refused(photo: np.ndarray) -> None:
    grey = engine(Grey(), Settings("cpu", tile=32), scale=1, receptive_field=0)
    with pytest.raises(RestorekitError, match="all of one colour"):
        all_rows(restore_rows(InOrder(np.ascontiguousarray(photo[:90])), grey).result)
    flat = np.full((90, 40, 3), 100, np.uint8)
    assert (all_rows(restore_rows(InOrder(flat), grey).result) == 128).all()


def test_a_lean_engine_gives_the_same(photo: np.ndarray) -> None:
    model = registry.build("deblurgan", **SMALL["deblurgan"])
    tiled = Engine(Model(randomise(model), registry.spec_of("deblurgan")), Settings("cpu", tile=48, overlap=8))
    pixels = np.ascontiguousarray(photo[:90, :70])
    lean = tiled.lean()
    assert lean is not tiled
    assert np.array_equal(lean(pixels).pixels, tiled(pixels).pixels)


def test_a_resized_reader_gives_any_rows_of_the_resized_image(photo: np.ndarray) -> None:
    resized = ResizedReader(ArrayReader(photo), (70, 300))
    assert np.array_equal(resized.rows(20, 33), restore_to_size_of(photo, (70, 300))[20:33])
    assert (resized.height, resized.width, resized.channels, resized.dtype) == (70, 300, 3, np.uint8)


def restore_to_size_of(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """By the network that does nothing: only the resize is left."""
    nothing = engine(nn.Identity(), Settings("cpu"), scale=1, receptive_field=0)
    return np.asarray(restore_to_size(Image(pixels), nothing, Size(pixels=size)).image.pixels)
