"""A folder with everything about an answer: answer.json, query.toml, candidates.csv, model.lp, model.mps."""

from pathlib import Path

from codesign.output.candidates import candidates, pool_candidates
from codesign.output.files import Content, own_note, write_files
from codesign.output.program import programs, ratio_header
from codesign.system.best_system import Result
from codesign.system.disaggregated import PoolsResult
from codesign.system.prepared import Solved, SolvedPools
from formulations import best_system, disaggregated


def write_answer(folder: Path, result: Result | PoolsResult, *, removal: bool = True, own: Path | None = None) -> None:
    """Write the folder whole or not at all; a query without a solution has no program to write."""
    model = programs("model", None)
    if isinstance(result, PoolsResult):
        table = pool_candidates(result.prepared, result.solved, removal=removal)
        if result.answer.system is not None:
            model = _pool_programs(result.solved, removal)
    else:
        table = candidates(result.prepared, removal=removal)
        if result.answer.system is not None:
            model = _programs(result.solved, removal)
    query = own_note(own) + result.prepared.query.as_toml()
    document = result.answer.document() + "\n"
    write_files(folder, {"answer.json": document, "query.toml": query, "candidates.csv": table, **model})


def _programs(solved: Solved, removal: bool) -> dict[str, Content]:
    """The last program solved; read back, its optimum is N - lambda * D of the answer (ratio objectives)."""
    data, outcome = solved.columns.instance, solved.outcome
    if removal and len(solved.proof.sweep.kept):
        data = data.only(solved.proof.sweep.kept)
    ratio = data.objective == "ratio"
    factor = outcome.value if ratio and outcome.value is not None else 0.0
    header = [f"best_system, objective {data.objective}, {len(data.columns)} columns",
              "units: ms, users, thousands of dollars, dollars per hour, kW"]  # fmt: skip
    solution = outcome.solution
    if ratio and solution is not None:
        j = int((data.columns == solution.column).nonzero()[0][0])
        header += ratio_header(factor, float(data.gain[j] * solution.batch), float(data.rate[j] * solution.step))
    elif solution is not None:
        header.append(f"optimum = {outcome.value!r}")
    return programs("model", best_system.build(data, lam=float(factor)), header)


def _pool_programs(solved: SolvedPools, removal: bool) -> dict[str, Content]:
    """Likewise of two pools."""
    data, outcome = solved.instance, solved.outcome
    if removal and len(solved.proof.sweep.kept):
        data = data.only(solved.proof.sweep.kept)
    ratio = data.objective == "ratio"
    factor = outcome.value if ratio and outcome.value is not None else 0.0
    header = [f"disaggregated, objective {data.objective}, {len(data.columns)} columns",
              "units: requests/s, GB, thousands of dollars, dollars per hour, kW"]  # fmt: skip
    if ratio and outcome.solution is not None:
        header += ratio_header(factor, outcome.solution.rate, disaggregated.paid(data, outcome.solution))
    elif outcome.solution is not None:
        header.append(f"optimum = {outcome.value!r}")
    return programs("model", disaggregated.build(data, lam=float(factor)), header)
