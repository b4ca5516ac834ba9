"""How long a video and a folder of images take, against the bare forward passes and other ways to restore them.

All sides run the same network, folded and channels-last, in float32 on the CPU, with freed buffers kept.

forward: the network on tensors that are ready, one whole frame after the other; nothing is read or written.
plain: decode or read a frame, restore it, encode or write it, then the next one.
png (videos): decode all frames to PNG files, restore each to another PNG file, encode these, as public tools do.
restorekit: `restore_folder`, with everything that it keeps and checks.

With --backend or --precision only restorekit and the passes of the bare runtime, on pixels as they are, are compared.

A ratio forward / restorekit of 0.91 means 1.10 times the time of the forward passes. Frames have 1280x720
for deblurring and 320x180 for super-resolution by 4. Both systems take about ten minutes on two idle cores.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import torch
from common import in_turns, parser, photo, record
from numpy.typing import NDArray

from restorekit import restore_folder
from restorekit.inference.backends import Backend
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Runtime, Settings
from restorekit.runtime.memory import keep_buffers
from restorekit.weights.load import load_model
from restorekit.weights.network import load_network

RATE = 25
SIZES = {"deblur": (1280, 720), "sr": (320, 180)}
SETTINGS = Settings("cpu", "fp32")
Restore = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
Ways = dict[str, Callable[[], object]]


def moving_camera(count: int, width: int, height: int) -> list[NDArray[np.uint8]]:
    """(height,width,3) views of a photograph, no two of them equal."""
    scene = photo(width + 2 * count, height + count)
    return [
        np.ascontiguousarray(scene[index : index + height, 2 * index : 2 * index + width]) for index in range(count)
    ]


def encode(out: av.container.OutputContainer, frames: Iterator[NDArray[np.uint8]]) -> None:
    """As restorekit does by default: H.264, crf 16."""
    stream = out.add_stream("libx264", rate=RATE, options={"crf": "16"})
    for pixels in frames:
        if not stream.codec_context.is_open:
            stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")))
    out.mux(stream.encode(None))


def decoded(path: Path) -> Iterator[NDArray[np.uint8]]:
    """(H,W,3) of every frame."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def restored(network: torch.nn.Module, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H,W,3) through the network."""
    with torch.inference_mode():
        result = network(torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float() / 255)
        return np.asarray((result[0].permute(1, 2, 0) * 255).round().byte().numpy())


def forward(network: torch.nn.Module, tensors: list[torch.Tensor], frames: int) -> None:
    """The bare passes."""
    with torch.inference_mode():
        for index in range(frames):
            network(tensors[index % len(tensors)])


def bare(backend: Backend, frames: list[NDArray[np.uint8]]) -> None:
    """The passes of a runtime."""
    for frame in frames:
        backend(frame[None], None, (), np.uint8)


def plain(clip: Path, result: Path, restore: Restore) -> None:
    """One frame after the other."""
    with av.open(str(result), "w") as out:
        encode(out, (restore(frame) for frame in decoded(clip)))


def png(clip: Path, folder: Path, restore: Restore) -> None:
    """All frames as files, in three rounds."""
    names = []
    for index, frame in enumerate(decoded(clip)):
        names.append(folder / f"{index:06}.png")
        cv2.imwrite(str(names[-1]), frame[..., ::-1])
    for name in names:
        frame = np.ascontiguousarray(np.asarray(cv2.imread(str(name)), np.uint8)[..., ::-1])
        cv2.imwrite(str(name.with_suffix(".out.png")), restore(frame)[..., ::-1])
    with av.open(str(folder / "result.mp4"), "w") as out:
        encode(out, (np.asarray(cv2.imread(str(name.with_suffix(".out.png"))), np.uint8)[..., ::-1] for name in names))


