"""Links to public snapshots, and the keys under which these lie."""

from __future__ import annotations

import pytest

from hitsave.objects.digest import blob_digest
from hitsave.remotes.public.layout import PublicUrl, inner_key, parse_public_url, snapshot_of
from hitsave.remotes.public.places import public_base

DIGEST = blob_digest(b"x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://h/public/{DIGEST}", PublicUrl("https://h/", DIGEST)),
        (f"http://h:81/a/b/public/{DIGEST}/", PublicUrl("http://h:81/a/b/", DIGEST)),
        (f"https://h/public/{DIGEST}/a%20b/%FF.txt", PublicUrl("https://h/", DIGEST, b"a b/\xff.txt")),
        (f"https://h/public/{DIGEST}?download=1#top", PublicUrl("https://h/", DIGEST)),
        (f"https://h/public/{str(DIGEST)[:12]}", None),
        (f"file:///public/{DIGEST}", None),
        (f"https:///public/{DIGEST}", None),
        ("https://h/public/", None),
        (str(DIGEST), None),
    ],
)
def test_links(text: str, expected: PublicUrl | None) -> None:
    assert parse_public_url(text) == expected
    if expected is not None:
        assert parse_public_url(str(expected)) == expected


def test_keys_say_whose_they_are() -> None:
    for key in (f"public/{DIGEST}", f"public/{DIGEST}.trees", inner_key(DIGEST, "é/#?% .txt".encode())):
        assert snapshot_of(key) == DIGEST
    for key in (f"public/{DIGEST}.txt", f"public/{str(DIGEST)[1:]}", f"packs/{DIGEST}", f"public/{DIGEST}/"):
        assert snapshot_of(key) is None
    for path in ("..", "a/../../../format", ".", "a//b", "a/", "a\0b", "a\nb", "\ud800"):
        assert snapshot_of(f"public/{DIGEST}/{path}") is None, path


@pytest.mark.parametrize("path", [b"a\xff", b"a\n", "a\x85".encode(), b"a\\b"])
def test_names_that_no_link_can_have(path: bytes) -> None:
    with pytest.raises(ValueError, match=r"UTF-8|control|backslash"):
        inner_key(DIGEST, path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://b/p?region=eu-west-1", "https://b.s3.eu-west-1.amazonaws.com/p/"),
        ("s3://b?endpoint=http://127.0.0.1:9000", "http://127.0.0.1:9000/b/"),
        ("gs://b/p", "https://storage.googleapis.com/b/p/"),
        ("az://c/p?account=acme", "https://acme.blob.core.windows.net/c/p/"),
        ("https://team.example.org", "https://team.example.org"),
        ("ssh://host/data", None),
        ("/data/remote", None),
    ],
)
def test_where_a_remote_is_read(url: str, expected: str | None) -> None:
    assert public_base(url, {}) == expected
