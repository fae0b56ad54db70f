"""Values of libraries as arguments: what differs runs, what is equal however it was made does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memo.projects.harness import Project, ran_as

SCRIPT = """\
from hitsave import memo
PRELUDE

@memo
def f(x):
    RAN
    return 1

print(sum(f(x) for x in [*DIFFERENT, *EQUAL, EQUAL[0]]))
"""

#: library, what is imported and made, values that all differ, values that are all equal (and none of the former).
LIBRARIES = [
    (
        "pandas",
        "import pandas as pd\na = pd.DataFrame({'x': [1, 2], 'y': ['a', 'b']})\nb = a.copy()\nb['z'] = 1\n",
        """[a, a[["y", "x"]], a.set_index("y"), a.x, a.rename(columns={"x": "w"}), a.astype({"x": float}),
            a.iloc[::-1], a.rename_axis("i"), a.assign(y=["a", "c"])]""",
        "[a.iloc[:1], a.iloc[[0]], pd.DataFrame({'x': [1], 'y': ['a']}), b.iloc[:1].drop(columns='z')]",
    ),
    (
        "polars",
        "import polars as pl\na = pl.DataFrame({'x': [1, 2], 'y': ['a', None]})\n",
        """[a, a.select("y", "x"), a.with_columns(pl.col("x").cast(float)), a["x"], a.rename({"x": "w"}),
            a.with_columns(y=pl.Series(["a", ""])), a.reverse()]""",
        "[a[:1], pl.concat([a, a], rechunk=False)[2:3], a.filter(pl.col('x') == 1)]",
    ),
    (
        "pyarrow",
        "import pyarrow as pa\na = pa.table({'x': [1, 2, None], 'y': ['a', 'b', 'c']})\n",
        """[a, a.select(['y', 'x']), a.slice(1), a['x'], a.rename_columns(['w', 'y']),
            a.set_column(0, 'x', [[1, 2, 3]])]""",
        "[a.slice(0, 1), pa.concat_tables([a, a]).slice(3, 1), a.take([0])]",
    ),
    (
        "PIL",
        "from PIL import Image\na = Image.new('RGB', (2, 2))\nb = a.copy()\nb.putpixel((1, 1), (0, 0, 1))\n",
        "[a, b, a.convert('L'), a.resize((4, 1)), a.convert('RGBA')]",
        "[Image.new('L', (3, 3), 5), Image.new('L', (3, 3), 5).copy(), Image.new('L', (4, 4), 5).crop((0, 0, 3, 3))]",
    ),
    (
        "torch",
        "import torch\na = torch.arange(6.0)\nb = a.clone()\nb[5] = 7\n",
        "[a, b, a.double(), a.reshape(2, 3), a.to(torch.bfloat16), a.clone().requires_grad_(), a.flip(0), a.tolist()]",
        "[a.reshape(2, 3).t(), a.reshape(2, 3).t().contiguous(), torch.tensor([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]])]",
    ),
]


@pytest.mark.parametrize(
    ("library", "prelude", "different", "equal"), LIBRARIES, ids=[library[0] for library in LIBRARIES]
)
def test_arguments(project: Project, library: str, prelude: str, different: str, equal: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    script = SCRIPT.replace("PRELUDE", f"{prelude}DIFFERENT = {different}\nEQUAL = {equal}")
    count = f"print(len({different}) + 1, len({different}) + len({equal}) + 1)"
    project.write({"main.py": script, "count.py": prelude + count})
    distinct, calls = project.run("count.py").output.split()
    ran_as(project.run(), ["-"] * int(distinct), calls)
    ran_as(project.run(), [], calls)


def test_a_torch_module(project: Project) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    script = """\
import torch
from hitsave import memo

class Net(torch.nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x) * 2

@memo
def f(net):
    RAN
    return float(net(torch.ones(2)).detach())

f(Net()), f(Net()), f(Net(1)), f(Net().eval())
net = Net()
f(net)
with torch.no_grad():
    net.layer.weight[0, 0] += 1
f(net)
"""
    project.write({"main.py": script})
    ran_as(project.run(), ["-"] * 4, "")
    ran_as(project.run(), [], "")
    project.replace("main.py", "self.layer(x) * 2", "self.layer(x) * 3")
    ran_as(project.run(), ["-"] * 4, "")


MODEL_SCRIPT = """\
import lib
from hitsave import memo

@memo
def f(x):
    RAN
    return lib.go(x)

print(f(3))
"""

#: library, a module with a class that the library makes, and what is changed in it.
MODELS = [
    ("pydantic", "from pydantic import BaseModel\nK = 2\nclass M(BaseModel):\n    k: int = K\n", "K = 2"),
    ("pydantic", "from pydantic import BaseModel, Field\nclass M(BaseModel):\n    k: int = Field(default=2)\n", "t=2"),
    (
        "pydantic",
        "from __future__ import annotations\nfrom typing import Annotated\n"
        "from pydantic import AfterValidator, BaseModel\ndef double(k):\n    return k * 2\n"
        "Double = Annotated[int, AfterValidator(double)]\nclass M(BaseModel):\n    k: Double = 2\n",
        "k * 2",
    ),
    ("attrs", "import attrs\nK = 2\n@attrs.frozen\nclass M:\n    k: int = attrs.field(default=K)\n", "K = 2"),
    (
        "attrs",
        "import attrs\nK = {'k': 2}\n@attrs.define\nclass M:\n    k = attrs.field(default=2, metadata=K)\n",
        "'k': 2",
    ),
]


@pytest.mark.parametrize(("library", "module", "place"), MODELS)
def test_a_class_that_a_library_makes_counts_with_what_its_fields_name(
    library: str, module: str, place: str, tmp_path: Path
) -> None:
    pytest.importorskip(library)
    project = Project(tmp_path)
    looked_up = (
        "attrs.fields(M).k.metadata['k']" if "metadata" in module else "M(k=1).k" if "double" in module else "M().k"
    )
    project.write({"lib.py": f"{module}\ndef go(x):\n    return x * {looked_up}\n", "main.py": MODEL_SCRIPT})
    ran_as(project.run(), ["-"], "6")
    ran_as(project.run(), [], "6")
    project.replace("lib.py", place, place.replace("2", "3"))
    ran_as(project.run(), ["-"], "9")
