"""What people see with a browser."""

from __future__ import annotations

from starlette.routing import BaseRoute

from hitsave.server.pages import assets, blobs, browsing, datasets, entering, evaluations, experiments, keys, links

routes: list[BaseRoute] = [
    *assets.routes,
    *entering.routes,
    *experiments.routes,
    *evaluations.routes,
    *datasets.routes,
    *browsing.routes,
    *blobs.routes,
    *keys.routes,
    *links.routes,
]
