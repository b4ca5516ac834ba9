"""Sun's network in patches and at once, its labels, votes and the field that neighbours agree on."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, noise
from torch import Tensor

from restorekit.deconvolution import Lines, line_kernel
from restorekit.degradation import psf
from restorekit.models import registry
from restorekit.models.deblur import sun
from restorekit.models.deblur.sun import LABELS, TURNS, all_motions, smooth
from restorekit.runtime.progress import PATIENT, Listener

WIDTHS = (4, 5, 6)


def random_network(patch: int = 30) -> sun.Sun:
    torch.manual_seed(0)
    model = registry.build("sun", patch=patch, widths=WIDTHS).eval().requires_grad_(False)
    for tensor in model.parameters():
        tensor.normal_(std=0.3)
    return model


def one_patch(model: sun.Sun, patch: Tensor) -> Tensor:
    """The paper's figure: two convolutions, each with a pooling, a dense layer, and the labels; nothing is padded."""
    state = model.state_dict()
    x = F.relu(F.conv2d(patch - 0.5, state["conv1.weight"], state["conv1.bias"]))
    x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    x = F.relu(F.conv2d(x, state["conv2.weight"], state["conv2.bias"]))
    x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)).flatten(1)
    x = F.relu(x @ state["dense.weight"].flatten(1).T + state["dense.bias"])
    return x @ state["label.weight"].flatten(1).T + state["label.bias"]


@pytest.mark.slow
@pytest.mark.parametrize("patch", [30, 34])
def test_at_once_the_network_says_what_it_says_of_each_patch(patch: int) -> None:
    model, rgb = random_network(patch).double(), noise(1, 3, 47, 53).double()
    scores = model.predict(rgb)
    assert scores.shape == (1, 73, (47 - patch) // 4 + 1, (53 - patch) // 4 + 1)
    for row, column in itertools.product(range(scores.shape[2]), range(scores.shape[3])):
        cut = rgb[..., 4 * row : 4 * row + patch, 4 * column : 4 * column + patch]
        torch.testing.assert_close(scores[:, :, row, column], one_patch(model, cut))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 14_208 + 614_656 + 4_195_328 + 74_825),
        ({"patch": 34}, 14_208 + 614_656 + 6_554_624 + 74_825),
        ({"widths": (48, 96, 256)}, 7_104 + 115_296 + 393_472 + 18_761),
    ],
)
def test_it_has_the_papers_sizes(options: dict[str, object], parameters: int) -> None:
    with torch.device("meta"):
        model = registry.build("sun", **options)
    assert sum(tensor.numel() for tensor in model.parameters()) == parameters


