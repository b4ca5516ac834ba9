from pathlib import Path

import numpy as np
import pytest

from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.psf import linear
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import UsageError
from restorekit.evaluation.datasets import find_dataset, find_sharp_images
from restorekit.media.encode import write_image
from restorekit.media.image import Image


def tree(root: Path, *names: str) -> Path:
    for name in names:
        write_image(Image(np.zeros((12, 12, 3), np.uint8)), root / name)
    return root


def names(layout: str, root: Path) -> list[str]:
    dataset = find_dataset(layout, root)
    assert dataset.layout == layout
    return [item.name for item in dataset.items]


def test_gopro_takes_the_test_sequences_and_never_the_gamma_pictures(tmp_path: Path) -> None:
    for sequence in ("test/GOPR0384_11_00", "test/GOPR0881_11_01", "train/GOPR0372_07_00"):
        tree(tmp_path, *(f"{sequence}/{half}/000001.png" for half in ("blur", "blur_gamma", "sharp")))
    expected = ["GOPR0384_11_00/000001", "GOPR0881_11_01/000001"]
    assert names("gopro", tmp_path) == expected
    assert names("gopro", tmp_path / "test") == expected
    for item in find_dataset("gopro", tmp_path).items:
        assert item.blurred is not None
        assert item.blurred.parent.name == "blur"


@pytest.mark.parametrize("truth", ["GroundTruth/GroundTruth1_2_{}.png", "frames/GroundTruth1_2/{}.png"])
def test_koehler_has_all_frames_of_a_trajectory(tmp_path: Path, truth: str) -> None:
    tree(tmp_path, "BlurryImages/Blurry1_2.png", *(truth.format(frame) for frame in range(3)))
    (item,) = find_dataset("kohler", tmp_path).items
    assert item.name == "Blurry1_2"
    assert len(item.sharp) == 3


@pytest.mark.parametrize("truth", ["GroundTruth/GroundTruth1_2_{}.png", "frames/GroundTruth1_2/{}.png"])
def test_koehlers_frames_are_in_the_order_of_time(tmp_path: Path, truth: str) -> None:
    """The set's numbers have no leading zeros, and the middle frame counts."""
    tree(tmp_path, "BlurryImages/Blurry1_2.png", *(truth.format(frame) for frame in range(1, 13)))
    (item,) = find_dataset("kohler", tmp_path).items
    assert [path.stem.rsplit("_", 1)[-1] for path in item.sharp] == [str(frame) for frame in range(1, 13)]


def test_koehler_without_frames_says_what_is_missing(tmp_path: Path) -> None:
    tree(tmp_path, "BlurryImages/Blurry1_2.png", "BlurryImages/Blurry3_4.png", "GroundTruth1_2_1.png")
    with pytest.raises(UsageError, match="GroundTruth3_4"):
        find_dataset("kohler", tmp_path)


def test_lai_pairs_both_kinds_with_their_truth(tmp_path: Path) -> None:
    tree(tmp_path, "uniform/natural_02_kernel_03.png", "nonuniform/natural_02_gyro_01.png", "real/a.png")
    tree(tmp_path, "ground_truth/natural_02.png")
    assert names("lai", tmp_path) == ["nonuniform/natural_02_gyro_01", "uniform/natural_02_kernel_03"]


def test_hide_pairs_close_ups_and_long_shots(tmp_path: Path) -> None:
    tree(tmp_path, "test/test-close-ups/1.png", "test/test-long-shot/2.png", "GT/1.png", "GT/2.png", "train/3.png")
    assert names("hide", tmp_path) == ["test-close-ups/1", "test-long-shot/2"]


def test_realblur_follows_its_test_list(tmp_path: Path) -> None:
    scene = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene001"
    tree(tmp_path, f"{scene}/gt/gt_1.png", f"{scene}/blur/blur_1.png", f"{scene}/blur/blur_2.png")
    (tmp_path / "RealBlur_J_test_list.txt").write_text(f"{scene}/gt/gt_1.png {scene}/blur/blur_1.png\n")
    (item,) = find_dataset("realblur", tmp_path).items
    assert (item.name, item.subset) == ("scene001/blur_1", scene.split("/")[0])
    (tmp_path / "RealBlur_J_test_list.txt").write_text(f"{scene}/gt/gt_9.png {scene}/blur/blur_9.png\n")
    with pytest.raises(UsageError, match="gt_9"):
        find_dataset("realblur", tmp_path)


def test_super_resolution_sets_are_averaged_apart(tmp_path: Path) -> None:
    tree(tmp_path, "Set5/image_SRF_4/img_001_SRF_4_HR.png", "Set5/image_SRF_4/img_001_SRF_4_LR.png", "Set14/baboon.png")
    tree(tmp_path, "DIV2K_valid_HR/0801.png", "other/x.png")
    found = {item.name: item.subset for item in find_dataset("sr", tmp_path).items}
    assert found == {
        "div2k_valid/0801": "div2k_valid",
        "set14/baboon": "set14",
        "set5/image_SRF_4/img_001_SRF_4_HR": "set5",
    }
    assert names("sr", tmp_path / "Set14") == ["set14/baboon"]


