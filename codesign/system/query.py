"""A question as the user wrote it: limits, what is allowed, what is maximised. Checked, in SI.

The same fields come from a TOML file, from options, or both; options override the file. A message
names the place that said it. `as_toml` writes a query that gives the same answer again.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from codesign.facts.catalog import builtin_query, faults_of
from codesign.facts.errors import DataError
from codesign.facts.fact import Table, Written
from codesign.facts.reading import Document, shown, toml_file, toml_of
from codesign.facts.units import sane
from codesign.system.objective import CAPITAL, OBJECTIVES, Maximize, Objective

Precision = Literal["bf16", "fp8", "int8", "fp4", "native"]
Stored = Literal["bf16", "fp8", "int8", "fp4"]
Engine = Literal["vllm", "sglang", "trtllm"]
Phases = Literal["decode", "aggregated", "disaggregated"]


def _read(unit: str) -> BeforeValidator:
    def read(raw: Any) -> Any:
        if raw is None:
            return None
        try:
            return sane(raw, unit)
        except DataError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(read)


def _write(unit: str) -> PlainSerializer:
    return PlainSerializer(lambda x: None if x is None else f"{x!r} {unit}".strip(), when_used="unless-none")


def _listed(raw: Any) -> Any:
    """Names with commas as a list, each once; a text without any name is a slip, not "all"."""
    if not isinstance(raw, str):
        return raw
    names = list(dict.fromkeys(part.strip() for part in raw.split(",") if part.strip()))
    if not names:
        raise ValueError("expected one or more names with commas; leave it out to set no list")
    return names


MOST_TOKENS = 10**9  # as `units.sane` has it
NONE = "none"  # an option's value that lifts a limit of the file

Money = Annotated[float, _read("USD"), _write("USD"), Field(gt=0)]
MoneyPerHour = Annotated[float, _read("USD/h"), _write("USD/h"), Field(gt=0)]
Power = Annotated[float, _read("W"), _write("W"), Field(gt=0)]
Speed = Annotated[float, _read("tokens/s"), _write("tokens/s"), Field(gt=0)]
Seconds = Annotated[float, _read("s"), _write("s"), Field(gt=0)]
Count = Annotated[int, _read("1"), Field(ge=1, le=10**9)]
Year = Annotated[int, _read("1"), Field(ge=2000, le=2100)]
Tokens = Annotated[int, _read("tokens"), Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Precisions = Annotated[tuple[Precision, ...], BeforeValidator(_listed), Field(min_length=1)]


class Limits(Table):
    """What the system must stay within, and what its users must get; absent: no limit."""

    budget: Money | None = None            # capital: chips, servers, network, facility
    hourly: MoneyPerHour | None = None
    power: Power | None = None             # provisioned IT power
    chips: Count | None = None             # chips bought, spares included
    racks: Count | None = None
    user_speed: Speed | None = None        # tokens/s that each user gets at least
    users: Count | None = None             # concurrent users to hold at once
    replicas: Count | None = None
    tensor: Count | None = None            # largest tensor degree
    ttft: Seconds | None = None            # mode achieved: longest mean time to first token


class Serving(Table):
    """Mode achieved: what is served, and by which engine. Absent keys take the defaults said here."""

    input: Tokens | None = None            # of a prompt; absent: what `context` leaves beside the output
    output: Tokens | None = None           # absent: an eighth of `context`
    engine: Engine | None = None           # vllm
    release: str | None = None             # as measured, "vllm 0.12.0"; absent: the mean of the engine's
    phases: Phases | None = None           # aggregated
    prior: Literal["none", "family", "all"] | None = None  # none: chips without measured runs are left out
    draft: Annotated[int, _read("1"), Field(ge=0, le=1000)] | None = None  # tokens drafted in a step; 0
    acceptance: Annotated[float, Field(ge=1, le=1001)] | None = None       # mean tokens that a step yields; 1
    chunk: Tokens | None = None            # of a prompt in one step; absent: as fitted

    @model_validator(mode="after")
    def _drafted(self) -> "Serving":
        if (self.acceptance or 1.0) > (self.draft or 0) + 1:
            raise ValueError(f"acceptance = {self.acceptance:g}: {self.draft or 0} drafted tokens yield at most "
                             f"{(self.draft or 0) + 1} a step")  # fmt: skip
        return self


class Choice(Table):
    """Names of memories (or families), chips and vendors; empty: all."""

    memories: Names = ()
    chips: Names = ()
    vendors: Names = ()


def no_price(basis: str) -> str:
    """Why a chip has no price of its own on a basis; empty where it has one."""
    return "" if basis == "buy" else (f"of bought chips; basis {basis!r} pays by the hour, whatever a chip costs to "
                                      "make; leave it out, or use basis 'buy'")  # fmt: skip


class Query(Table):
    """A question; without a mode, `queries.mode` chooses one and says why."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: str
    context: Tokens                        # in the cache of every user (mode achieved: input and output)
    precision: Precisions = ("fp8",)       # of weights; native: as the model ships
    kv_precision: Stored | None = None     # None: fp8 beside 8 and 4 bit weights, bf16 beside bf16
    mode: Literal["limit", "achieved"] | None = None
    maximize: Maximize = "throughput-per-dollar"
    dollars: Literal["capital", "per-hour"] = "capital"
    basis: Literal["buy", "hyperscaler", "rent"] = "buy"
    price_basis: Literal["sold", "cost"] = "sold"
    hardware: Literal["any", "catalogue", "composed"] = "any"
    available_by: Year | None = None
    spare_servers: Annotated[int, Field(ge=0, le=10**6)] = 0
    time_limit: Seconds | None = None
    limits: Limits = Limits()
    allow: Choice = Choice()
    forbid: Choice = Choice()
    serving: Serving = Serving()
    cost: dict[str, Written] = Field(default_factory=dict)    # prices/default.toml, this query only
    assume: dict[str, Written] = Field(default_factory=dict)  # any other number of the catalogue

    @model_validator(mode="before")
    @classmethod
    def _long(cls, raw: Any) -> Any:
        """Input and output together are the context; a length that cannot be read is told by its own field."""
        lengths = raw.get("serving") if isinstance(raw, dict) else None
        if isinstance(lengths, dict) and lengths.get("input") is not None and lengths.get("output") is not None:
            with suppress(DataError):
                total = sane(lengths["input"], "tokens") + sane(lengths["output"], "tokens")
                if total > MOST_TOKENS:
                    raise ValueError(f"serving.input and serving.output: {total:,.0f} tokens, at most {MOST_TOKENS:,}")
                return {**raw, "context": total}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> "Query":
        self._serving_consistent()
        if self.objective.kind == "cost" and self.limits.users is None:
            raise ValueError(f"limits.users is missing: {self.maximize} asks for the cheapest system that serves them")
        if self.basis != "buy" and self.limits.budget is not None:
            raise ValueError(
                f"limits.budget is capital, and basis {self.basis!r} has none; "
                "give dollars per hour (--budget '$900/h', limits.hourly), or --budget none"
            )
        if self.price_basis != "sold" and (why := no_price(self.basis)):
            raise ValueError(f"price_basis = {self.price_basis!r}: {why}")
        if self.basis != "buy" and self.objective.counted is CAPITAL:
            raise ValueError(f"dollars = 'capital' with basis {self.basis!r}; use dollars = 'per-hour'")
        return self

    def _serving_consistent(self) -> None:
        asked = [key for key, value in self.serving if value is not None and key not in ("input", "output")]
        asked += ["ttft"] if self.limits.ttft is not None else []
        if self.mode == "limit" and asked:
            raise ValueError(f"{', '.join(asked)}: known in mode achieved only (mode = 'limit')")
        if self.mode == "limit" and (self.serving.input is None) != (self.serving.output is None):
            key = "input" if self.serving.output is None else "output"
            raise ValueError(f"serving.{key}: alone it says nothing in mode limit, which knows the context only; "
                             "give both input and output, or context")  # fmt: skip
        if self.limits.ttft is not None and self.serving.phases == "decode":
            raise ValueError("limits.ttft: phases 'decode' has no first token; use aggregated or disaggregated")
        if self.serving.chunk is not None and self.serving.phases == "decode":
            raise ValueError("serving.chunk: phases 'decode' computes no prompts; use aggregated or disaggregated")
        for key in ("input", "output"):
            if (value := getattr(self.serving, key)) is not None and value >= self.context:
                raise ValueError(f"serving.{key} = {value}: must leave tokens of context = {self.context}; "
                                 "give both input and output instead")  # fmt: skip

    @property
    def objective(self) -> Objective:
        """What `maximize` names, its money counted as `dollars` says."""
        return OBJECTIVES[self.maximize].in_money(self.dollars)

    @property
    def output(self) -> int:
        """Tokens out: as asked, or what the input leaves of the context, or an eighth of it."""
        if self.serving.output is not None:
            return self.serving.output
        return max(1, self.context // 8) if self.serving.input is None else self.context - self.serving.input

    @property
    def input(self) -> int:
        """Tokens in."""
        return self.context - self.output if self.serving.input is None else self.serving.input

    @property
    def phases(self) -> Phases:
        """decode: prompts are computed elsewhere; aggregated: in the same steps; disaggregated: in a pool apart."""
        return self.serving.phases or "aggregated"

    @property
    def engine(self) -> Engine:
        """As asked, or vllm."""
        return self.serving.engine or "vllm"

    @property
    def release(self) -> str:
        """As asked; empty: the mean of the engine's."""
        return self.serving.release or ""

    def at_context(self, context: int) -> "Query":
        """The same question at another context; input and output keep their proportion."""
        output = max(1, min(context - 1, round(context * self.output / self.context)))
        both = {} if self.serving.input is None and self.serving.output is None else {
            "input": context - output, "output": output}  # fmt: skip
        return self.model_copy(update={"context": context, "serving": self.serving.model_copy(update=both)})

    def kv(self, weights: str) -> str:
        """Precision of the KV cache beside weights of a precision."""
        if self.kv_precision is not None:
            return self.kv_precision
        return "bf16" if weights == "bf16" else "fp8"

    def assumptions(self) -> dict[str, str | float]:
        """Catalogue path -> value, of both `cost` and `assume`."""
        return {**{f"prices.default.{key}": value for key, value in self.cost.items()}, **self.assume}

    def as_toml(self) -> str:
        """The query as a file that reproduces the answer."""
        import tomli_w

        content = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        return tomli_w.dumps({k: v for k, v in content.items() if v not in ({}, [])})


OPTIONS = {  # what commands and the Python interface call a key of a query; the rest is called as it is
    "power": "limits.power", "chips": "limits.chips", "racks": "limits.racks", "replicas": "limits.replicas",
    "tensor": "limits.tensor", "user_speed": "limits.user_speed", "users": "limits.users", "ttft": "limits.ttft",
    "prompt": "serving.input", "input": "serving.input", "output": "serving.output", "engine": "serving.engine",
    "release": "serving.release", "phases": "serving.phases", "prior": "serving.prior", "draft": "serving.draft",
    "acceptance": "serving.acceptance", "chunk": "serving.chunk", "memory": "allow.memories",
    "no_memory": "forbid.memories", "chip": "allow.chips", "no_chip": "forbid.chips", "vendor": "allow.vendors",
    "no_vendor": "forbid.vendors",
}  # fmt: skip
PLAIN = ("model", "context", "precision", "kv_precision", "mode", "maximize", "dollars", "basis", "price_basis",
         "hardware", "available_by", "spare_servers", "time_limit", "cost", "assume")  # fmt: skip


def query_of(path: Path | Document | None, said: Mapping[str, Any]) -> Query:
    """The query of a file (built-in if None) with options by their names over it; None was not given.

    Raises DataError naming what is wrong, an unknown option among it.
    """
    options: dict[str, Any] = {}
    for name, value in said.items():
        if name == "budget":
            options |= _budget(value)
        elif name in OPTIONS or name in PLAIN:
            options[OPTIONS.get(name, name)] = value
        else:
            raise DataError(f"option {name!r}: unknown; known: {', '.join(sorted({*OPTIONS, *PLAIN, 'budget'}))}")
    return read_query(path, options, builtin_query("best"))


def _budget(written: Any) -> dict[str, Any]:
    """One option for both money limits: what it does not set, it lifts."""
    if written is None:
        return {}
    hourly = "/h" in str(written).replace(" ", "")
    return {"limits.hourly": written if hourly else NONE, "limits.budget": NONE if hourly else written}


def read_query(path: Path | Document | None, options: Mapping[str, Any], builtin: str) -> Query:
    """The query of a file (`builtin`, as text, where `path` is None) with `options` over it.

    `options` maps dotted keys ("limits.budget") to written values; None values were not given, and
    "none" takes away what the file says.
    Raises DataError naming file or option, key, value and what would be right.
    """
    where, table = asked_table(path, builtin, "built-in query")
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        *parents, last = key.split(".")
        spot = table
        for parent in parents:
            spot = spot.setdefault(parent, {})
            if not isinstance(spot, dict):
                raise DataError(f"{where}: {parent} = {shown(spot)}: expected a table [{parent}]")
        if value == NONE:
            spot.pop(last, None)
        else:
            spot[last] = {**_inside(spot, last, key, where), **value} if isinstance(value, dict) else value
    try:
        return Query.model_validate(table)
    except ValidationError as error:
        raise DataError("\n".join(_told(line, given, where) for line in faults_of(error, where, Query))) from error


def _inside(spot: dict[str, Any], last: str, key: str, where: str) -> dict[str, Any]:
    """The table that the file has there; an option adds to it."""
    found = spot.get(last, {})
    if not isinstance(found, dict):
        raise DataError(f"{where}: {key} = {shown(found)}: expected a table [{key}]")
    return found


def asked_table(path: Path | Document | None, builtin: str, called: str) -> tuple[str, dict[str, Any]]:
    """Name for messages and table of a file, of what was read of it, or of the built-in text. Raises DataError."""
    if isinstance(path, Document):
        return str(path.path), path.table
    return (called, toml_of(builtin, called)) if path is None else (str(path), toml_file(path))


def option_name(key: str) -> str:
    """The option that sets a query key: "limits.user_speed" -> "--user-speed"."""
    known = {"limits.hourly": "--budget", "allow.memories": "--memory", "allow.chips": "--chip",
             "allow.vendors": "--vendor", "forbid.memories": "--no-memory", "forbid.chips": "--no-chip",
             "forbid.vendors": "--no-vendor"}  # fmt: skip
    return known.get(key, "--" + key.split(".")[-1].replace("_", "-"))


def _told(line: str, given: Mapping[str, Any], where: str) -> str:
    """The line with the option's name in place of file and key, where an option said it."""
    for key in given:
        said = f"{where}: {key}"
        if line.startswith(said):
            item, sign, rest = line.removeprefix(said).partition(" = ")
            return option_name(key) + (sign + rest if item[1:].isdecimal() else item + sign + rest)
    return line

