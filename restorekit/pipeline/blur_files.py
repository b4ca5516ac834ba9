"""Blurs in files: PSFs, grids of PSFs and motion fields that a run is told, and pictures of them to look at."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from restorekit.deconvolution import Blur, Kernel, Lines, Windows, as_psf, sample_windows
from restorekit.deconvolution.estimation import estimate_kernel
from restorekit.degradation.pairs import RECORDS, read_pairs
from restorekit.errors import RestorekitError, UnreadableImage, UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit
from restorekit.media.decode import decode_image, read_content, read_image
from restorekit.media.discover import Job
from restorekit.media.encode import encode_image
from restorekit.media.image import Image
from restorekit.media.sniff import SIGNATURE_LENGTH, sniff
from restorekit.pipeline.blur_drawing import draw_kernel, draw_motion, draw_sheet
from restorekit.pipeline.plan import VALUES
from restorekit.runtime.atomic import write_atomically

SHEET = (6, 8)  # rows and columns of local PSFs
LARGEST_SIDE = 65  # px that a PSF may measure, where nothing is said
SUFFIXES = (".tif", ".tiff", ".npy", ".png")


@dataclass(frozen=True)
class KnownBlurs:
    """What blurred the images of a run. A value that pickles."""

    path: Path
    """A file for all images, a folder of files with the images' names, or a pairs.jsonl."""
    recorded: Mapping[str, PSF] = field(default_factory=dict)
    """PSFs of a pairs.jsonl, by the real paths of the blurred images."""
    content: bytes = b""
    """Of a file for all images, which is read once."""

    @classmethod
    def open(cls, path: Path) -> "KnownBlurs":
        """Look at what is there.

        Raises:
            UsageError: nothing is, or it is one file that holds no blur.
        """
        folder = path.parent if path.name == RECORDS else path
        if (folder / RECORDS).is_file():
            records = {str(pair.blur.resolve()): pair.kernel for pair in read_pairs(folder) if pair.kernel is not None}
            if not records:
                raise UsageError("It records no PSFs of stored values.", "Sets of linear or trajectory blur do.", path)
            return cls(path, records)
        if not path.exists():
            raise UsageError("There is no such PSF.", "Check its path.", path)
        if not path.is_file():
            return cls(path)
        try:
            content = read_content(path)
            parse_values(content)
        except RestorekitError as error:
            raise UsageError(error.reason, error.hint, path) from error
        return cls(path, content=content)

    @property
    def folder(self) -> Path | None:
        """Where there are blurs and no images to restore, unless it is an input itself."""
        return self.path if self.path.is_dir() and not self.recorded else None

    def find(self, job: Job) -> Path | None:
        """The file that holds an image's blur; None if there is none."""
        if self.path.is_file():
            return self.path
        if self.recorded:
            return self.path / RECORDS
        beside = self.path / job.relative
        names = (beside.name + VALUES, *(beside.stem + suffix for suffix in SUFFIXES))
        return next((file for name in names if (file := beside.with_name(name)).is_file()), None)

    def digest(self, job: Job) -> str:
        """Tells an image's blur from others.

        Raises:
            RestorekitError: there is none, or it cannot be read.
        """
        return _digest(self._content(job))

    def read(self, job: Job, height: int, width: int) -> tuple[Blur, str]:
        """The blur of an image of that size, and its digest.

        Raises:
            RestorekitError: there is none, it cannot be read, or it does not fit the image.
        """
        content = self._content(job)
        with _told_of(self.find(job)):
            blur = to_blur(parse_values(content) if isinstance(content, bytes) else content, height, width)
        return blur, _digest(content)

    def _content(self, job: Job) -> bytes | PSF:
        """The bytes of a file, or a PSF that is recorded."""
        if self.content:
            return self.content
        path = self.find(job)
        if self.recorded:
            recorded = self.recorded.get(str(job.source.resolve()))
            if recorded is None:
                raise UsageError("It records no PSF of this image.", "Restore the images that it records.", path)
            return recorded
        if path is None:
            raise UsageError(
                f"{self.path} holds no PSF for {job.relative}.",
                f"Call it {job.relative.stem}.png, .tif or .npy.",
            )
        return read_content(path)


def _digest(content: bytes | PSF) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()[:16]


@contextmanager
def _told_of(path: Path | None) -> Iterator[None]:
    """Errors name the file."""
    try:
        yield
    except RestorekitError as error:
        error.path = path
        raise


