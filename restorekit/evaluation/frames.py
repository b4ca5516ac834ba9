"""Sets of sharp frames: which of them a protocol tests, and their blurred twins.

The split and the blur are those of `synth-blur` with the same numbers: its test part holds the same images, blurred alike.
"""

from dataclasses import replace
from pathlib import Path

from restorekit.degradation.pair_plan import plan_pairs
from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.evaluation.datasets import Dataset, Item, find_dataset
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.runtime.progress import Progress

UNSPLIT = "all"
"""The part that holds everything where a protocol splits nothing."""


def find_test_frames(request: BenchmarkRequest, frames: Dataset, out: Path) -> Dataset:
    """The frames that are tested, still sharp.

    Args:
        request: names the protocol and the folder.
        frames: all that the folder holds.
        out: folder of results; what is there does not count.
    """
    protocol, settings = request.protocol, _blur_settings(request)
    planned = plan_pairs([request.data], out, protocol.split_of(len(frames.items)), 1, settings.seed, [out])
    part = "test" if protocol.split else UNSPLIT
    items = (Item(pair.name.removesuffix(".png"), (pair.job.source,)) for pair in planned if pair.part == part)
    return replace(frames, items=tuple(items))


def blur_test_frames(
    request: BenchmarkRequest, frames: Dataset, out: Path, progress: Progress
) -> tuple[Dataset, list[str]]:
    """Blur the frames that are tested. What other runs left among the pairs does not count.

    Args:
        request, frames, out: see `find_test_frames`.
        progress: told of every frame.

    Returns:
        The pairs, and messages about frames that could not be blurred.

    Raises:
        UnwritableOutput: the pairs cannot be written.
    """
    protocol = request.protocol
    folder, part = out / "pairs" / protocol.name, "test" if protocol.split else UNSPLIT
    summary = synthesize_pairs(
        [request.data],
        folder,
        settings=_blur_settings(request),
        split=protocol.split_of(len(frames.items)),
        parts={part},
        excluded=[out],
        progress=progress,
    )
    failed = [pair for pair in summary.results if pair.status == "failed"]
    messages = [f"{len(failed)} frames could not be blurred, e.g. {failed[0].reason}"] if failed else []
    made = {pair.key for pair in summary.results if pair.status != "failed"}
    pairs = find_dataset("pairs", folder / part).items if made else ()
    return replace(frames, items=tuple(item for item in pairs if f"{part}/{item.name}.png" in made)), messages


def _blur_settings(request: BenchmarkRequest) -> BlurSettings:
    return request.protocol.blur or BlurSettings()
