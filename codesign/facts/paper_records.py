"""Printed results of the Kitsune study (arXiv 2502.18403, v1): Table 2 and the speed-ups of its text."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from codesign.facts.fact import Fact, In, Table

Pass = Literal["inference", "training"]
Count = Annotated[Fact, In("1", whole=True)]
Share = Annotated[Fact, In("1", "nonnegative", most=1.0)]
Factor = Annotated[Fact, In("1", least=1.0)]


class Row(Table):
    """One application, one pass. Traffic is left out where it is to be predicted."""

    app: str                              # of `codesign.kitsune.apps`
    mode: Pass
    operators: Count
    vertical_covered: Count               # operators in vertical groups
    kitsune_covered: Count                # operators in spatial pipelines
    vertical_cut: Share | None = None     # of off-chip traffic
    kitsune_cut: Share | None = None


class Headline(Table):
    """Speed-ups against bulk-synchronous execution, and the traffic cuts of the abstract."""

    inference_mean: Factor                # geometric, end to end
    inference_most: Factor
    subgraph_mean: Factor                 # geometric
    subgraph_least: Factor
    subgraph_most: Factor
    vertical_mean: Factor                 # geometric
    vertical_most: Factor
    training_least: Factor
    training_most: Factor
    abstract_cuts: tuple[Share, ...] = Field(min_length=1)


class MeasuredRow(Table):
    """A sub-graph as the study's predecessor measured it, by PyTorch and as a pipeline with no change of scheduler."""

    name: str
    app: str                              # of `codesign.kitsune.apps`, where its operators are
    operators: tuple[str, ...] = Field(min_length=1)  # beginnings of their names; its own shapes are not printed
    bulk: Annotated[Fact, In("FLOP/s")]
    pipelined: Annotated[Fact, In("FLOP/s")]
    traffic: Factor                       # bytes off the chip of PyTorch over those of the pipeline


class Table2(Table):
    """The study's results as far as they are known to us."""

    rows: tuple[Row, ...] = Field(min_length=1)
    headline: Headline
    measured: tuple[MeasuredRow, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> "Table2":
        keys = [(row.app, row.mode) for row in self.rows]
        if len(set(keys)) < len(keys):
            raise ValueError("an application has two rows of the same pass")
        return self

    def missing(self) -> tuple[float, ...]:
        """Cuts of the abstract (shares) that are no known cell of the table, rounded or cut to the percent."""
        known = [cut.si * 100 for row in self.rows for cut in (row.vertical_cut, row.kitsune_cut) if cut]
        cells = {whole for percent in known for whole in (int(percent), round(percent))}
        return tuple(cut.si for cut in self.headline.abstract_cuts if round(cut.si * 100) not in cells)
