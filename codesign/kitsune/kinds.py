"""What each kind of operator is: the pipe that runs it, whether it gathers, whether it reduces, its work.

`pipe` is "tensor" for products of matrices and "simt" for all else. An operator *gathers* when an
output element may need any element of an operand, chosen by data: no queue can feed it. It *reduces*
when it sums over the streaming dimension (rows: samples, nodes, tokens): its output is complete only
after its last row; a norm or softmax, which reduces within a row, does not. SIMT FLOP for each element
are our own count, of order 1, as in `codesign.physics.workload`; what only moves data has none.
"""

from dataclasses import dataclass
from typing import Final, Literal

Pipe = Literal["tensor", "simt"]


@dataclass(frozen=True)
class Kind:
    """Nature of an operator; `element_flop` is SIMT work for each element of the largest operand or output."""

    pipe: Pipe = "simt"
    gathers: bool = False
    reduces: bool = False
    element_flop: int = 0
    backward: bool = False  # stands only in the backward pass


ACTIVATION_FLOP: Final = {"relu": 1, "silu": 4, "gelu": 4, "sigmoid": 4, "tanh": 4}

KINDS: Final[dict[str, Kind]] = {
    "linear": Kind("tensor"),
    "bmm": Kind("tensor"),
    "activation": Kind(element_flop=1),                # the builder takes ACTIVATION_FLOP
    "layernorm": Kind(element_flop=6),                 # those of rmsnorm, and the mean and the shift
    "rmsnorm": Kind(element_flop=4),
    "softmax": Kind(element_flop=5),
    "rope": Kind(element_flop=6),
    "add": Kind(element_flop=1),
    "mul": Kind(element_flop=1),
    "scale": Kind(element_flop=1),
    "square": Kind(element_flop=1),
    "mean": Kind(element_flop=1),                      # over the width of a row
    "rsqrt": Kind(element_flop=1),
    "elementwise": Kind(element_flop=1),               # any other function of the elements at one place
    "concat": Kind(),
    "gather": Kind(gathers=True),
    "index": Kind(gathers=True),
    "embedding": Kind(gathers=True),
    "segment_sum": Kind(gathers=True, reduces=True, element_flop=1),
    "sum": Kind(reduces=True, element_flop=1),         # over the rows
    "unsupported": Kind(element_flop=1),
    "linear_dx": Kind("tensor", backward=True),
    "linear_dw": Kind("tensor", reduces=True, backward=True),
    "linear_db": Kind(reduces=True, element_flop=1, backward=True),
    "bmm_da": Kind("tensor", backward=True),
    "bmm_db": Kind("tensor", backward=True),
    "activation_dx": Kind(element_flop=1, backward=True),
    "layernorm_dx": Kind(element_flop=6, backward=True),
    "rmsnorm_dx": Kind(element_flop=4, backward=True),
    "softmax_sum": Kind(element_flop=2, backward=True),
    "softmax_dx": Kind(element_flop=2, backward=True),
    "rope_dx": Kind(element_flop=6, backward=True),
    "row_sum": Kind(element_flop=1, backward=True),    # of a gradient, within a row
    "head_sum": Kind(element_flop=1, backward=True),   # of a gradient, over the heads that share keys and values
    "buffer": Kind(backward=True),                     # zero-filled or expanded, for what follows
    "scatter": Kind(gathers=True, reduces=True, element_flop=1, backward=True),
    "embedding_dw": Kind(gathers=True, reduces=True, backward=True),
}  # fmt: skip
