"""Connections over HTTP, kept and used again, through whichever proxy the environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3


def open_pool(url: str, most: int, environ: Mapping[str, str] = os.environ) -> urllib3.PoolManager:
    """Connections to the host of a URL, at most so many at once are kept. No request is tried twice."""
    options: dict[str, Any] = {"maxsize": most, "retries": False}
    parts = urlsplit(url)
    proxy = _proxy_for(parts.scheme, parts.netloc, environ)
    if proxy is None:
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(proxy[0], proxy_headers=proxy[1], **options)


def _proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """The proxy that the environment names for a host, and the headers by which it knows the user."""
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    named = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy") and value}
    proxies = {name.removesuffix("_proxy"): value for name, value in named.items()}
    url = proxies.get(scheme) or proxies.get("all")
    if url is None or proxy_bypass_environment(host, proxies):
        return None
    url = url if "://" in url else f"http://{url}"
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return url.replace(parts.netloc, parts.netloc.rpartition("@")[2]), dict(urllib3.make_headers(proxy_basic_auth=user))
