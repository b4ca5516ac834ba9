import hashlib
from pathlib import Path

import pytest

from restorekit.runtime.fingerprints import fingerprint, pack, unpack


def test_a_fingerprint_is_that_of_the_content_whatever_the_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abc")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") == bytes.fromhex("ba7816bf8f01cfea")  # FIPS 180


def test_a_set_of_fingerprints_survives_as_text_that_does_not_depend_on_order() -> None:
    prints = [hashlib.sha256(bytes([number])).digest()[:8] for number in range(20)]
    assert unpack(pack(prints)) == frozenset(prints)
    assert pack(prints) == pack([*reversed(prints), prints[3]])
    assert (pack([]), unpack("")) == ("", frozenset())
    assert len(pack(prints)) <= 11 * len(prints) + 1


@pytest.mark.parametrize(("text", "why"), [("AAAA", "3 bytes"), ("not base64!", "base64"), ("AAAAAAAAAAA", "padding")])
def test_a_damaged_list_is_an_error(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(text)