def parse_values(data: bytes) -> NDArray[Any]:
    """What the content of a file holds: (K,L) a PSF, (H,W,2) a motion field, (R,S,K,L) a grid of PSFs.

    Args:
        data: TIFF or `.npy`; PNG and others for a PSF, in colours the mean counts.

    Raises:
        UnreadableImage: it cannot be read.
        UsageError: what it holds is no blur.
    """
    values: NDArray[Any]
    try:
        if data.startswith(b"\x93NUMPY"):
            values = np.load(io.BytesIO(data), allow_pickle=False)
        elif sniff(data[:SIGNATURE_LENGTH]) == "tiff":
            values = tifffile.imread(io.BytesIO(data))
        elif data and sniff(data[:SIGNATURE_LENGTH]) is None:
            raise UnreadableImage(
                "The content is no .npy, TIFF, PNG or other image.",
                "`kernel` may be a PSF, a motion field or a grid of PSFs in one of these, a folder of them, or "
                f"synth-blur's record by its own name, {RECORDS}.",
            )
        else:
            values = decode_image(data).pixels
    except RestorekitError:
        raise
    except Exception as error:  # NumPy and tifffile raise anything on damaged files
        raise UnreadableImage(f"The file is damaged ({type(error).__name__}: {error}).") from None
    if values.ndim == 3 and values.shape[2] in (1, 3, 4):
        values = values[..., :3].mean(axis=2)
    field = values.ndim == 3 and values.shape[2] == 2
    if values.dtype.kind not in "bfiu" or not (field or values.ndim in (2, 4)):
        raise UsageError(
            f"Values of shape {values.shape} and type {values.dtype} are no blur.", "A PSF is an array of two axes."
        )
    if not field:
        as_psf(values)
    return values


def to_blur(values: NDArray[Any], height: int, width: int) -> Blur:
    """Values as `parse_values` gives them as the blur of an image of that size.

    Raises:
        UsageError: a motion field of another size, or values that are not finite.
    """
    if values.ndim == 2:
        return Kernel(as_psf(values))
    if values.ndim == 4:
        return Windows(as_psf(values), height, width)
    if values.shape[:2] != (height, width):
        raise UsageError(
            f"The motion field has {values.shape[1]}x{values.shape[0]} px, the image {width}x{height}.",
            "Make the field for this image.",
        )
    u, v = np.moveaxis(values.astype(np.float32), 2, 0)
    return Lines(u, v)


def write_blur(blur: Blur, size: tuple[int, int], image: Image | None, values_path: Path, picture_path: Path) -> None:
    """Write a blur twice: as float32 TIFF that can be read again, and as a PNG to look at.

    Args:
        blur: what blurred the image.
        size: height and width of the image.
        image: is seen behind a motion field; None if it is not in memory.
        values_path, picture_path: the files.

    Raises:
        UnwritableOutput: no permission, no space, no such place.
    """
    values, picture = values_and_picture(blur, size, image)
    stream = io.BytesIO()
    tifffile.imwrite(stream, values.astype(np.float32), photometric="minisblack", metadata={})
    write_atomically(values_path, stream.getvalue())
    write_atomically(picture_path, encode_image(Image(picture)).data)


def values_and_picture(
    blur: Blur, size: tuple[int, int], image: Image | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What `to_blur` takes, and a picture (H,W,3) to look at; see `write_blur`."""
    if isinstance(blur, Kernel):
        return blur.psf, draw_kernel(blur.psf)
    if isinstance(blur, Lines):
        behind = np.zeros((*size, 3), np.uint8) if image is None else from_unit(to_unit(image.rgb()))
        return np.stack([blur.u, blur.v], axis=2), draw_motion(blur.u, blur.v, behind)
    windows = blur if isinstance(blur, Windows) else sample_windows(blur, *size, *SHEET)
    return windows.psfs, draw_sheet(windows.psfs)


def estimate_psf(blurred: Path, sharp: Path, out: Path, side: int | None = None) -> PSF:
    """Find the PSF between a blurred image and its sharp one; write it, and a picture of it.

    Args:
        blurred, sharp: files of images of one size.
        out: the PSF's file, a `.tif`; the picture is `picture_of(out)`.
        side: pixels that the PSF may measure, odd; by default 65, or a third of a smaller image.

    Raises:
        UnreadableImage: a file cannot be read.
        UsageError: an image does not exist, `out` is no `.tif`, one of both files is an input, or see
            `deconvolution.estimation.estimate_kernel`.
        UnwritableOutput: the result cannot be written.
    """
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError("A PSF is written as TIFF.", "Give a name that ends in .tif.", out)
    for written in (out, picture_of(out)):
        if written.exists() and any(path.exists() and written.samefile(path) for path in (blurred, sharp)):
            raise UsageError("The PSF would replace an input.", "Choose another place for it.", written)
    for path in (blurred, sharp):
        if not path.exists():  # a mistake of the command line, as where images are restored
            raise UsageError("There is no such file or folder.", "Check the path.", path)
    images = [read_image(path) for path in (blurred, sharp)]
    if side is None:
        third = max(1, min(images[1].size) // 3)
        side = min(LARGEST_SIDE, third - 1 + third % 2)
    first, second = (torch.from_numpy(to_unit(image.rgb())).permute(2, 0, 1)[None] for image in images)
    kernel = estimate_kernel(first, second, side)
    write_blur(kernel, images[0].size, images[0], out, picture_of(out))
    return kernel.psf


def picture_of(out: Path) -> Path:
    """Where the picture of a PSF goes: beside it, NAME.png."""
    return out.with_name(out.name + ".png")
