"""Arrow files of tables, opened as Parquet files are: each of their batches of records counts as a row group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ARROW_SUFFIX = ".arrow"
FILE_MARK = b"ARROW1"  #: at the beginning of a file that isn't a stream
STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"  #: behind the last batch of a stream


class ArrowFile:
    """A table in an Arrow stream or file, which is mapped into memory: only what is looked at is read from the disk."""

    metadata = None  # which in Parquet files tells how many cells are empty

    def __init__(self, file: Path) -> None:
        """Raises ArrowException or OSError: it can't be read, or ends before its last batch."""
        import pyarrow as pa

        self.batches: list[Any] = []
        with pa.memory_map(str(file)) as mapped:
            if mapped.read(len(FILE_MARK)) == FILE_MARK:
                with pa.ipc.open_file(mapped) as reader:
                    self.schema_arrow: Any = reader.schema
                    self.batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
                return
            mapped.seek(max(0, mapped.size() - len(STREAM_END)))
            if mapped.read() != STREAM_END:
                raise OSError("it has no end mark, so that it is cut off; copy it again")
            mapped.seek(0)
            with pa.ipc.open_stream(mapped) as reader:
                self.schema_arrow = reader.schema
                self.batches = [*reader]

    def __enter__(self) -> ArrowFile:
        return self

    def __exit__(self, *about: object) -> None:
        self.batches = []  # what was taken from them keeps the file mapped

    @property
    def num_row_groups(self) -> int:
        return len(self.batches)

    def read_row_group(self, number: int, columns: list[str]) -> Any:
        """Some columns of a batch, also a field of one as in ``image.path``, whose offsets were checked.

        Raises:
            ArrowException: the batch is damaged.
        """
        import pyarrow as pa

        batch, taken = self.batches[number], {}
        for name in columns:
            outer, _, inner = name.rpartition(".")
            if not outer or name in batch.schema.names:
                taken[name] = batch.column(name)
            else:
                whole = batch.column(outer)
                own = whole.field(inner)
                taken[outer] = pa.StructArray.from_arrays([own], [inner], mask=whole.is_null())
        table = pa.table(taken)
        table.validate(full=True)  # reading a damaged one would be undefined
        return table
