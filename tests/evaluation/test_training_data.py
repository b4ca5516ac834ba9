"""What a network was trained on, it is not tested on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import randomise

from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import UsageError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.protocol import Protocol, load_protocol
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.runtime.fingerprints import fingerprint, pack
from restorekit.weights import state_dict


@pytest.fixture
def nine(tmp_path: Path, photo: np.ndarray) -> Path:
    """Nine different sharp frames, in two folders."""
    for number in range(9):
        frame = np.roll(photo, 15 * number, axis=1)[:48, :64]
        write_image(Image(frame), tmp_path / f"nine/{'early' if number < 4 else 'late'}/{number}.png")
    return tmp_path / "nine"


def small(name: str) -> Protocol:
    """The protocol with its split in hundredths, and a blur that fits small frames."""
    protocol = load_protocol(name)
    split = {part: count // 100 for part, count in protocol.split.items()}
    changes = {"split": split, "expected": split["test"], "blur": BlurSettings(length=(5, 9))}
    return protocol.model_copy(update=changes)


def weights_that_saw(images: list[Path], path: Path) -> str:
    header = {"model": "gggan-lite", "trained_on": pack(map(fingerprint, images))}
    state_dict.save(randomise(registry.build("gggan-lite")).state_dict(), path, header, torch.float16)
    return f"gggan-lite:{path}"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("gggan-ead", {"train": 480, "test": 300}),
        ("gggan-kid", {"train": 1398, "test": 1000}),
        ("gggan-kid-transfer", {"train": 1398, "test": 1000}),
    ],
)
def test_the_gggan_protocols_state_the_papers_split(name: str, split: dict[str, int]) -> None:
    assert load_protocol(name).split == split


def test_the_benchmark_tests_what_synth_blur_calls_test_and_nothing_of_what_it_trains_on(
    nine: Path, tmp_path: Path
) -> None:
    protocol = small("gggan-ead")  # 4 to train on, 3 to test on
    assert protocol.blur is not None
    synthesize_pairs([nine], tmp_path / "set", settings=protocol.blur, split=protocol.split)
    result = run_benchmark(BenchmarkRequest(protocol, nine), tmp_path / "out")
    tested = {f"{item.name}.png" for item in result.dataset.items}
    assert len(tested) == 3
    assert tested == names(tmp_path / "set/test/sharp")
    assert not tested & names(tmp_path / "set/train/sharp")
    made = tmp_path / "out/pairs/gggan-ead/test/blur"
    for name in tested:  # the same frames, blurred alike
        assert (made / name).read_bytes() == (tmp_path / "set/test/blur" / name).read_bytes()
    assert not any("too few" in message for message in result.messages)


def test_frames_of_another_size_than_the_papers_are_reported(nine: Path, tmp_path: Path) -> None:
    protocol = small("gggan-ead")
    assert protocol.frame_size == (1349, 1079)
    result = run_benchmark(BenchmarkRequest(protocol, nine), tmp_path / "out")
    said = "The paper's frames have 1349x1079 px; 3 of these 3 have not, e.g. 64x48."
    assert said in result.messages
    fitting = protocol.model_copy(update={"frame_size": (64, 48)})
    assert not any("px" in text for text in run_benchmark(BenchmarkRequest(fitting, nine), tmp_path / "two").messages)


def test_too_few_frames_for_the_split_are_tested_as_far_as_they_go(nine: Path, tmp_path: Path) -> None:
    protocol = small("gggan-ead")
    whole = run_benchmark(BenchmarkRequest(protocol, nine, baselines=True), tmp_path / "whole")
    for name in ("early/0", "early/1", "early/2", "early/3"):
        if name not in {item.name for item in whole.dataset.items}:
            (nine / f"{name}.png").unlink()
    left = len(list(nine.rglob("*.png")))
    assert 3 < left < 7
    result = run_benchmark(BenchmarkRequest(protocol, nine), tmp_path / "out")
    assert {item.name for item in result.dataset.items} == {item.name for item in whole.dataset.items}
    assert any(f"these are {left} in all, too few for both" in message for message in result.messages)


def test_frames_that_were_trained_on_are_refused_and_nothing_is_written(nine: Path, tmp_path: Path) -> None:
    protocol = small("gggan-ead")
    everything = weights_that_saw(sorted(nine.rglob("*.png")), tmp_path / "all.safetensors")
    request = BenchmarkRequest(protocol, nine, models=(everything,), repeats=0)
    with pytest.raises(UsageError, match=r"gggan-lite:all was trained on 3 of these images, e\.g\. (early|late)/\d:"):
        run_benchmark(request, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_frames_of_the_training_part_alone_refuse_nothing(nine: Path, tmp_path: Path) -> None:
    protocol = small("gggan-ead")
    synthesize_pairs([nine], tmp_path / "set", settings=BlurSettings(length=(5, 9)), split=protocol.split)
    trained = [nine / name for name in names(tmp_path / "set/train/sharp")]
    model = weights_that_saw(trained, tmp_path / "train.safetensors")
    result = run_benchmark(BenchmarkRequest(protocol, nine, models=(model,), repeats=0), tmp_path / "out")
    assert result.failed == 0
    assert not any("trained" in message for message in result.messages)


def test_a_pair_made_of_an_original_that_was_trained_on_is_recognised(
    pairs: Path, frames: Path, tmp_path: Path
) -> None:
    model = weights_that_saw([frames / "b.png"], tmp_path / "b.safetensors")  # the original, not the pair's own file
    request = BenchmarkRequest(load_protocol("pairs"), pairs, models=(model,), repeats=0)
    with pytest.raises(UsageError, match=r"trained on 1 of these images, e\.g\. all/b:"):
        run_benchmark(request, tmp_path / "out")
    model = weights_that_saw([pairs / "all/sharp/a.png"], tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match=r"trained on 1 of these images, e\.g\. all/a:"):
        run_benchmark(BenchmarkRequest(load_protocol("pairs"), pairs, models=(model,)), tmp_path / "out")


def test_training_data_that_are_allowed_are_named_in_the_report(pairs: Path, frames: Path, tmp_path: Path) -> None:
    model = weights_that_saw([frames / "b.png"], tmp_path / "b.safetensors")
    request = BenchmarkRequest(
        load_protocol("pairs"), pairs, models=(model,), repeats=0, baselines=False, allow_training_data=True
    )
    result = run_benchmark(request, tmp_path / "out")
    said = "gggan-lite:b was trained on 1 of these images, e.g. all/b: its scores say nothing about new ones."
    assert result.messages == (said,)
    assert said in result.report.read_text(encoding="utf-8")


def test_weights_that_do_not_record_their_training_data_are_named_once(
    pairs: Path, photo: np.ndarray, weights_file: Path, tmp_path: Path
) -> None:
    write_image(Image(photo), tmp_path / "other.png")
    recorded = weights_that_saw([tmp_path / "other.png"], tmp_path / "other.safetensors")
    models = (f"one=gggan-lite:{weights_file}", f"two=gggan-lite:{weights_file}", recorded)
    request = BenchmarkRequest(load_protocol("pairs"), pairs, models=models, repeats=0)
    result = run_benchmark(request, tmp_path / "out")
    assert len(result.dataset.items) > 1
    said = "The weights of one, two do not record what they were trained on; it may hold these images."
    assert result.messages == (said,)
