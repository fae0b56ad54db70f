"""How sizes, spans of time, counts and texts are written for people, on the command line and on pages alike. Pure."""

from __future__ import annotations

import re

#: Signs that are not seen and change the order of those around them: `rtl\u202egpj.exe` would look like `rtlexe.jpg`.
TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TURNING = re.compile(f"[{TURNING}]")


def show_size(size: int) -> str:
    """Bytes: 999 B, 1.2 kB, 3.4 GB."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}"
    return f"{amount:.0f} PB"


def show_duration(microseconds: int) -> str:
    """A span: 850 µs, 12 ms, 2.1 s, 3 min 12 s, 2 h 5 min, 3 d 4 h."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 999_500:
        return f"{microseconds / 1000:.3g} ms"
    if microseconds < 59_950_000:
        return f"{microseconds / 1e6:.1f} s"
    whole = round(microseconds / 1e6)
    for unit, of_unit, smaller, of_smaller in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= of_unit:
            return f"{whole // of_unit} {unit} {whole % of_unit // of_smaller} {smaller}"
    return f"{whole // 60} min {whole % 60} s"


def count(number: int, what: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def show_turning(text: str) -> str:
    """A text whose signs stand in the order in which they come: those that would turn it are escaped, as `\\u202e`."""
    return text if text.isascii() else _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