def one_by_one(sources: list[Path], folder: Path, restore: Restore) -> None:
    """Read, restore and write one image after the other."""
    for source in sources:
        pixels = np.ascontiguousarray(np.asarray(cv2.imread(str(source)), np.uint8)[..., ::-1])
        cv2.imwrite(str(folder / source.name), restore(pixels)[..., ::-1])


def video_ways(
    root: Path, name: str, restore: Restore, frames: list[NDArray[np.uint8]], settings: Settings = SETTINGS
) -> Ways:
    """The frames as a clip."""
    clip = root / "clip.mp4"
    with av.open(str(clip), "w") as out:
        encode(out, iter(frames))
    return {
        "plain": partial(plain, clip, root / "plain.mp4", restore),
        "png": partial(png, clip, root, restore),
        "restorekit": partial(restore_folder, [clip], root / "out", model=name, settings=settings, overwrite=True),
    }


def image_ways(
    root: Path,
    name: str,
    restore: Restore,
    frames: list[NDArray[np.uint8]],
    suffix: str,
    settings: Settings = SETTINGS,
) -> Ways:
    """The frames as files."""
    images, folder = root / "in", root / "one-by-one"
    images.mkdir()
    folder.mkdir()
    sources = [images / f"{index:06}{suffix}" for index in range(len(frames))]
    for source, pixels in zip(sources, frames, strict=True):
        cv2.imwrite(str(source), pixels[..., ::-1])
    return {
        "plain": partial(one_by_one, sources, folder, restore),
        "restorekit": partial(restore_folder, [images], root / "out", model=name, settings=settings, overwrite=True),
    }


def main() -> None:
    options = parser(__doc__, rounds=1)
    options.add_argument("models", nargs="*", default=["gggan-lite", "compact"], help="(%(default)s)")
    options.add_argument("--frames", type=int, default=100, help="of the clip (%(default)s)")
    options.add_argument("--images", type=int, default=64, help="in the folder (%(default)s)")
    options.add_argument(
        "--divide", type=int, default=1, help="width and height by this, to try the script (%(default)s)"
    )
    options.add_argument("--bare", action="store_true", help="compare with the forward passes alone")
    options.add_argument("--backend", choices=get_args(Runtime), help="what computes (torch)")
    options.add_argument("--precision", choices=["fp32", "bf16", "int8"], default="fp32", help="(%(default)s)")
    asked = options.parse_args()
    keep_buffers()
    settings = Settings("cpu", asked.precision, backend=asked.backend)
    by = "" if settings == SETTINGS else f", {asked.precision} by {asked.backend or 'torch'}"
    for name in asked.models:
        model = load_model(name)
        width, height = (side // asked.divide for side in SIZES[model.spec.task])
        network = Engine(model, SETTINGS).full_precision.network  # type: ignore[attr-defined]
        restore = partial(restored, network)
        for kind, count, ways in (
            ("frames of a video", asked.frames, video_ways),
            ("PNG images", asked.images, partial(image_ways, suffix=".png")),
            ("JPEG images", asked.images, partial(image_ways, suffix=".jpg")),
        ):
            frames = moving_camera(count, width, height)
            tensors = [torch.from_numpy(frame)[None].permute(0, 3, 1, 2).float() / 255 for frame in frames[:8]]
            network(tensors[0])
            with tempfile.TemporaryDirectory() as root:
                sides: Ways = {"forward": partial(forward, network, tensors, count)}
                sides |= ways(Path(root), name, restore, frames, settings=settings)
                if settings != SETTINGS:
                    computed = load_network(name, int8=asked.precision == "int8")
                    sides["forward"] = partial(bare, Engine(computed, settings).backend, frames)
                if asked.bare or settings != SETTINGS:
                    sides = {side: sides[side] for side in ("forward", "restorekit")}
                taken = in_turns(asked.rounds, sides, warm_up=False)
            for side in sides:
                if side != "restorekit":
                    case = f"{name} {count} {kind}, {width}x{height}, {side}{by}"
                    record(asked.history, case, taken, side, "restorekit")


if __name__ == "__main__":
    main()
