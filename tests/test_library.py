import numpy as np
import pytest
import torch

import restorekit
from restorekit.errors import UsageError


def test_every_public_name_is_there() -> None:
    assert dir(restorekit) == restorekit.__all__
    assert all(getattr(restorekit, name) is not None for name in restorekit.__all__)
    with pytest.raises(AttributeError):
        _ = restorekit.nothing


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4), (1, 1, 3)])
def test_restore_image_keeps_shape_type_and_alpha(weights_file: object, dtype: type, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    image = values if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype)
    restored = restorekit.restore_image(image, weights=weights_file)
    assert restored.shape == image.shape
    assert restored.dtype == image.dtype
    if shape[-1] == 4:
        assert np.array_equal(restored[..., 3], image[..., 3])


def test_restore_is_what_the_network_does(photo: np.ndarray, weights_file: object) -> None:
    model = restorekit.load_model("gggan-lite", weights_file)
    with torch.inference_mode():
        batch = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
        expected = (model(batch)[0].permute(1, 2, 0) * 255).round().numpy()
    assert np.abs(restorekit.restore_image(photo, weights=weights_file) - expected).max() <= 1


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="is no image"):
        restorekit.restore_image(np.zeros((3, 20, 30), np.uint8), weights=None)


def test_untrained_network_returns_its_input(photo: np.ndarray) -> None:
    assert np.array_equal(restorekit.restore_image(photo, weights=None), photo)
