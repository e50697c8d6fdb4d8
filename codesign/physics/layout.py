"""How one replica of a model lies on its chips, and what of the engine's settings its time rests on.

One layout for both ways to predict time: `performance` (mode limit) and `serving` (mode achieved).
"""

import math
from dataclasses import dataclass

BYTES = {                # of one stored element
    "bf16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5625,       # NVFP4: 4 bits and one 8-bit scale for 16 elements
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """One replica: `tensor` x `data` chips share each layer, and `pipeline` stages follow each other.

    Attention runs in `data` groups of `tensor` chips; routed experts lie on `expert` groups of all chips of a
    stage. `weights` and `kv` are precisions. Each step drafts `draft` tokens, of which it yields `acceptance` in
    the mean. `chunk` is the most prompt tokens of one step; None where the engine's own is not known.
    """

    tensor: int
    data: int = 1
    pipeline: int = 1
    expert: int = 1
    weights: str = "fp8"
    kv: str = "fp8"
    draft: int = 0
    acceptance: float = 1.0
    chunk: float | None = None

    def __post_init__(self) -> None:
        if self.draft < 0:
            raise ValueError(f"draft = {self.draft!r} must be at least 0")
        if not 1 <= self.acceptance <= self.draft + 1:
            raise ValueError(f"acceptance = {self.acceptance!r} must be from 1 to draft + 1 = {self.draft + 1}")
        if self.chunk is not None and not 1 <= self.chunk < math.inf:
            raise ValueError(f"chunk = {self.chunk!r} must be at least 1 token and finite")

    @property
    def stage_chips(self) -> int:
        """Chips of one pipeline stage."""
        return self.tensor * self.data

    @property
    def chips(self) -> int:
        """Chips of the replica."""
        return self.stage_chips * self.pipeline
