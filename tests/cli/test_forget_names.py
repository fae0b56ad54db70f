"""What a name alone forgets: one version of a dataset, or all of them; and whose it is that comes back."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.world import User, World


def versions(user: User) -> int:
    return user.do("show-ref").text.count("datasets/")


def test_all_versions_of_a_dataset(ann: User) -> None:
    first = ann.add()
    ann.write({"more": b"x"})
    second = ann.add()
    said = ann.refused("forget", "data")
    assert f"data@{first[:12]}" in said
    assert f"data@{second[:12]}" in said
    assert "--all-versions forgets them all" in said
    assert "goes with the paths of datasets" in ann.refused("forget", "--all-versions", "nothing")
    ann.refused("forget", "--all-versions", "--keep-last", "1", "data", code=2)
    assert len(ann.do("forget", "--dry-run", "--all-versions", "data.hitsave").lines) == 2
    assert len(ann.do("forget", "--all-versions", "data").lines) == 2
    assert versions(ann) == 0
    ann.do("undo")
    assert versions(ann) == 2


def test_that_a_pointer_file_names_what_is_forgotten_is_noted(ann: User) -> None:
    ann.add()
    for name in ("data", "data.hitsave", "../project/data", "--all-versions data"):
        assert "its pointer file still names what is forgotten" in ann.do("forget", *name.split()).said
        assert versions(ann) == 0
        ann.do("undo")
    (ann.workspace / "data.hitsave").unlink()
    assert "pointer file" not in ann.do("forget", "data").said


def test_undo_says_whose_it_is(world: World, ann: User) -> None:
    ann.add()
    other = world.user("ben", git=False)
    (other.workspace / "hitsave.toml").write_text("project = 'elsewhere'\n")
    digest = ann.state()["digest"]
    ann.do("forget", f"data@{digest}")
    assert "other projects" not in ann.do("undo").said
    ann.do("forget", f"data@{digest}")
    done = other.do("undo", environ={"HITSAVE_LOCAL_CACHE_DIR": str(ann.cache)})
    assert "they are also of other projects: project" in done.said


def test_what_du_shows_is_a_name(ann: User) -> None:
    digest = ann.add()
    (ann.workspace / "snap.py").write_text(
        "import hitsave\n@hitsave.memo\ndef fit(x):\n    return x\n"
        "fit(1)\nfit(2)\nhitsave.DirectorySnapshot.snap('data')\n"
    )
    command = [sys.executable, "snap.py"]
    subprocess.run(command, cwd=ann.workspace, env=ann.environment(), check=True, capture_output=True)
    lines = [line.split()[-1] for line in ann.do("du", "--all", "--versions").lines]
    shown = [line for line in lines if "@" in line]
    assert len(shown) == 4
    assert f"snapshots@{digest[:12]}" in shown
    for name in (*shown, f"snapshots/{digest[:12]}", f"snapshots/{digest}"):
        assert len(ann.do("forget", name).lines) == 1
        assert len(ann.do("show-ref").lines) == 3
        ann.do("undo")
    assert "there is no ref snapshots/0000000" in ann.refused("forget", "snapshots/0000000")
    assert "there is no ref datasets/project" in ann.refused("forget", f"datasets/project/data/{digest[:12]}")
