"""Read the real folder trees of the benchmark sets. A folder that is none of them gets an error that shows the tree."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.pairs import find_records
from restorekit.errors import UsageError
from restorekit.media.discover import find_images, find_pairs

GOPRO_TEST = (
    *("GOPR0384_11_00", "GOPR0384_11_05", "GOPR0385_11_01", "GOPR0396_11_00", "GOPR0410_11_00", "GOPR0854_11_00"),
    *("GOPR0862_11_00", "GOPR0868_11_00", "GOPR0869_11_00", "GOPR0871_11_00", "GOPR0881_11_01"),
)


LayoutName = Literal["pairs", "frames", "gopro", "kohler", "lai", "hide", "realblur", "sr"]


@dataclass(frozen=True)
class Item:
    """One image of a data set."""

    name: str
    """Unique in the data set; the path of its result below a method's folder, without suffix."""
    sharp: tuple[Path, ...]
    """The truth: one image, or all frames that may count as it."""
    blurred: Path | None = None
    """None where the input is made from the sharp image (super-resolution) or there is none."""
    subset: str = "all"
    """The part of the data set that it is averaged with."""
    psf: NDArray[np.float32] | None = None
    """(k,k) point spread function of the blur, where it is known."""


@dataclass(frozen=True)
class Dataset:
    """What a folder holds."""

    layout: LayoutName
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Layout:
    """A reader, and the tree that it expects."""

    read: Callable[[Path], list[Item]]
    """The items of a folder; empty if it is not of this layout."""
    tree: str


def find_dataset(layout: LayoutName, folder: Path, out: Path | None = None) -> Dataset:
    """List the images of a data set.

    Args:
        layout: a name of `LAYOUTS`.
        folder: the set's own folder. Any folder of pairs will do too: then `Dataset.layout` is "pairs".
        out: folder of results, which may lie inside; what is there does not count.

    Raises:
        UsageError: the folder is neither; the message shows the expected tree.
    """
    if not folder.is_dir():
        raise UsageError("There is no such folder.", "Check its path.", folder)
    layouts: list[LayoutName] = [layout] if layout in ("sr", "pairs") else [layout, "pairs"]
    if layout == "frames":  # a set that was already blurred is taken as it is
        layouts.reverse()
    for name in layouts:
        if items := _outside(out, LAYOUTS[name].read(folder)):
            return Dataset(name, tuple(sorted(_unique(items), key=lambda item: (item.subset, item.name))))
    raise UsageError("This folder does not hold what the protocol needs.", f"Expected:\n{LAYOUTS[layout].tree}", folder)


def _outside(out: Path | None, items: list[Item]) -> list[Item]:
    if out is None:
        return items
    results = out.resolve()
    return [item for item in items if not item.sharp[0].resolve().is_relative_to(results)]


def _unique(items: list[Item]) -> list[Item]:
    """Items with the suffix of their file in the name, where the same name is there in several formats."""
    uses = Counter(item.name for item in items)
    return [
        item if uses[item.name] == 1 else replace(item, name=f"{item.name}{(item.blurred or item.sharp[0]).suffix}")
        for item in items
    ]


def find_sharp_images(folder: Path, out: Path | None = None) -> Dataset:
    """Sharp images alone: what a folder that was restored elsewhere is compared with.

    Args:
        folder: holds them, at any depth.
        out: see `find_dataset`.

    Raises:
        UsageError: no such folder, or no image in it.
    """
    if not folder.is_dir() or not (items := _outside(out, _frames(folder))):
        raise UsageError("There are no sharp images here.", "Check its path.", folder)
    return Dataset("pairs", tuple(_unique(items)))


def _pairs(folder: Path) -> list[Item]:
    """Sibling folders `blur` and `sharp`, with the PSFs of `synth-blur` where they are recorded."""
    records = find_records(folder)
    items = []
    for pair in find_pairs(folder):
        assert pair.blurred is not None  # only a list without pairs has sharp images alone
        sharp, blurred = (path.relative_to(folder).parts for path in (pair.sharp, pair.blurred))
        name = _name(Path(*(part for part, other in zip(sharp, blurred, strict=True) if part == other)))
        record = records.get(pair.sharp.resolve())
        items.append(Item(name, (pair.sharp,), pair.blurred, psf=record.kernel if record else None))
    return items


def _frames(folder: Path) -> list[Item]:
    return [Item(_name(job.relative), (job.source,)) for job in find_images([folder])]


def _name(relative: Path) -> str:
    return relative.with_suffix("").as_posix()


def _gopro(folder: Path) -> list[Item]:
    """The test half of GOPRO_Large. `blur_gamma` exists beside `blur`; the tables use `blur`."""
    root = folder / "test" if (folder / "test").is_dir() else folder
    items = [item for sequence in GOPRO_TEST if (root / sequence).is_dir() for item in _pairs(root / sequence)]
    return [replace(item, name=f"{item.sharp[0].parent.parent.name}/{item.sharp[0].stem}", psf=None) for item in items]


def _kohler(folder: Path) -> list[Item]:
    """Blurred images, each with the frames of its camera's trajectory in one folder, or in folders by kernel."""
    frames: dict[str, list[Path]] = {}
    for job in find_images([folder]):
        match = re.search(r"GroundTruth_?(\d+)_(\d+)(?:_\d+)?(?:/[^/]+)?$", _name(job.relative))
        if match:
            frames.setdefault(f"{match[1]}_{match[2]}", []).append(job.source)
    items = []
    for path in sorted((folder / "BlurryImages").glob("Blurry*_*.*")):
        key = path.stem.removeprefix("Blurry").lstrip("_")
        if key not in frames:
            raise UsageError(
                "The blurred image has no ground-truth frames.", f"GroundTruth{key}_<frame>.png are expected.", path
            )
        items.append(Item(path.stem, tuple(sorted(frames[key], key=_numbers)), path))
    return items


