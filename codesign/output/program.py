"""model.lp and model.mps: the last program solved, with lambda and the ratio in the header."""

from pathlib import Path

from codesign.system.prepared import Solved
from formulations import best_system
from formulations.solvers import highs


def write_programs(folder: Path, solved: Solved, *, removal: bool) -> None:
    """Write both files; read back, their optimum is N - lambda * D of the answer (ratio objectives)."""
    data = solved.columns.instance
    if removal and len(solved.proof.sweep.kept):
        data = data.only(solved.proof.sweep.kept)
    ratio = data.objective == "ratio"
    lam = solved.outcome.value if ratio and solved.outcome.value is not None else 0.0
    header = [f"best_system, objective {data.objective}, {len(data.columns)} columns",
              "units: ms, users, thousands of dollars, dollars per hour, kW"]  # fmt: skip
    solution = solved.outcome.solution
    if ratio and solution is not None:
        j = int((data.columns == solution.column).nonzero()[0][0])
        numerator, denominator = data.gain[j] * solution.batch, data.rate[j] * solution.step
        header += [f"lambda = {lam!r}", f"ratio = {float(numerator / denominator)!r}",
                   f"N = {float(numerator)!r}", f"D = {float(denominator)!r}",
                   f"N - lambda * D = {float(numerator - lam * denominator)!r}"]  # fmt: skip
    elif solution is not None:
        header.append(f"optimum = {solved.outcome.value!r}")
    program = highs.load(best_system.build(data, lam=float(lam)))
    for name in ("model.lp", "model.mps"):
        highs.write(program, folder / name, header)
