import numpy as np
import pytest

from restorekit.imaging.dtypes import from_unit, to_unit


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_value_of_an_integer_type_comes_back(dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None]
    unit = to_unit(values)
    assert unit.dtype == np.float32
    assert (unit.min(), unit.max()) == (0, 1)
    np.testing.assert_array_equal(from_unit(unit, dtype), values)


def test_values_outside_are_clipped_and_halves_rounded_up() -> None:
    values = np.array([-0.2, 0, 0.5, 1, 7], np.float32)
    assert from_unit(values).tolist() == [0, 0, 128, 255, 255]  # 127.5 is rounded up
    assert from_unit(values, np.uint16).tolist() == [0, 0, 32768, 65535, 65535]
    assert from_unit(values, np.float32).tolist() == [0, 0, 0.5, 1, 1]


def test_the_input_is_left_alone() -> None:
    values = np.array([0.25, 2.0], np.float32)
    from_unit(values)
    assert values.tolist() == [0.25, 2.0]
