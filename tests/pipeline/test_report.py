import dataclasses
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from restorekit.errors import UnreadableImage
from restorekit.inference.engine import TilingInfo
from restorekit.media.discover import Job
from restorekit.pipeline import report
from restorekit.pipeline.report import FileResult, Results, failed_result

OUT = Path("out")


def test_results_come_back_as_they_were() -> None:
    results, told = Results(OUT), []
    for number, status in enumerate(("done", "failed", "skipped")):
        job = Job("in", f"deeper/{number}.png", f"deeper/{number}.png")
        info = TilingInfo(tiles=number) if status == "done" else None
        told.append(FileResult(job.source, OUT / job.relative, status, 0.3, 1.5, reason="no" * number, info=info))
        results.add(job, told[-1])
    shown = replace(told[0], output=OUT / "0.png-000004.png")  # of a video's preview
    results.add(Job("in", "deeper/0.png", "deeper/0.png"), shown)
    assert list(results) == [*told, shown]
    assert (results[-1], results[1:3]) == (shown, told[1:])
    assert [results.count_status(status) for status in ("done", "failed", "skipped", "planned")] == [2, 1, 1, 0]
    with pytest.raises(IndexError):
        _ = results[4]


def test_of_a_file_that_is_restored_again_the_last_result_counts() -> None:
    results = Results(OUT)
    for name, status in (("a.png", "done"), ("b.png", "failed"), ("c.png", "done")):
        job = Job("in", name, name)
        results.add(job, FileResult(job.source, OUT / name, status, megapixels=len(results)))
    assert results.forget([Job("in", "d.png", "d.png")]) == 0
    assert results.forget([Job("in", "b.png", "b.png.mkv", video=True)]) == 1
    assert [(result.source.name, result.megapixels) for result in results] == [("a.png", 0), ("c.png", 2)]
    assert results.count_status("failed") == 0


def test_a_result_takes_less_than_a_hundred_bytes() -> None:
    jobs = [Job("in", f"{number}.png", f"{number}.png") for number in range(3000)]
    tracemalloc.start()
    results = Results(OUT)
    for job in jobs:
        results.add(job, FileResult(job.source, OUT / job.relative, "done", 0.5, 0.25, info=TilingInfo((64, 64), 2, 9)))
    ours = [tracemalloc.Filter(True, str(module.__file__)) for module in (report, dataclasses)]
    taken = tracemalloc.take_snapshot().filter_traces(ours)  # other tests' threads may still be ending
    tracemalloc.stop()
    assert 24 < sum(trace.size for trace in taken.traces) / len(jobs) < 100


def test_a_failure_names_the_file_that_is_to_blame_where_that_is_not_the_image() -> None:
    source, output = Path("a.png"), OUT / "a.png"
    reasons = [
        failed_result(source, output, UnreadableImage("The file is empty.", path=path)).reason
        for path in (Path("psf.npy"), source, output, None)
    ]
    assert reasons == ["psf.npy: The file is empty.", *["The file is empty."] * 3]
