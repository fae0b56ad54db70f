"""Values of other libraries: sparse matrices, images, tensors, and what digests through pickling's own protocol."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from PIL import Image

from hitsave.api import DirectorySnapshot, FileSnapshot
from hitsave.errors import Undigestable
from hitsave.memoisation.values.registered import register

Digest = Callable[[object], str]


def _assert_all_different(digest: Digest, values: list[object]) -> None:
    found: dict[str, object] = {}
    for value in values:
        assert digest(value) not in found, f"{value!r} and {found[digest(value)]!r}"
        found[digest(value)] = value


def test_no_library_is_imported_for_plain_values() -> None:
    code = (
        "import sys, hitsave.memoisation.values.digest as d; d.digest_value([1, 'a', {2}, object], str); "
        "print(sorted({'numpy', 'pandas', 'polars', 'pyarrow', 'torch', 'PIL', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_sparse_matrices(digest: Digest) -> None:
    dense = np.array([[0, 1.0], [2, 0]])
    _assert_all_different(digest, [
        *(form(dense) for form in (sp.csr_array, sp.csc_array, sp.coo_array, sp.dia_array, sp.dok_array,
        sp.lil_array, sp.bsr_array)),
        sp.csr_matrix(dense), sp.csr_array(dense.T), sp.csr_array(dense * 2), sp.csr_array((2, 2)), sp.csr_array((2,
        3)), dense,
    ])  # fmt: skip
    left, right = sp.csr_array(dense), sp.csr_array(dense)
    assert right.has_sorted_indices
    assert digest(left) == digest(right)


def test_images(digest: Digest) -> None:
    red = Image.new("RGB", (2, 3), "red")
    palette = red.convert("P")
    other_palette = palette.copy()
    other_palette.putpalette([9] * 768)
    noted = red.copy()
    noted.info["dpi"] = (72, 72)
    _assert_all_different(digest, [
        red, Image.new("RGB", (3, 2), "red"), Image.new("RGB", (2, 3), "blue"), red.convert("RGBA"),
        red.convert("L"), palette,
        other_palette, noted, np.asarray(red),
    ])  # fmt: skip
    file = io.BytesIO()
    red.save(file, "PNG")
    fresh, loaded = Image.open(file), Image.open(io.BytesIO(file.getvalue()))
    loaded.load()
    assert digest(fresh) == digest(loaded)
    assert digest(red) == digest(red.copy())


def test_an_image_that_cannot_be_read_says_so(digest: Digest) -> None:
    file = io.BytesIO()
    Image.new("RGB", (200, 300), "red").save(file, "PNG")
    with pytest.raises(Undigestable, match="pixels cannot be read"):
        digest(Image.open(io.BytesIO(file.getvalue()[:100])))


def test_snapshots_count_by_their_digest_alone(digest: Digest) -> None:
    one, other = (FileSnapshot(digest=letter * 64, content_length=1) for letter in "ab")
    elsewhere = FileSnapshot(digest="a" * 64, content_length=1, relpath=Path("x"))
    assert digest(one) == digest(elsewhere)
    assert (
        len(
            {digest(one), digest(other), digest(DirectorySnapshot(digest="a" * 64, content_length=1)), digest("a" * 64)}
        )
        == 4
    )


def test_a_registered_digest_stands_for_a_class_and_its_subclasses(digest: Digest) -> None:
    class Connection:
        def __init__(self, address: str) -> None:
            self.address = address
            self.socket = (number for number in ())

    class Faster(Connection):
        pass

    with pytest.raises(Undigestable, match=r"value\['x'\]\.socket: a generator"):
        digest({"x": Connection("a")})
    register(Connection, lambda connection: connection.address)
    assert digest(Connection("a")) == digest(Connection("a"))
    assert len({digest(Connection("a")), digest(Connection("b")), digest(Faster("a")), digest("a")}) == 4
    register(Faster, lambda connection: None)
    assert digest(Faster("a")) == digest(Faster("b"))


@pytest.mark.parametrize("cls", [list, int, dict, object])
def test_a_type_of_pythons_own_cannot_be_registered(cls: type) -> None:
    with pytest.raises(ValueError, match="of its own"):
        register(cls, str)


# -- torch --


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip(
        "torch", reason="torch takes a gigabyte and is not in the test extra; install it to run this"
    )


def test_the_layout_of_a_tensor_does_not_count(digest: Digest, torch: Any) -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    wide = torch.zeros(3, 8)
    wide[:, ::2] = tensor
    layouts = [tensor, tensor.T.contiguous().T, wide[:, ::2], torch.cat([tensor, tensor])[3:], tensor.flip(0).flip(0)]
    for dtype in (torch.float32, torch.bfloat16, torch.complex64, torch.int8):
        assert len({digest(layout.to(dtype)) for layout in layouts}) == 1
    large = torch.arange(4_000_000.0).reshape(2000, 2000)
    assert digest(large.T) == digest(large.T.contiguous())


def test_each_different_tensor_has_a_digest_of_its_own(digest: Digest, torch: Any) -> None:
    tensor = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    marked, with_grad = tensor.clone(), tensor.clone().requires_grad_()
    marked.note = "x"
    with_grad.sum().backward()
    _assert_all_different(digest, [
        tensor, tensor.T, tensor.double(), tensor.bfloat16(), tensor.half(), tensor.reshape(4), tensor.reshape(1, 4),
        -tensor, marked,
        tensor.clone().requires_grad_(), with_grad, tensor.clone().requires_grad_() * 1, torch.nn.Parameter(tensor),
        tensor.to("meta"),
        tensor.to_sparse(), tensor.to_sparse_csr(), torch.zeros(0), torch.zeros(0, 1), torch.tensor(1),
        torch.tensor(1.0),
        torch.tensor([1 + 2j]), torch.tensor([1 + 2j]).conj(), torch.float32, torch.float64, torch.device("cpu"),
        torch.Size([1]), (1,),
        torch.Generator().manual_seed(1), torch.Generator().manual_seed(2), tensor.numpy(),
    ])  # fmt: skip
    conjugate = torch.tensor([1 + 2j]).conj()
    assert digest(conjugate) == digest(conjugate.resolve_conj())


def test_modules_count_by_their_state(digest: Digest, torch: Any) -> None:
    def made(hooks: int = 0, **options: Any) -> Any:
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(2, 3, **options), torch.nn.ReLU())
        for _ in range(hooks):
            module.register_forward_hook(print)
        return module

    assert digest(made()) == digest(made())
    assert digest(made(hooks=1)) == digest(made(hooks=1))
    changed = made()
    with torch.no_grad():
        changed[0].weight[0, 0] += 1
    optimizer = torch.optim.SGD(made().parameters(), lr=0.1)
    _assert_all_different(digest, [
        made(), made().eval(), made(bias=False), made(hooks=1), made(hooks=2), changed, made().state_dict(), optimizer,
        torch.optim.SGD(made().parameters(), lr=0.2),
    ])  # fmt: skip


def test_a_tensor_of_200_mb_is_not_copied(digest: Digest, torch: Any) -> None:
    resource = pytest.importorskip("resource")
    tensor = torch.ones(5000, 10000)
    digest(tensor[:100].T)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest([tensor, tensor.T, tensor[:, ::2]])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 64 << 20


# -- through pickling's own protocol --


def test_estimators(digest: Digest) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not in the test extra")

    def fitted(weight: float) -> Any:
        return linear_model.LinearRegression().fit(np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, weight]))

    assert digest(fitted(3)) == digest(fitted(3))
    _assert_all_different(
        digest, [fitted(3), fitted(4), linear_model.LinearRegression(), linear_model.Ridge(), linear_model.Ridge(2)]
    )


def test_labelled_arrays(digest: Digest) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is not in the test extra")

    def made(**options: Any) -> Any:
        return xarray.DataArray(np.arange(6.0).reshape(2, 3), dims=("x", "y"), coords={"x": [1, 2]}, **options)

    looked_at = made()
    _ = looked_at.sel(x=1), looked_at.indexes, looked_at.mean()
    assert digest(looked_at) == digest(made())
    _assert_all_different(
        digest, [made(), made(name="a"), made(attrs={"a": 1}), made() * 2, made().T, made().to_dataset(name="a")]
    )
