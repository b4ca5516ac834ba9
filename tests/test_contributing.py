"""The walk through adding a system works as it is written."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import measured_receptive_field, randomise

import restorekit.models.sr
from restorekit.errors import UsageError
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models import registry
from restorekit.models.model import Model

GUIDE = Path(__file__).parent.parent / "CONTRIBUTING.md"
pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside an installed package")


@pytest.fixture
def fsrcnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (code,) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "fsrcnn.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(restorekit.models.sr, "__path__", [*restorekit.models.sr.__path__, str(tmp_path)])
    registry._modules.cache_clear()
    yield "fsrcnn"
    registry._modules.cache_clear()


def test_the_system_of_the_guide_is_found_and_what_it_says_of_itself_is_true(fsrcnn: str) -> None:
    assert fsrcnn in registry.names()
    spec, network = registry.spec_of(fsrcnn), registry.build(fsrcnn)
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters
    assert measured_receptive_field(registry.build(fsrcnn), spec.size_multiple, 8) == spec.receptive_field
    model = Model(randomise(network), spec)
    rgb = np.random.default_rng(0).random((40, 120, 3)).astype(np.float32)
    whole, tiled = (Engine(model, Settings("cpu", tile=tile))(rgb) for tile in (4096, 40))
    assert tiled.info.tiles > 2
    assert whole.pixels.shape == (80, 240, 3)
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1e-5)
    with pytest.raises(UsageError, match="shrunk"):
        registry.build(fsrcnn, shrunk=0)
