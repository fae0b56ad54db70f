"""The tools that are compared, one module each, all with the protocol `benchmarks.place.Tool`."""

from benchmarks.floor import Floor
from benchmarks.place import ToolMaker
from benchmarks.tools.dvc import Dvc
from benchmarks.tools.git import Git
from benchmarks.tools.hitsave import Hitsave

TOOLS: dict[str, ToolMaker] = {"hitsave": Hitsave, "dvc": Dvc, "git": Git, "floor": Floor}