def _numbers(path: Path) -> list[int]:
    """The numbers in a file's name: 2 comes before 10, as in time."""
    return [int(digits) for digits in re.findall(r"\d+", path.stem)]


def _lai(folder: Path) -> list[Item]:
    items = []
    for part in ("uniform", "nonuniform"):
        for job in find_images([folder / part]) if (folder / part).is_dir() else []:
            match = re.fullmatch(r"(.+_\d+)_(?:kernel|gyro)_\d+", job.source.stem)
            sharp = next((folder / "ground_truth").glob(f"{match[1]}.*"), None) if match else None
            if sharp is not None:
                items.append(Item(f"{part}/{job.source.stem}", (sharp,), job.source))
    return items


def _hide(folder: Path) -> list[Item]:
    items = []
    for part in ("test-close-ups", "test-long-shot"):
        place = folder / "test" / part
        for job in find_images([place]) if place.is_dir() else []:
            candidates = (folder / "GT" / job.relative, folder / "GT" / job.source.name)
            sharp = next((path for path in candidates if path.is_file()), None)
            if sharp is None:
                raise UsageError("The blurred image has no sharp one.", f"{candidates[1]} is expected.", job.source)
            items.append(Item(f"{part}/{_name(job.relative)}", (sharp,), job.source))
    return items


def _realblur(folder: Path) -> list[Item]:
    """Test lists name a sharp and a blurred file a line, with paths from the folder or its parent."""
    items = []
    for listing in sorted(folder.glob("*test*list*.txt")):
        for line in listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if len(parts := line.split()) < 2:
                continue
            sharp, blurred = (_below(folder, part) for part in parts[:2])
            items.append(
                Item(
                    f"{blurred.parent.parent.name}/{blurred.stem}", (sharp,), blurred, subset=_realblur_subset(blurred)
                )
            )
    return items


def _realblur_subset(blurred: Path) -> str:
    """RealBlur-J and RealBlur-R are two sets with tables of their own."""
    return next((part for part in blurred.parts if part.startswith("RealBlur")), "all")


def _below(folder: Path, part: str) -> Path:
    for base in (folder, folder.parent):
        if (base / part).is_file():
            return base / part
    raise UsageError("A file of the test list is missing.", f"{part} is expected below it.", folder)


SR_SUBSETS = ("set5", "set14", "bsd100", "urban100", "manga109", "div2k_valid")


def _sr(folder: Path) -> list[Item]:
    """Folders of originals by the sets' names, one such folder, or DIV2K's; every set is averaged on its own."""
    places = [path for path in sorted(folder.iterdir()) if path.is_dir() and _sr_subset(path) in SR_SUBSETS] or [folder]
    items = []
    for place in places:
        jobs = find_images([place])
        # Set5's public archive holds HR, LR and results side by side.
        high = [job for job in jobs if re.search(r"(^|_)HR$", job.source.stem)]
        for job in high or jobs:
            items.append(Item(f"{_sr_subset(place)}/{_name(job.relative)}", (job.source,), subset=_sr_subset(place)))
    return items


def _sr_subset(folder: Path) -> str:
    return folder.resolve().name.lower().removesuffix("_hr").replace("div2k-valid", "div2k_valid")


LAYOUTS: Mapping[LayoutName, Layout] = MappingProxyType(
    {
        "pairs": Layout(
            _pairs,
            "DATA/.../blur/NAME.png\nDATA/.../sharp/NAME.png    same names; `restorekit synth-blur` makes such folders",
        ),
        "frames": Layout(
            _frames, "DATA/NAME.png ...    sharp frames (EAD2019, KID, ...), at any depth; they are blurred here"
        ),
        "gopro": Layout(
            _gopro,
            "DATA/test/GOPR0384_11_00/blur/000001.png\nDATA/test/GOPR0384_11_00/sharp/000001.png\n"
            "...    eleven sequences, 1111 pairs (GOPRO_Large)",
        ),
        "kohler": Layout(
            _kohler,
            "DATA/BlurryImages/Blurry1_1.png ... Blurry4_12.png\n"
            "DATA/.../GroundTruth1_1_1.png ...    or folders GroundTruth1_1/ with the frames of each trajectory",
        ),
        "lai": Layout(
            _lai,
            "DATA/uniform/manmade_01_kernel_01.png ...\nDATA/nonuniform/manmade_01_gyro_01.png ...\n"
            "DATA/ground_truth/manmade_01.png ...",
        ),
        "hide": Layout(
            _hide,
            "DATA/test/test-close-ups/NAME.png ...\nDATA/test/test-long-shot/NAME.png ...\nDATA/GT/NAME.png ...",
        ),
        "realblur": Layout(
            _realblur,
            "DATA/RealBlur_J_test_list.txt    a line: GT_FILE BLURRED_FILE\n"
            "DATA/RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene001/{gt/gt_1.png,blur/blur_1.png} ...",
        ),
        "sr": Layout(_sr, "DATA/Set5/baby.png ...    originals; or several sets: DATA/{Set5,Set14,DIV2K_valid_HR}/..."),
    }
)
