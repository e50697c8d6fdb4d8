"""Two pools: candidates.csv with the columns of both, and the last program solved as model.lp and model.mps."""

from pathlib import Path

from codesign.system.prepared import SolvedPools
from formulations import disaggregated
from formulations.solvers import highs


def write_pool_programs(folder: Path, solved: SolvedPools, *, removal: bool) -> None:
    """Write both files; read back, their optimum is N - lambda * D of the answer (ratio objectives)."""
    data, outcome = solved.instance, solved.outcome
    if removal and len(solved.proof.sweep.kept):
        data = data.only(solved.proof.sweep.kept)
    ratio = data.objective == "ratio"
    lam = outcome.value if ratio and outcome.value is not None else 0.0
    header = [f"disaggregated, objective {data.objective}, {len(data.columns)} columns",
              "units: requests/s, GB, thousands of dollars, dollars per hour, kW"]  # fmt: skip
    if ratio and outcome.solution is not None:
        numerator, denominator = outcome.solution.rate, disaggregated.paid(data, outcome.solution)
        header += [f"lambda = {lam!r}", f"ratio = {numerator / denominator!r}", f"N = {numerator!r}",
                   f"D = {denominator!r}", f"N - lambda * D = {numerator - lam * denominator!r}"]  # fmt: skip
    elif outcome.solution is not None:
        header.append(f"optimum = {outcome.value!r}")
    program = highs.load(disaggregated.build(data, lam=float(lam)))
    for name in ("model.lp", "model.mps"):
        highs.write(program, folder / name, header)
