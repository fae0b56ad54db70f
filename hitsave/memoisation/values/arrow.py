"""pyarrow: by type and content; not by chunks, offsets, or what lies under a null.

A column is its type, its validity (a byte for each row, where a row is null), and the content of the rows that are not
null: bytes of a fixed width, or lengths and bytes, or lengths and a column. Chunks are walked one after another and
never put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from hitsave.memoisation.values.stream import Form, Leaf, Parts, array_head, item_step, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def find_form(cls: type) -> Form | None:
    """The form of a type of pyarrow."""
    for base, form in _FORMS:
        if issubclass(cls, base):
            return form
    return None


def column(kind: Any, chunks: Sequence[Any]) -> Parts:
    """A column of a type, from its chunks."""
    count = sum(map(len, chunks))
    nulls = sum(chunk.null_count for chunk in chunks)
    head = array_head("arrow column", text(type_text(kind)) + text(f"{count},{nulls}"))
    children: list[object] = []
    kind, chunks = _without_views(kind, chunks)
    if nulls and not pa.types.is_null(kind):
        children.append(_raw((_bytes_of(chunk.is_valid().cast(pa.uint8()), 1) for chunk in chunks), count))
    try:
        children += _content(kind, [chunk.drop_null() if chunk.null_count else chunk for chunk in chunks])
    except pa.ArrowNotImplementedError:
        children.append([item for chunk in chunks for item in chunk.to_pylist()])
    return Parts(head, children, named_steps([""] * len(children)))


def _without_views(kind: Any, chunks: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """Views as what they show: few functions of Arrow take them."""
    if pa.types.is_string_view(kind):
        kind = pa.large_string()
    elif pa.types.is_binary_view(kind):
        kind = pa.large_binary()
    else:
        return kind, chunks
    return kind, [chunk.cast(kind) for chunk in chunks]


def _content(kind: Any, chunks: Sequence[Any]) -> Sequence[object]:
    """What columns of this type hold, where no row is null."""
    types = pa.types
    if types.is_null(kind):
        return ()
    if types.is_boolean(kind):
        return _content(pa.uint8(), [chunk.cast(pa.uint8()) for chunk in chunks])
    if types.is_dictionary(kind):
        return _dictionary(kind, chunks)
    if types.is_string(kind) or types.is_binary(kind):
        return _texts(chunks, "i")
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return _texts(chunks, "q")
    if isinstance(kind, pa.BaseExtensionType):
        return (column(kind.storage_type, [chunk.storage for chunk in chunks]),)
    if types.is_struct(kind):
        return _fields(kind, chunks)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        lengths = _numbers([pc.list_value_length(chunk) for chunk in chunks])
        return (lengths, column(kind.value_type, [chunk.flatten() for chunk in chunks]))
    if types.is_map(kind):
        pairs = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return _content(pairs, [_entries(chunk, pairs) for chunk in chunks])
    if types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind):
        width = kind.bit_width // 8
        return (_raw((_bytes_of(chunk, width) for chunk in chunks), width * sum(map(len, chunks))),)
    return ([item for chunk in chunks for item in chunk.to_pylist()],)


def _dictionary(kind: Any, chunks: Sequence[Any]) -> Sequence[object]:
    unified = pa.chunked_array(chunks, kind).unify_dictionaries()
    values = unified.chunk(0).dictionary if unified.num_chunks else pa.array([], kind.value_type)
    return (
        column(kind.index_type, [chunk.indices for chunk in unified.chunks]),
        column(kind.value_type, [values]),
    )


def _fields(kind: Any, chunks: Sequence[Any]) -> list[Parts]:
    flat = [chunk.flatten() for chunk in chunks]
    return [column(kind.field(index).type, [fields[index] for fields in flat]) for index in range(kind.num_fields)]


def _entries(chunk: Any, pairs: Any) -> Any:
    """A map as a list of pairs."""
    entries = pa.StructArray.from_arrays([chunk.keys, chunk.items], fields=list(pairs.value_type))
    return pa.ListArray.from_arrays(chunk.offsets, entries)


def _texts(chunks: Sequence[Any], code: Literal["i", "q"]) -> Sequence[object]:
    spans = [_span(chunk, code) for chunk in chunks if len(chunk)]
    lengths = _numbers([pc.binary_length(chunk) for chunk in chunks])
    return (lengths, _raw(iter(spans), sum(span.nbytes for span in spans)))


def _span(chunk: Any, code: Literal["i", "q"]) -> memoryview:
    """The bytes of texts that lie one after another."""
    _validity, offsets, content = chunk.buffers()
    ends = memoryview(offsets).cast("B").cast(code)
    first, last = ends[chunk.offset], ends[chunk.offset + len(chunk)]
    return memoryview(content or b"").cast("B")[first:last]


def _numbers(chunks: Sequence[Any]) -> Leaf:
    wide = (_bytes_of(chunk.cast(pa.int64()), 8) for chunk in chunks)
    return _raw(wide, 8 * sum(map(len, chunks)))


def _bytes_of(chunk: Any, width: int) -> memoryview:
    """The bytes of values of a fixed width."""
    if not len(chunk):
        return memoryview(b"")
    buffer = chunk.buffers()[1]
    return memoryview(buffer).cast("B")[chunk.offset * width : (chunk.offset + len(chunk)) * width]


def _raw(pieces: Iterator[memoryview], size: int) -> Leaf:
    return Leaf(b"A" + size.to_bytes(8, "little"), pieces, size)


# -- types --


def type_text(kind: Any) -> str:
    """A type as text that no other one has."""
    types = pa.types
    if types.is_dictionary(kind):
        return f"dictionary({type_text(kind.index_type)},{type_text(kind.value_type)},{kind.ordered})"
    if isinstance(kind, pa.BaseExtensionType):
        serialized = kind.__arrow_ext_serialize__() if isinstance(kind, pa.ExtensionType) else str(kind)
        return f"extension({kind.extension_name!r},{serialized!r},{type_text(kind.storage_type)})"
    if types.is_nested(kind):
        fields = ",".join(field_text(kind.field(index)) for index in range(kind.num_fields))
        extra = kind.list_size if types.is_fixed_size_list(kind) else kind.keys_sorted if types.is_map(kind) else ""
        codes = kind.type_codes if types.is_union(kind) else ""
        return f"{kind.id}({fields}){extra}{codes}"
    if types.is_timestamp(kind):
        return f"timestamp({kind.unit},{kind.tz!r})"
    return str(kind)


def field_text(field: Any) -> str:
    """A field as text that no other one has."""
    return f"{field.name!r}:{type_text(field.type)}:{field.nullable}:{_metadata_text(field.metadata)}"


def _metadata_text(metadata: Any) -> str:
    return repr(sorted(metadata.items())) if metadata else ""


def _schema_text(schema: Any) -> str:
    return f"{','.join(map(field_text, schema))};{_metadata_text(schema.metadata)}"


# -- forms --


def _table(digester: ValueDigester, value: Any) -> Parts:
    columns = [column(one.type, one.chunks if isinstance(one, pa.ChunkedArray) else [one]) for one in value.columns]
    description = digester.label(type(value)) + text(_schema_text(value.schema)) + text(str(value.num_rows))
    return Parts(array_head("arrow table", description), columns, item_step)


def _chunked(digester: ValueDigester, value: Any) -> Parts:
    return _one_column(digester, value, value.type, value.chunks)


def _array(digester: ValueDigester, value: Any) -> Parts:
    return _one_column(digester, value, value.type, [value])


def _scalar(digester: ValueDigester, value: Any) -> Parts:
    return _one_column(digester, value, value.type, [pa.array([value.as_py()], value.type)])


def _one_column(digester: ValueDigester, value: object, kind: Any, chunks: Sequence[Any]) -> Parts:
    return Parts(array_head("arrow", digester.label(type(value))), (column(kind, chunks),), named_steps(("",)))


def _schema(digester: ValueDigester, value: Any) -> Parts:
    return Parts(array_head("arrow schema", text(_schema_text(value))), (), item_step)


def _field(digester: ValueDigester, value: Any) -> Parts:
    return Parts(array_head("arrow field", text(field_text(value))), (), item_step)


def _type(digester: ValueDigester, value: Any) -> Parts:
    return Parts(array_head("arrow type", text(type_text(value))), (), item_step)


def _buffer(digester: ValueDigester, value: Any) -> Leaf:
    return Leaf(array_head("arrow buffer", value.size.to_bytes(8, "little")), (memoryview(value),), value.size)


_FORMS: tuple[tuple[type | tuple[type, ...], Form], ...] = (
    ((pa.Table, pa.RecordBatch), _table),
    (pa.ChunkedArray, _chunked),
    (pa.Array, _array),
    (pa.Scalar, _scalar),
    (pa.Schema, _schema),
    (pa.Field, _field),
    (pa.DataType, _type),
    (pa.Buffer, _buffer),
)
