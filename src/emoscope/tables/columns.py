"""Columns of Arrow tables from and to numpy, without pandas.

Arrow's own conversions, and pa.array() too, import pandas where it is installed: half a second and 50 MB.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


def to_numpy(column: "pa.Array", empty: float | None = None) -> NDArray[Any]:
    """Return a column of numbers or truth values as an array.

    Args:
        column: the column.
        empty: what stands for an empty cell; None where there are none.
    """
    import pyarrow as pa

    is_boolean = pa.types.is_boolean(column.type)
    numbers = column.cast(pa.uint8()) if is_boolean else column
    dtype = np.dtype(numbers.type.to_pandas_dtype())
    n, buffer = len(numbers), numbers.buffers()[1]
    values = np.frombuffer(buffer, dtype, n, numbers.offset * dtype.itemsize) if n else np.empty(0, dtype)
    if is_boolean:
        values = values.astype(np.bool_)
    if column.null_count and empty is not None:
        values = np.where(to_numpy(column.is_valid()), values, np.array(empty, values.dtype))
    return values


def stack(batch: "pa.RecordBatch", names: Sequence[str]) -> NDArray[np.float64]:
    """Return some number columns side by side, (n, len(names)); empty cells are NaN."""
    return np.column_stack([to_numpy(batch[name], np.nan) for name in names]).astype(np.float64, copy=False)


def to_arrow(values: NDArray[np.float64]) -> "pa.Array":
    """Return (n,) numbers as a column; NaN become empty cells."""
    import pyarrow as pa

    is_valid = np.packbits(~np.isnan(values), bitorder="little")
    buffers = [pa.py_buffer(is_valid), pa.py_buffer(np.ascontiguousarray(values, np.float64))]
    return pa.Array.from_buffers(pa.float64(), len(values), buffers)


def to_mask(values: NDArray[np.bool_]) -> "pa.BooleanArray":
    """Return (n,) truth values as a column by which rows are filtered."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def to_strings(texts: Sequence[str], indices: NDArray[np.float64]) -> "pa.Array":
    """Return a column of texts, given by their places (n,) in a list; NaN become empty cells."""
    import pyarrow as pa

    coded = [text.encode("utf-8", "replace") for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(c) for c in coded])]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(coded))]
    dictionary = pa.Array.from_buffers(pa.string(), len(coded), buffers)
    return pa.DictionaryArray.from_arrays(to_arrow(indices).cast(pa.int32()), dictionary).cast(pa.string())
