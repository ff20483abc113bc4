"""What a table of a run is: its file, its columns, who may see them, and what older runs lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

PRIVATE: Final = "private"  #: empty in a run under privacy
PUBLIC: Final = "public"  #: in every run, but in no baseline file
IN_BASELINES: Final = "baseline"  #: public, and in baseline files, which people keep in git
#: Kinds of pandas and Arrow, and "texts": a list of them. Int64 stays whole in CSV files beside empty cells.
Kind = Literal["string", "texts", "float64", "float32", "int64", "Int64", "bool"]


@dataclass(frozen=True)
class Column:
    """A column of a run's table."""

    name: str
    kind: Kind
    meaning: str  #: as Markdown, for docs/report.md
    access: Literal["private", "public", "baseline"] = PRIVATE
    nullable: bool = False  #: whether cells may be empty
    since: str | None = (
        None  #: the version that added it, where runs were written before; they lack it
    )

    def __post_init__(self) -> None:
        if self.since is not None and not self.nullable:
            raise ValueError(f"column {self.name}: older runs lack it, so it has to be nullable")


@dataclass(frozen=True)
class Table:
    """A run's table and its file."""

    name: str
    file: str
    columns: tuple[Column, ...]
    optional: bool = False  #: whether a run has the file only where there is something in it

    @property
    def names(self) -> list[str]:
        """Names of the columns in the order of the file."""
        return [column.name for column in self.columns]

    @property
    def required(self) -> list[str]:
        """Names of the columns that every run has, however old."""
        return [column.name for column in self.columns if column.since is None]

    @property
    def in_baselines(self) -> list[str]:
        """Names of the columns that a baseline file has."""
        return [column.name for column in self.columns if column.access == IN_BASELINES]

    @property
    def texts(self) -> list[str]:
        """Names of the columns whose cells are texts."""
        return [column.name for column in self.columns if column.kind == "string"]

    def find_missing(self, columns: Iterable[str]) -> list[str]:
        """Names of the required columns that are not among some."""
        there = {*columns}
        return [name for name in self.required if name not in there]