def test_there_are_361_motions_and_none_is_the_first() -> None:
    motions = all_motions()
    assert motions.shape == (361, 2)
    assert motions[0].tolist() == [1, 0]
    lengths, angles = torch.hypot(*motions[1:].T), torch.rad2deg(torch.atan2(-motions[1:, 1], motions[1:, 0]))
    torch.testing.assert_close(lengths.view(12, 30), torch.arange(3.0, 26, 2)[:, None].expand(12, 30))
    torch.testing.assert_close(angles.view(12, 30), torch.arange(0.0, 180, 6).expand(12, 30))
    # Counter-clockwise with y up, as the PSFs of the degradation room; these measure from middle to middle of the ends.
    along = line_kernel(*motions[1 + 3 * 30 + 5].tolist()).psf  # 9 px at 30 degrees
    other = psf.linear(8, 30)
    size = max(len(along), len(other))
    padded = [np.pad(kernel, (size - len(kernel)) // 2) for kernel in (along, other)]
    assert np.abs(padded[0] - padded[1]).sum() < 0.6
    assert np.abs(padded[0] - padded[1][::-1]).sum() > 1.2


class Told(sun.Sun):
    """Sun that is told what the patches of each turned image say."""

    def __init__(self, label_of_turn: dict[int, int], **config: object) -> None:
        super().__init__(sun.Config(widths=WIDTHS, **config))  # type: ignore[arg-type]
        self.labels = label_of_turn
        self.calls = 0

    def predict(self, rgb: Tensor) -> Tensor:
        turn = TURNS[self.calls % len(TURNS)]
        self.calls += 1
        scores = torch.zeros(1, LABELS, (rgb.shape[2] - 30) // 4 + 1, (rgb.shape[3] - 30) // 4 + 1)
        scores[:, self.labels.get(turn, 0)] = 20
        return scores


@pytest.mark.slow
def test_a_label_of_a_turned_image_is_the_label_and_the_turn() -> None:
    # Label 1 + 2 * 6 + 1: 7 px at 30 degrees; told of the image turned by 12 degrees it is 42.
    model = Told({turn: 14 if turn == 12 else 0 for turn in TURNS}, smoothness=0.0)
    votes = model.confidence(noise(1, 3, 120, 150))
    assert votes.shape == (361, 40, 50)
    middle = votes[:, 20, 25]
    assert float(middle[1 + 2 * 30 + 7]) == pytest.approx(1, abs=1e-5)  # 42 = 7 x 6
    assert float(middle[0]) == pytest.approx(0.8, abs=1e-5)  # four of five saw nothing
    assert float(middle.sum()) == pytest.approx(1.8, abs=1e-4)
    lines = model.estimate(noise(1, 3, 120, 150))
    assert isinstance(lines, Lines)
    expected = [7 * np.cos(np.radians(42)), -7 * np.sin(np.radians(42))]
    np.testing.assert_allclose([lines.u[60, 75], lines.v[60, 75]], expected, rtol=1e-5)
    assert lines.u[2, 2] == lines.v[2, 2] == 0  # no patch covers the corner of a turned image


@pytest.mark.slow
def test_images_are_turned_clockwise_and_patches_found_again() -> None:
    rgb = torch.zeros(1, 3, 150, 180)
    rgb[..., 60:64, 110:114] = 1  # a lamp, 22 right of the middle and 13 above
    seen = []

    class Watch(Told):
        def predict(self, turned: Tensor) -> Tensor:
            y, x = (turned[0, 0] > 0.5).nonzero().double().mean(0).tolist()
            seen.append((x - (turned.shape[3] - 1) / 2, y - (turned.shape[2] - 1) / 2))
            scores = F.avg_pool2d(turned[:, :1], 30, 4) * 1e4  # sure where the patch holds the lamp
            return torch.cat([torch.zeros_like(scores), scores, torch.zeros(1, 71, *scores.shape[2:])], dim=1)

    votes = Watch({}).confidence(rgb)
    for (x, y), turn in zip(seen, np.radians(TURNS), strict=True):
        expected = (np.cos(turn) * 22 + np.sin(turn) * 13, np.sin(turn) * 22 - np.cos(turn) * 13)
        assert (x, y) == pytest.approx(expected, abs=0.3)
    for number in range(len(TURNS)):
        where = (votes[1 + number] * (votes[1 + number] > 0.5)).nonzero().double().mean(0)
        assert where.tolist() == pytest.approx([61.5 / 3, 111.5 / 3], abs=1)


def test_votes_of_near_patches_count_more() -> None:
    spread = sun._spread(torch.eye(21)[None], 30)  # patches on the diagonal of nodes
    assert float(spread[0, 10, 10]) == pytest.approx(sum(np.exp(-0.005 * 18 * k**2) for k in range(-5, 6)), rel=1e-5)
    assert float(spread[0, 10, 13]) == pytest.approx(
        sum(np.exp(-0.005 * 9 * (k**2 + (k - 3) ** 2)) for k in range(-2, 6)), rel=1e-5
    )
    assert float(spread[0, 0, 20]) == 0


@pytest.mark.parametrize(
    ("turn", "rows", "columns"),
    # Nodes are 3 px apart; beside an edge there must be 15 px, and of the turned image 15 (cos 24 + sin 24) = 19.8.
    [(0, (6, 34), (6, 44)), (24, (8, 32), (8, 42))],
)
def test_only_patches_within_the_turned_image_count(turn: int, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    _, inside = random_network()._ask(noise(1, 3, 120, 150), turn, (40, 50))
    for found, (first, last) in zip(inside.nonzero().unbind(1), (rows, columns), strict=True):
        assert found.unique().tolist() == list(range(first, last + 1, 2))


def brute_force(cost: np.ndarray, places: np.ndarray, weight: float) -> tuple[int, ...]:
    """The labels of a chain of nodes that minimise the energy."""

    def energy(labels: tuple[int, ...]) -> float:
        own = sum(cost[label, node] for node, label in enumerate(labels))
        pairs = sum(((places[a] - places[b]) ** 2).sum() for a, b in itertools.pairwise(labels))
        return own + weight * pairs

    return min(itertools.product(range(len(places)), repeat=cost.shape[1]), key=energy)


@pytest.mark.slow
def test_neighbours_agree_as_the_least_energy_says() -> None:
    rng = np.random.default_rng(0)
    motions = all_motions()
    few = [0, 31, 40, 200]
    for axis in (1, 2):
        for _ in range(5):
            cost = np.full((361, 5), 9.0)
            cost[few] = rng.random((4, 5))
            votes = torch.tensor(-cost).float()
            labels = smooth(votes[:, None] if axis == 2 else votes[:, :, None], motions, 0.01, doubled=False)
            best = brute_force(cost[few], motions[few].numpy(), 0.01)
            assert labels.flatten().tolist() == [few[label] for label in best]


@pytest.mark.slow
def test_columns_agree_as_rows_do_however_many_pairs_tell_each_other_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = noise(361, 1, 3, 4)[:, 0]
    labels = smooth(votes, all_motions(), 0.003, doubled=True)
    assert len(labels.unique()) > 1
    monkeypatch.setattr(sun, "PAIRS", 5)
    assert torch.equal(smooth(votes.mT, all_motions(), 0.003, doubled=True).T, labels)


def test_opposite_ends_of_the_angles_are_neighbours_but_for_upstream() -> None:
    motions, votes = all_motions(), torch.zeros(361, 1, 3)
    flat, nearly = 1 + 11 * 30, 1 + 11 * 30 + 29  # 25 px at 0 and at 174 degrees
    votes[flat, 0, 0] = votes[flat, 0, 2] = 1
    votes[nearly, 0, 1] = 1
    votes[flat, 0, 1] = 0.9
    # They differ by 12 degrees doubled: 2 x 25 sin 6 = 5.2 px; else by 174: 2 x 25 sin 87 = 49.9 px.
    assert smooth(votes, motions, 1e-4, doubled=True).flatten().tolist() == [flat, nearly, flat]
    assert smooth(votes, motions, 1e-4, doubled=False).flatten().tolist() == [flat] * 3
    assert smooth(votes, motions, 1e-2, doubled=True).flatten().tolist() == [flat] * 3


class Voted(sun.Sun):
    """Sun that is told what three nodes vote for: 25 px at 0, at 174, hardly surely, and again at 0 degrees."""

    def confidence(self, rgb: Tensor, listener: Listener = PATIENT) -> Tensor:
        votes = torch.zeros(361, 1, 3)
        votes[1 + 11 * 30, 0] = torch.tensor([1.0, 0.9, 1.0])
        votes[1 + 11 * 30 + 29, 0, 1] = 1
        return votes


@pytest.mark.parametrize(
    ("smoothness", "upstream_compat", "middle"),
    # To differ from both neighbours by 5.23 px is worth a tenth of a vote up to 0.1 / (2 x 5.23^2) = 0.00183.
    [(0.0015, False, 174), (0.0022, False, 0), (0.0015, True, 0)],
)
def test_the_field_is_as_smooth_as_the_configuration_says(
    smoothness: float, upstream_compat: bool, middle: int
) -> None:
    model = Voted(sun.Config(widths=WIDTHS, smoothness=smoothness, upstream_compat=upstream_compat))
    lines = model.estimate(noise(1, 3, 3, 9))
    assert isinstance(lines, Lines)
    angle = np.radians([0, 0, 0, middle, middle, middle, 0, 0, 0])  # three pixels are a node
    np.testing.assert_allclose(lines.u, np.tile(25 * np.cos(angle), (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(lines.v, np.tile(-25 * np.sin(angle), (3, 1)), atol=1e-5)


@pytest.mark.parametrize(("sweeps", "changes"), [(1, False), (2, True)])
def test_half_of_what_neighbours_say_is_believed_in_each_sweep(
    sweeps: int, changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sun, "SWEEPS", sweeps)
    motions, votes = torch.zeros(361, 2), torch.zeros(361, 1, 2)
    motions[:, 0] = torch.arange(361)
    votes[11, 0, 0] = 1
    votes[10, 0, 1], votes[11, 0, 1] = 1, 0.7
    # Label 10 costs the second node 0.5 beside its neighbour's 11: first 0.25 of that is heard, then 0.375.
    labels = smooth(votes, motions, 0.5, doubled=False)
    assert labels.tolist() == [[11, 11 if changes else 10]]


@pytest.mark.parametrize(
    ("rank", "considered"), [(19, True), (20, True), (21, False), (32, True), (33, False), (360, True)]
)
def test_a_node_considers_its_twenty_best_labels_and_thirty_spread_over_the_others(rank: int, considered: bool) -> None:
    motions, votes, wanted = all_motions(), torch.zeros(361, 1, 2), 200
    order = [label for label in range(361) if label != wanted]
    order.insert(rank, wanted)
    votes[order, 0, 1] = torch.linspace(0.01, 0.001, 361)
    votes[wanted, 0, 0] = 100  # its neighbour insists
    # 20 + 340 / 29 = 31.7 is the second of those spread.
    assert (int(smooth(votes, motions, 1.0, doubled=True)[0, 1]) == wanted) == considered


@pytest.mark.parametrize("size", [(1, 1), (20, 90), (38, 44)])
def test_untrained_or_too_small_nothing_moves(size: tuple[int, int]) -> None:
    assert registry.build("sun", **SMALL["sun"]).eval().estimate(noise(1, 3, *size)).is_identity
