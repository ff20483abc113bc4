"""How pytest-xdist spreads the suite over processes: by model. Imported only where that plugin is at work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from xdist.scheduler import LoadScopeScheduling


class ByModel(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Each model's tests go to one process, in their order; every other test goes wherever there is room."""

    def __init__(self, config: Any, log: Any, models: Sequence[str]) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # tests of all models together stay last
        # The longest first: a name may be part of another.
        names = "|".join(re.escape(name) for name in sorted(models, key=len, reverse=True))
        self.model = re.compile(rf"[\[-]({names})(?=[\]-])")

    def _split_scope(self, nodeid: str) -> str:
        """The last model that an id names; it stands at the end of ours. A wrong guess costs time, nothing else."""
        _, bracket, parameters = nodeid.rpartition("[")
        found = self.model.findall(bracket + parameters) if bracket else []
        return found[-1] if found else nodeid
