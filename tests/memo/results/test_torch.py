"""Tensors: their memory lies beside the pickle, and is shared again where it was shared."""

from __future__ import annotations

from typing import Any

import pytest

from hitsave.memoisation.results import pickle_result, unpickle_result

torch: Any = pytest.importorskip("torch", reason="torch is large, and not among what the tests install")

MANY = 100_000


def again(value: object) -> Any:
    pickled = pickle_result(value)
    return unpickle_result(pickled.pickle, [bytearray(buffer) for buffer in pickled.buffers])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "complex64", "uint8"])
def test_tensors(dtype: str) -> None:
    tensor = torch.arange(MANY * 2).to(getattr(torch, dtype))
    pickled = pickle_result(tensor)
    assert [buffer.nbytes for buffer in pickled.buffers] == [tensor.nbytes]
    assert len(pickled.pickle) < 1000
    got = again(tensor)
    assert got.dtype == tensor.dtype
    assert torch.equal(got, tensor)


def test_memory_that_is_shared() -> None:
    tensor = torch.arange(MANY, dtype=torch.float32)
    pickled = pickle_result([tensor, tensor[::2], tensor.view(torch.int32)])
    assert len(pickled.buffers) == 1
    whole, half, numbers = again([tensor, tensor[::2], tensor.view(torch.int32)])
    assert half.stride() == (2,)
    whole[4] = -1
    assert half[2] == -1
    assert numbers[4] == torch.tensor(-1.0).view(torch.int32)


def test_models() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.BatchNorm1d(300)).eval()
    pickled = pickle_result(model)
    assert len(pickled.buffers) == 1
    got = again(model)
    assert not got.training
    assert [type(each) for each in got.parameters()] == [type(each) for each in model.parameters()]
    assert all(torch.equal(*pair) for pair in zip(got.parameters(), model.parameters(), strict=True))
    got(torch.ones(2, 300)).sum().backward()


def test_other_tensors_as_torch_pickles_them() -> None:
    sparse = torch.eye(600).to_sparse()
    assert torch.equal(again(sparse).to_dense(), torch.eye(600))
    assert again(torch.empty(MANY, device="meta")).shape == (MANY,)
    small = torch.ones(3, requires_grad=True)
    assert again(small).requires_grad
    quantized = torch.quantize_per_tensor(torch.ones(MANY * 2), 0.5, 0, torch.quint8)
    assert torch.equal(again(quantized).dequantize(), quantized.dequantize())
