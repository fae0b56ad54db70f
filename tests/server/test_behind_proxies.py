"""A server behind a proxy that takes off TLS: what it believes of whom."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from hitsave.server.access import Role
from hitsave.server.settings import ServerLimits
from tests.server.inprocess import Running, running

FORM = "application/x-www-form-urlencoded"


def log_in(server: Running, key: str, **headers: str) -> urllib3.response.BaseHTTPResponse:
    """Send the form of the login."""
    sent = {"Content-Type": FORM, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return server.request("POST", "/login", key=None, headers=sent, body=urlencode({"key": key}))


@pytest.mark.parametrize(
    ("proxies", "url", "said", "secure"),
    [
        ("127.0.0.1", "", "https", True),
        ("127.0.0.1", "", "http", False),
        ("127.0.0.1", "", "javascript", False),
        ("10.9.8.7", "", "https", False),
        ("", "", "https", False),
        ("", "https://hitsave.example.org", "http", True),
    ],
)
def test_cookies_are_sent_over_tls_alone(tmp_path: Path, proxies: str, url: str, said: str, secure: bool) -> None:
    with running(tmp_path / "data", proxies=proxies, url=url) as server:
        cookie = log_in(server, server.key(Role.READ), X_Forwarded_Proto=said).headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert ("Secure" in cookie.split("; ")) is secure


@pytest.mark.parametrize("believed", [True, False])
def test_who_guesses_keys_is_known_by_the_address_that_is_believed(tmp_path: Path, believed: bool) -> None:
    limits = ServerLimits(failures=3)
    with running(tmp_path / "data", limits, proxies="127.0.0.1" if believed else "") as server:
        codes = [log_in(server, f"hsk_{at}", X_Forwarded_For=f"10.0.0.{at}").status for at in range(5)]
        assert codes == ([401] * 5 if believed else [401] * 3 + [429] * 2)
        guesses = [log_in(server, "hsk_x", X_Forwarded_For=f"1.2.3.{at}, 10.0.1.1").status for at in range(5)]
        assert guesses[3:] == [429] * 2  # What a client puts before its own address is believed by nobody.
        assert log_in(server, server.key(), X_Forwarded_For="10.0.1.1").status == 303
