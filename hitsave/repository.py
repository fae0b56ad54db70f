"""Opens and wires: configuration, cache, workspace and remotes. It holds no rules; the modules below it do."""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from hitsave.cache.store import Cache
from hitsave.config import Config, load
from hitsave.errors import AmbiguousDigest, ConfigError, ObjectNotFound, RefError, WorkspaceError
from hitsave.maintenance import collect, verify
from hitsave.objects.digest import Digest, ObjectKind, is_abbreviation
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind, Tree, TreeEntry
from hitsave.objects.refs import (
    Namespace,
    Ref,
    RefName,
    dataset_ref,
    parse_ref_name,
    public_ref,
    snapshot_ref,
    unquote_name,
)
from hitsave.progress import Progress, Silent
from hitsave.remotes import fetch as remote_fetch
from hitsave.remotes import push as remote_push
from hitsave.remotes.log import Remote
