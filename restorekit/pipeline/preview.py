"""Show what a run would make of videos: some stills before and after, without restoring the rest."""

import time
from dataclasses import dataclass
from pathlib import Path

from restorekit.errors import UnreadableImage
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size, restore_to_size
from restorekit.media.discover import Job
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.numbered import is_pattern
from restorekit.media.video_reader import VideoReader, read_info, upright
from restorekit.pipeline.report import FileResult, failed_result
from restorekit.pipeline.side_by_side import side_by_side
from restorekit.pipeline.video_settings import VideoSettings
from restorekit.runtime.atomic import no_room_left


@dataclass
class PreviewWorker:
    """Writes NAME-000123.png, frame 123 before and after, for some frames of each video; see `runtime.executor.Worker`."""

    engine: Engine
    size: Size
    out: Path
    settings: VideoSettings

    def read(self, job: Job) -> dict[int, Image]:
        """Stills from the middles of equal parts of a video, by their index."""
        info = read_info(job.source, self.settings.fps if is_pattern(job.source) else None)
        first, last = self.settings.frames or (0, len(info.video.times))
        last, count = min(last, len(info.video.times)), self.settings.preview
        stills = {}
        for index in sorted({first + (2 * part + 1) * (last - first) // (2 * count) for part in range(count)}):
            frame = next(iter(VideoReader(info, self.settings.deinterlace, index)), None)
            if frame is None or frame.image is None:
                raise UnreadableImage(f"Frame {index} cannot be shown.", "Choose others with `frames`.", job.source)
            stills[index] = upright(frame, info)
        return stills

    def compute(self, job: Job, item: dict[int, Image]) -> tuple[dict[int, Image], float, float]:
        """Both halves of every still in one image, the megapixels before, and the time in the network."""
        begun = time.monotonic()
        after = {index: restore_to_size(image, self.engine, self.size).image for index, image in item.items()}
        seconds = time.monotonic() - begun
        megapixels = sum(height * width for height, width in (image.size for image in item.values())) / 1e6
        return {index: side_by_side(item[index], after[index]) for index in item}, megapixels, seconds

    def write(self, job: Job, computed: tuple[dict[int, Image], float, float]) -> FileResult:
        """Store the stills."""
        views, megapixels, seconds = computed
        name = job.source.parent.name if is_pattern(job.source) else job.source.name
        outputs = [(self.out / job.relative).with_name(f"{name}-{index:06}.png") for index in views]
        for output, view in zip(outputs, views.values(), strict=True):
            write_image(view, output)
        return FileResult(job.source, outputs[0], "done", megapixels, seconds, frames=len(outputs))

    def failed(self, job: Job, error: Exception) -> FileResult:
        """What is wrong with one video stays with it; where nothing can be written any more the run ends."""
        if no_room_left(error):
            raise error
        return failed_result(job.source, self.out / job.relative, error)
