"""Opens and wires: configuration, cache, workspace and remotes. It holds no rules; the modules below it do."""

from __future__ import annotations


