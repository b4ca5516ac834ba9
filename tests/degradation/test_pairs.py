import base64
import json
from pathlib import Path

import numpy as np
import pytest

from restorekit import synthesize
from restorekit.degradation.convolution import convolve
from restorekit.degradation.pairs import Recipe
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image

SHORT = Recipe(length=(5, 9))


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(6):
        write_image(Image(np.roll(photo[:48, :64], number * 5, axis=0)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def files(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]


def test_same_bytes_for_any_worker_count(sharp: Path, tmp_path: Path) -> None:
    recipe = Recipe(kind="mixed", length=(5, 9), noise=2)
    synthesize([sharp], tmp_path / "one", recipe=recipe, workers=1)
    synthesize([sharp], tmp_path / "four", recipe=recipe, workers=4)
    assert files(tmp_path / "one") == files(tmp_path / "four")
    assert len(files(tmp_path / "one")) == 13


def test_a_pair_does_not_depend_on_what_else_is_in_the_folder(sharp: Path, tmp_path: Path) -> None:
    synthesize([sharp], tmp_path / "all", recipe=SHORT)
    (sharp / "0.png").unlink()
    synthesize([sharp], tmp_path / "fewer", recipe=SHORT)
    assert (tmp_path / "all/all/blur/3.png").read_bytes() == (tmp_path / "fewer/all/blur/3.png").read_bytes()


def test_the_record_reproduces_the_picture_and_kernels_differ(sharp: Path, tmp_path: Path) -> None:
    synthesize([sharp], tmp_path / "out", recipe=SHORT)
    found = records(tmp_path / "out")
    assert len({record["kernel"] for record in found}) == len(found) == 6
    for record in found:
        side = record["kernel_side"]
        kernel = np.frombuffer(base64.b64decode(record["kernel"]), np.float32).reshape(side, side)
        original = read_rgb8(tmp_path / "out" / record["sharp"])
        blurred = from_unit(convolve(to_unit(original), kernel))
        assert np.array_equal(blurred, read_rgb8(tmp_path / "out" / record["blur"]))
        assert 5 <= record["length"] <= 9
        assert -40 <= record["angle"] <= 40


def test_splits_are_disjoint_sized_and_seeded(sharp: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        synthesize(
            [sharp], tmp_path / str(seed), recipe=Recipe(length=(5, 9), seed=seed), split={"train": 4, "test": 2}
        )
    parts = [
        {record["source"]: record["name"].split("/")[0] for record in records(tmp_path / str(seed))} for seed in (1, 2)
    ]
    assert all(sorted(part.values()) == ["test"] * 2 + ["train"] * 4 for part in parts)
    assert parts[0] != parts[1]
    with pytest.raises(UsageError, match="there are 6"):
        synthesize([sharp], tmp_path / "x", split={"train": 7})


def test_second_run_makes_only_what_is_missing(sharp: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    synthesize([sharp], out, recipe=SHORT)
    before = files(out)
    (out / "all/blur/2.png").unlink()
    made = synthesize([sharp], out, recipe=SHORT)
    assert [one.status for one in made].count("skipped") == 5
    assert files(out) == before
    assert all(one.status == "done" for one in synthesize([sharp], out, recipe=Recipe(length=(6, 9))))


def test_valid_border_crops_both_and_16_bit_stays(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (60, 70, 3)).astype(np.uint16)
    write_image(Image(deep), tmp_path / "in" / "x.png")
    synthesize([tmp_path / "in"], tmp_path / "out", recipe=Recipe(length=(9, 9), border="valid"), per_image=2)
    for copy in (0, 1):
        pair = [read_image(tmp_path / "out" / "all" / half / f"x_{copy}.png").pixels for half in ("blur", "sharp")]
        assert pair[0].shape == pair[1].shape
        assert pair[0].shape[0] < 60
        assert pair[0].dtype == np.uint16


def test_a_bad_source_fails_alone(sharp: Path, tmp_path: Path) -> None:
    (sharp / "bad.png").write_text("no picture")
    made = synthesize([sharp], tmp_path / "out", recipe=SHORT)
    assert [one.name for one in made if one.status == "failed"] == ["all/bad.png"]
    assert sum(one.status == "done" for one in made) == 6
