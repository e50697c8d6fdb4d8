"""What the exit code of every command means, in one place. 1 is never used: it is what Python itself ends with."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same in every command."""

    ANSWERED = 0
    BAD_INPUT = 2      # an option, a file or a place that cannot be read or written
    UNDECIDED = 3      # not proven in the time given
    FAULT = 4          # of ours or of a solver
    INFEASIBLE = 5     # nothing fits, and that is proven; or an old answer that no longer holds
    INTERRUPTED = 130

    @classmethod
    def of(cls, status: str) -> "Exit":
        """The code of an answer's status; KeyError where no answer has such a status."""
        return _OF_STATUS[status]


_OF_STATUS = {
    **dict.fromkeys(("optimal", "proven", "best", "behind", "cured"), Exit.ANSWERED),
    **dict.fromkeys(("feasible", "unknown", "undecided"), Exit.UNDECIDED),
    **dict.fromkeys(("infeasible", "incurable", "absent"), Exit.INFEASIBLE),
}
