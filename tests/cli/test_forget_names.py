"""What a name alone forgets: one version of a dataset, or all of them; and whose it is that comes back."""

from __future__ import annotations

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
