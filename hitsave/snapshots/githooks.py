"""The hooks that `hitsave install` writes for git.

Each is the same text everywhere, so that a folder of hooks may be shared. `hitsave` is taken from the PATH, or else run
by the Python that a setting of the clone names.
"""

from __future__ import annotations

from typing import NamedTuple

#: What every hook of ours holds, also those of older versions.
MARK = "# Written by 'hitsave install'"
#: The setting of a clone: the Python that runs hitsave where no command of its name is found.
PYTHON = "hitsave.python"


class Hook(NamedTuple):
    """A hook: its name and text, the lines that somebody's own hook needs instead, and what shows that it has them."""

    name: str
    text: str
    lines: str
    call: str


PRE_PUSH = Hook(
    "pre-push",
    f"""#!/bin/sh
{MARK}: pushes the data that commits name, then git pushes the commits.
# 'git push --no-verify' goes past it, 'hitsave install --uninstall' removes it.
if command -v hitsave >/dev/null 2>&1; then
    exec hitsave pre-push "$@"
fi
python=$(git config {PYTHON})
if [ -n "$python" ] && [ -x "$python" ]; then
    exec "$python" -m hitsave pre-push "$@"
fi
if [ -n "$(git ls-files -- '*.hitsave')" ]; then
    echo "hitsave: is not on the PATH, so the data of these commits cannot be pushed before them;" >&2
    echo "hitsave: install it, or push without the data: git push --no-verify" >&2
    exit 1
fi
""",
    # What git says on stdin is kept for the rest of it.
    """refs=$(cat)
printf '%s\\n' "$refs" | hitsave pre-push "$@" || exit 1
exec <<END
$refs
END
""",
    "hitsave pre-push",
)


def _telling(name: str, when: str, pointers: str) -> Hook:
    """A hook that says which datasets moved: `when` ends it early, `pointers` lists the pointer files that git changed.

    Python is started only where there are any. Whatever happens, git goes on.
    """
    body = f"""{when}
pointers() {{ {pointers} 2>/dev/null; }}
[ -n "$(pointers)" ] || exit 0
command -v hitsave >/dev/null 2>&1 || hitsave() {{
    python=$(git config {PYTHON})
    [ ! -x "$python" ] || "$python" -m hitsave "$@"
}}
pointers -z | hitsave moved
exit 0
"""
    head = f"#!/bin/sh\n{MARK} --notify: says which datasets git moved to other versions.\n"
    removed = "# 'hitsave install --uninstall' removes it.\n"
    return Hook(name, f"{head}{removed}{body}", f"(\n{body})\n", "hitsave moved")


_CHANGED = "--name-only --diff-filter=d"
#: Says after a checkout of a commit which datasets moved; not while a rebase is under way.
POST_CHECKOUT = _telling(
    "post-checkout",
    'old=$1 new=$2\nif [ "$3" != 1 ] || [ -d "$(git rev-parse --git-path rebase-merge)" ]; then exit 0; fi',
    f"""git diff-tree -r {_CHANGED} "$@" "$old" "$new" -- '*.hitsave'""",
)
_SINCE = f"""git diff-index {_CHANGED} "$@" ORIG_HEAD -- '*.hitsave'"""
#: The same after a merge, and after a rebase.
POST_MERGE = _telling("post-merge", ":", _SINCE)
POST_REWRITE = _telling("post-rewrite", '[ "$1" = rebase ] || exit 0', _SINCE)

#: Those that are written only when they are asked for.
TELLING = (POST_CHECKOUT, POST_MERGE, POST_REWRITE)
