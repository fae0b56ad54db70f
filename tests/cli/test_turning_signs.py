"""Signs that turn the order of text are shown by a terminal's lines."""

from __future__ import annotations

import pytest

from hitsave.cli.output import one_line, show_path
from tests.cli.world import World


@pytest.mark.parametrize("sign", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u009b")
def test_each_is_escaped(sign: str) -> None:
    shown = f"\\u{ord(sign):04x}"
    assert one_line(f"a{sign}b") == f"a{shown}b"
    assert show_path(f"a{sign}b") == f'"a{shown}b"'


def test_text_of_any_language_is_left_as_it_is() -> None:
    for text in ("مرحبا", "שלום", "漢字 😀", "na\u200bme", "zw\u200dj"):
        assert one_line(text) == show_path(text) == text


def test_a_name_does_not_look_like_another(world: World) -> None:
    user = world.user()
    user.write({"other": b"y", "rtl\u202egpj.exe": b"x"})
    user.do("add", "data")
    (user.data / "rtl\u202egpj.exe").unlink()
    assert "rtl\\u202egpj.exe" in "".join(user.do("status").lines)
    assert "\u202e" not in "".join(user.do("ls", "data").lines)
