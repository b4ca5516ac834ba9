"""weights.toml: what it must say, how a mistake in it is told, and which weights are chosen."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from restorekit.errors import WeightsError
from restorekit.training.recipe import Recipe
from restorekit.weights import state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import BundledWeights, Manifest, RemoteWeights, load_manifest, read_manifest

HASH = "0" * 64
BUNDLED = {
    "model": "espcn",
    "tag": "four",
    "file": "four.safetensors",
    "licence": "MIT",
    "sha256": HASH,
    "size": 1,
    "domain": "d",
    "weakness": "w",
    "data": "d",
    "hours": 1.0,
    "hardware": "h",
    "recipe": {},
}
REMOTE = {"model": "srresnet", "tag": "x4", "file": "four.pth", "licence": "MIT", "page": "https://a", "paper": "p"}


def bundled(**fields: object) -> BundledWeights:
    return BundledWeights.model_validate(BUNDLED | fields)


def remote(**fields: object) -> RemoteWeights:
    return RemoteWeights.model_validate(REMOTE | fields)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[RemoteWeights], RemoteWeights]:
    """Puts an empty file where remote weights would be fetched to."""
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path / "cache"))

    def put(entry: RemoteWeights) -> RemoteWeights:
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        entry.path.touch()
        return entry

    return put


# What ships


def test_entries_are_complete_and_unambiguous() -> None:
    manifest = load_manifest()
    entries = [*manifest.bundled, *manifest.remote]
    assert len({entry.name for entry in entries}) == len(entries)
    assert len({entry.path for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.licence
        assert not Path(entry.tag).suffix  # a tag with a dot would be taken for a file
    for entry in manifest.remote:
        assert entry.page.startswith("https://")
        assert entry.url is None or entry.url.startswith("https://")
        assert entry.paper


def test_every_bundled_file_is_what_the_manifest_says() -> None:
    entries = load_manifest().bundled
    assert len(entries) == 15
    for entry in entries:
        assert entry.path.stat().st_size == entry.size
        assert state_dict.sha256(entry.path) == entry.sha256
        model = load_model(entry.model, entry.tag)
        assert model.module.training is False
        assert (model.provenance.weights, model.provenance.sha256) == (entry.tag, entry.sha256)
    assert sum(entry.size + (entry.int8.size if entry.int8 else 0) for entry in entries) < 48e6


def test_every_model_and_scale_has_one_default_and_every_scale_one_best() -> None:
    entries = load_manifest().bundled
    for key in {(entry.model, entry.scale) for entry in entries}:
        assert sum(entry.default for entry in entries if (entry.model, entry.scale) == key) == 1
    assert sorted(scale for entry in entries for scale in entry.best_for) == [2, 3, 4]


OLD_SPELLING = {"loss_weights": "weights", "downscale": "shrink", "ema_decay": "average", "gradient_clip": "clip"}
"""Keys of recipes as the headers of older files spell them."""


@pytest.mark.parametrize(
    "entry", [entry for entry in load_manifest().bundled if not entry.command], ids=lambda entry: entry.name
)
def test_the_recipe_of_bundled_weights_is_a_recipe_and_that_of_the_file(entry: BundledWeights) -> None:
    recipe = Recipe.from_json(json.dumps(entry.recipe))
    assert recipe.model == entry.model
    with safe_open(entry.path, "pt") as file:
        trained = json.loads(file.metadata()["recipe"])
    told = {key if key in trained else OLD_SPELLING[key]: value for key, value in entry.recipe.items()}
    assert told == {key: trained[key] for key in told}
    defaults = json.loads(Recipe(entry.model).to_json())
    left_out = {
        key: value for key, value in trained.items() if key not in told and value not in ({}, defaults.get(key))
    }
    assert left_out.keys() <= ({"milestones"} if entry.scale is None else {"milestones", "blur"})
    assert trained["schedule"] == "cosine"  # which has no milestones


# Mistakes in the file


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def toml(table: str, fields: dict[str, object]) -> str:
    return f"[[{table}]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items() if value != {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (toml("remote", REMOTE | {"licnce": "MIT"}), ["remote srresnet:x4", "licnce"]),
        (toml("remote", REMOTE) + toml("remote", REMOTE | {"tag": "x2", "size": "12"}), ["remote srresnet:x2", "size"]),
        (toml("remote", {"model": "srn", "tag": "t"}), ["remote srn:t", "licence", "page"]),
        (toml("remote", REMOTE | {"sha256": "abc"}), ["sha256"]),
        (toml("remote", REMOTE | {"file": "../../x"}), ["file"]),
        (
            toml("bundled", BUNDLED) + "[bundled.recipe]\n[bundled.scores.set5]\npsnr = 'high'",
            ["espcn:four", "set5, psnr"],
        ),
        (toml("published", REMOTE), ["published"]),
        ("remote = [3]", ["remote"]),
        ("bundled = 3", ["bundled"]),
        ("[[remote", ["cannot be read"]),
    ],
)
def test_a_mistake_is_told_with_file_entry_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    path = written(tmp_path / "weights.toml", text)
    with pytest.raises(WeightsError) as caught:
        read_manifest(path)
    assert caught.value.path == path
    for word in words:
        assert word in caught.value.reason


def test_a_manifest_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "weights.toml").write_bytes(b"\xff\xfe")
    for name in ("weights.toml", "absent.toml"):
        with pytest.raises(WeightsError) as caught:
            read_manifest(tmp_path / name)
        assert caught.value.path == tmp_path / name


# Choosing


def test_bundled_weights_are_chosen_by_scale_and_by_tag() -> None:
    manifest = Manifest(bundled=(bundled(scale=4, default=True), bundled(tag="two", scale=2, default=True)))
    assert [manifest.choose("espcn", None, scale).tag for scale in (None, 2, 4)] == ["four", "two", "four"]
    assert manifest.choose("espcn", "two").tag == "two"
    with pytest.raises(WeightsError, match=r"enlarge by 3.*2, 4"):
        manifest.choose("espcn", None, 3)
    with pytest.raises(WeightsError, match="tags are four, two"):
        manifest.choose("espcn", "moon")


def test_remote_weights_are_chosen_once_they_are_here(here: Callable[[RemoteWeights], RemoteWeights]) -> None:
    entries = (remote(scale=4), remote(tag="x2", file="two.pth", scale=2), remote(tag="x3", file="three.pth", scale=3))
    manifest = Manifest(remote=entries)
    with pytest.raises(WeightsError, match="models fetch srresnet:x4"):
        manifest.choose("srresnet")
    here(entries[0]), here(entries[1])
    assert [manifest.choose("srresnet", None, scale).tag for scale in (None, 2, 4)] == ["x4", "x2", "x4"]
    with pytest.raises(WeightsError, match=r"enlarge by 3.*2, 4"):
        manifest.choose("srresnet", None, 3)
    with pytest.raises(WeightsError, match=r"not been fetched.*models fetch srresnet:x3"):
        manifest.choose("srresnet", "x3")
    with pytest.raises(WeightsError, match=r"tags are x4, x2, x3 \(to be fetched\)"):
        manifest.choose("srresnet", "moon")


def test_bundled_weights_come_before_remote_ones(here: Callable[[RemoteWeights], RemoteWeights]) -> None:
    manifest = Manifest(bundled=(bundled(default=True),), remote=(here(remote(model="espcn")),))
    assert manifest.choose("espcn").tag == "four"
    assert manifest.choose("espcn", "x4").tag == "x4"


def test_a_model_without_weights_is_told_what_to_do() -> None:
    with pytest.raises(
        WeightsError, match=r"No trained weights of 'gggan'.*`restorekit models`.*restorekit train --model gggan"
    ):
        Manifest(bundled=(bundled(),)).choose("gggan")


def test_the_upscaler_is_the_best_for_the_next_larger_scale() -> None:
    manifest = Manifest(bundled=(bundled(best_for=[2, 4]), bundled(tag="three", best_for=[3])))
    chosen = [manifest.choose_upscaler(factor).tag for factor in (1.5, 2, 2.5, 3, 3.1, 16)]
    assert chosen == ["four", "four", "three", "three", "four", "four"]
    with pytest.raises(WeightsError, match="No weights for enlarging"):
        Manifest().choose_upscaler(2)


def test_the_scale_of_a_network_is_the_next_larger_one_that_is_here(
    here: Callable[[RemoteWeights], RemoteWeights],
) -> None:
    entries = (
        here(remote(scale=4)),
        here(remote(tag="x2", file="two.pth", scale=2)),
        remote(tag="x3", file="n", scale=3),
    )
    manifest = Manifest(remote=entries)
    assert [manifest.choose_scale("srresnet", factor) for factor in (1.5, 2, 2.2, 9)] == [2, 2, 4, 4]
    serves_all = Manifest(remote=(here(remote()), here(remote(tag="x2", file="two.pth", scale=2))))
    for choose_scale in (Manifest().choose_scale, serves_all.choose_scale):
        assert [choose_scale("srresnet", factor) for factor in (1.5, 2.2, 5, 9)] == [2, 3, 8, 8]


def test_remote_weights_are_the_first_or_those_of_a_tag() -> None:
    manifest = Manifest(remote=(remote(), remote(tag="x2"), remote(model="vdsr", tag="v")))
    assert manifest.find_remote("srresnet").tag == "x4"
    assert manifest.find_remote("srresnet", "x2").tag == "x2"
    with pytest.raises(WeightsError, match=r"'v' is no tag of srresnet's.*tags are x4, x2\."):
        manifest.find_remote("srresnet", "v")
    with pytest.raises(WeightsError, match="No weights of 'espcn' can be fetched"):
        manifest.find_remote("espcn")
