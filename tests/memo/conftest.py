from __future__ import annotations

from tests.inmemory import tmp_path as tmp_path
