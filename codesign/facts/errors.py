"""The errors of the tool, and what each means for the person who sees it."""


class CodesignError(Exception):
    """Base of the five below, so that a caller can catch them together."""


class DataError(CodesignError):
    """The catalogue, a query file or a command line says something that cannot be read.

    The message names file, key, value and what would be right; exit code 2.
    """


class UnboundedError(DataError):
    """No limit bounds the objective asked for; the message names the limit that is missing."""


class SolverError(CodesignError):
    """A solver stopped in a way that is neither a solution nor a proof; exit code 4."""


class UndecidedError(CodesignError):
    """Not even what all else is compared with was proven in the time given; exit code 3."""


class AuditError(CodesignError):
    """The solver's answer and the domain's own formulas disagree: our bug; exit code 4."""