def test_pairs_of_synth_blur_come_with_their_kernels(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(photo[:60, :60]), tmp_path / "in/a.png")
    synthesize_pairs([tmp_path / "in"], tmp_path / "set", settings=BlurSettings(length=(7, 7), angle=(30, 30)))
    for folder in (tmp_path / "set", tmp_path / "set/all"):
        (item,) = find_dataset("pairs", folder).items
        assert item.psf is not None
        np.testing.assert_array_equal(item.psf, linear(7, 30))


def test_any_pairs_stand_in_for_a_set_that_is_not_at_hand(tmp_path: Path) -> None:
    tree(tmp_path, "mine/blur/a.png", "mine/sharp/a.png")
    found = find_dataset("gopro", tmp_path)
    assert (found.layout, [item.name for item in found.items]) == ("pairs", ["mine/a"])


@pytest.mark.parametrize(
    ("layout", "shown"),
    [
        ("gopro", "GOPR0384_11_00/blur"),
        ("kohler", "BlurryImages/Blurry1_1.png"),
        ("lai", "ground_truth/"),
        ("hide", "test-long-shot"),
        ("realblur", "test_list.txt"),
        ("pairs", "sharp/NAME.png"),
        ("frames", "NAME.png"),
        ("sr", "Set5/baby.png"),
    ],
)
def test_a_wrong_folder_gets_the_expected_tree(tmp_path: Path, layout: str, shown: str) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(UsageError, match=shown):
        find_dataset(layout, tmp_path)


def test_images_of_one_name_in_two_formats_stay_two(tmp_path: Path) -> None:
    tree(tmp_path, "mine/blur/a.png", "mine/sharp/a.png", "mine/blur/a.bmp", "mine/sharp/a.bmp", "mine/blur/b.png")
    tree(tmp_path, "mine/sharp/b.png")
    assert names("pairs", tmp_path) == ["mine/a.bmp", "mine/a.png", "mine/b"]


def test_pairs_below_the_two_folders_are_found_by_their_paths(tmp_path: Path) -> None:
    tree(tmp_path, "blur/x/a.png", "sharp/x/a.png", "blur/y/a.png", "sharp/y/a.png")
    assert names("pairs", tmp_path) == ["x/a", "y/a"]


def test_realblur_parts_are_averaged_apart_and_lines_without_two_files_are_passed_over(tmp_path: Path) -> None:
    for camera in "JR":
        root = f"RealBlur-{camera}_ECC/scene1"
        tree(tmp_path, f"{root}/gt/gt_1.png", f"{root}/blur/blur_1.png")
        line = f"{root}/gt/gt_1.png {root}/blur/blur_1.png"
        (tmp_path / f"RealBlur_{camera}_test_list.txt").write_text(f"only-one\n\n{line}\n")
    found = [
        (item.subset, item.sharp[0].parent.parent.parent.name) for item in find_dataset("realblur", tmp_path).items
    ]
    assert found == [("RealBlur-J_ECC", "RealBlur-J_ECC"), ("RealBlur-R_ECC", "RealBlur-R_ECC")]


def test_hide_without_a_sharp_image_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "test/test-close-ups/1.png", "GT/2.png")
    with pytest.raises(UsageError, match=r"GT.1\.png is expected"):
        find_dataset("hide", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find_dataset("hide", tmp_path / "nowhere")


def test_frames_that_are_pairs_already_are_taken_as_they_are(tmp_path: Path) -> None:
    tree(tmp_path, "blur/a.png", "sharp/a.png")
    assert find_dataset("frames", tmp_path).layout == "pairs"
    assert find_dataset("frames", tmp_path / "sharp").layout == "frames"


def test_items_come_by_subset_and_name(tmp_path: Path) -> None:
    tree(tmp_path, "Set5/b.png", "Set5/a.png", "Set14/c.png", "DIV2K-valid_HR/0801.png", "junk/x.png")
    found = [(item.subset, item.name) for item in find_dataset("sr", tmp_path).items]
    expected = [("div2k_valid", "0801"), ("set14", "c"), ("set5", "a"), ("set5", "b")]
    assert found == [(subset, f"{subset}/{name}") for subset, name in expected]


def test_sharp_images_alone_are_found_at_any_depth_and_results_among_them_are_not(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "deep/b.png", "deep/b.bmp", "out/images/m/c.png")
    found = find_sharp_images(tmp_path, tmp_path / "out")
    assert [item.name for item in found.items] == ["a", "deep/b.bmp", "deep/b.png"]
    assert all(item.blurred is None for item in found.items)
    for folder in (tmp_path / "nowhere", tmp_path / "out/images"):
        with pytest.raises(UsageError, match="no sharp images"):
            find_sharp_images(folder, tmp_path / "out")
