"""A folder with everything about an answer: answer.json, query.toml, candidates.csv, model.lp, model.mps."""

from pathlib import Path

from codesign.output.files import Content, own_note, write_files
from codesign.output.program import programs, ratio_header
from codesign.system.best_system import Result
from codesign.system.candidates import candidates
from codesign.system.disaggregated import PoolsResult
from codesign.system.pools_candidates import pool_candidates
from codesign.system.prepared import Solved, SolvedPools
from formulations import best_system, disaggregated


def table_of(result: Result | PoolsResult, *, removal: bool = True) -> str:
    """candidates.csv: every column of the program with its value, its bound, and why it was removed."""
    if isinstance(result, PoolsResult):
        return pool_candidates(result.prepared, removal=removal)
    return candidates(result.prepared, removal=removal)


def write_answer(folder: Path, result: Result | PoolsResult, *, removal: bool = True, own: Path | None = None) -> None:
    """Write the folder whole or not at all; a query without a solution has no program to write."""
    if result.answer.system is None:
        model = programs("model", None)
    else:
        model = (_pool_programs(result.solved, removal) if isinstance(result, PoolsResult)
                 else _programs(result.solved, removal))  # fmt: skip
    query = own_note(own) + result.prepared.query.as_toml()
    document, table = result.answer.document() + "\n", table_of(result, removal=removal)
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
