"""A folder with everything about an answer: answer.json, query.toml, candidates.csv, model.lp, model.mps."""

from pathlib import Path

from codesign.output.files import write_folder
from codesign.output.pools_files import write_pool_programs
from codesign.output.program import write_programs
from codesign.system.best_system import Result
from codesign.system.candidates import candidates
from codesign.system.disaggregated import PoolsResult
from codesign.system.pools_candidates import pool_candidates

FILES = ("answer.json", "query.toml", "candidates.csv", "model.lp", "model.mps")


def table_of(result: Result | PoolsResult, *, removal: bool = True) -> str:
    """candidates.csv: every column of the program with its value, its bound, and why it was removed."""
    if isinstance(result, PoolsResult):
        return pool_candidates(result.prepared, removal=removal)
    return candidates(result.prepared, removal=removal)


def write_answer(folder: Path, result: Result | PoolsResult, *, removal: bool = True, own: Path | None = None) -> None:
    """Write the folder whole or not at all; a query without a solution has no program to write."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(result.answer.document() + "\n", encoding="utf-8")
        note = "" if own is None else f"# asked with a catalogue of one's own: --catalog {own}\n"
        (stage / "query.toml").write_text(note + result.prepared.query.as_toml(), encoding="utf-8")
        (stage / "candidates.csv").write_text(table_of(result, removal=removal), encoding="utf-8")
        if result.answer.system is not None and isinstance(result, PoolsResult):
            write_pool_programs(stage, result.solved, removal=removal)
        elif result.answer.system is not None and isinstance(result, Result):
            write_programs(stage, result.solved, removal=removal)

    write_folder(folder, fill, FILES)
