"""How long a whole video takes, against the bare forward passes of its frames and two other ways to restore it.

All sides run the same network, folded and channels-last, in float32 on the CPU, with freed buffers kept.

forward: the network on tensors that are ready, one whole frame after the other; nothing is read or written.
plain: decode a frame, restore it, encode it, then the next one.
png: decode all frames to PNG files, restore each to another PNG file, encode these, as public tools do.
restorekit: `restore_folder`, with everything that it keeps and checks.

A ratio forward / restorekit of 0.91 means that a video takes 1.10 times as long as its forward passes. Frames have 1280x720
for deblurring and 320x180 for super-resolution by 4. 100 frames of both take about six minutes on two idle cores.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from common import in_turns, parser, photo, record
from numpy.typing import NDArray

from restorekit import restore_folder
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.runtime.memory import keep_buffers
from restorekit.weights.load import load_model

RATE = 25
SIZES = {"deblur": (1280, 720), "sr": (320, 180)}
SETTINGS = Settings("cpu", "fp32")
Restore = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def make_clip(path: Path, frames: int, width: int, height: int) -> None:
    """A camera that moves over a photograph: no two frames are equal."""
    scene = photo(width + 2 * frames, height + frames)
    with av.open(str(path), "w") as out:
        encode(out, (scene[index : index + height, 2 * index : 2 * index + width] for index in range(frames)))


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


def main() -> None:
    options = parser(__doc__, rounds=1)
    options.add_argument("models", nargs="*", default=["gggan-lite", "compact"], help="(%(default)s)")
    options.add_argument("--frames", type=int, default=100, help="of the clip (%(default)s)")
    options.add_argument(
        "--divide", type=int, default=1, help="width and height by this, to try the script (%(default)s)"
    )
    asked = options.parse_args()
    keep_buffers()
    for name in asked.models:
        model = load_model(name)
        width, height = (side // asked.divide for side in SIZES[model.spec.task])
        network = Engine(model, SETTINGS).full_precision.network  # type: ignore[attr-defined]
        with tempfile.TemporaryDirectory() as place:
            root, clip = Path(place), Path(place, "clip.mp4")
            make_clip(clip, asked.frames, width, height)
            tensors = [
                torch.from_numpy(frame)[None].permute(0, 3, 1, 2).float() / 255
                for frame, _ in zip(decoded(clip), range(8), strict=False)
            ]
            restore = partial(restored, network)
            sides: dict[str, Callable[[], object]] = {
                "forward": partial(forward, network, tensors, asked.frames),
                "plain": partial(plain, clip, root / "plain.mp4", restore),
                "png": partial(png, clip, root, restore),
                "restorekit": partial(
                    restore_folder, [clip], root / "out", model=name, settings=SETTINGS, overwrite=True
                ),
            }
            network(tensors[0])
            taken = in_turns(asked.rounds, sides, warm_up=False)
        for side in ("forward", "plain", "png"):
            case = f"{name} {asked.frames} frames of {width}x{height}, {side}"
            record(asked.history, case, taken, side, "restorekit")


if __name__ == "__main__":
    main()
