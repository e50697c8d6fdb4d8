"""What is served: one model for users with one idea of speed, and the lengths of their requests."""

import math
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from codesign.facts.fact import Table
from codesign.fleet.quantities import Growth, RateByPeriod, Share, Worth, demand_known
from codesign.system.query import Count, Precisions, Seconds, Speed, Stored, Tokens

SLACK = 1e-6  # of shares that must sum to 1


class Length(Table):
    """A bucket of the histogram of lengths."""

    input: Tokens
    output: Tokens
    share: Share


class Workload(Table):
    """One model for users with one idea of speed; absent limits: none."""

    model: str
    precision: Precisions = ("fp8",)              # of weights; native: as the model ships
    kv_precision: Stored | None = None            # as in a query
    input: Tokens | None = None                   # with `output`, or a histogram in `lengths`
    output: Tokens | None = None
    lengths: tuple[Length, ...] = Field(default=(), validate_default=True)
    requests: RateByPeriod                        # requests/s; one value grows from the first period on
    growth: Growth = 0.0
    phases: Literal["any", "aggregated", "disaggregated"] = Field(default="any", validate_default=True)
    user_speed: Speed | None = None               # tokens/s that each user gets at least
    ttft: Seconds | None = None                   # longest mean time to first token
    share: Share = 1.0                            # of requests that must get both
    worth: Worth | None = None                    # of output tokens; objective value
    tensor: Count | None = None                   # largest tensor degree

    @field_validator("model")
    @classmethod
    def _model_known(cls, model: str, info: ValidationInfo) -> str:
        demand_known("models", [model], info)
        return model

    @field_validator("lengths")
    @classmethod
    def _one_histogram(cls, lengths: tuple[Length, ...], info: ValidationInfo) -> tuple[Length, ...]:
        given = [key for key in ("input", "output") if info.data.get(key) is not None]
        readable = all(key in info.data for key in ("input", "output"))
        if lengths and given:
            raise ValueError(f"{' and '.join(given)} beside a histogram; give one of the two")
        if lengths and not math.isclose(total := sum(one.share for one in lengths), 1.0, abs_tol=SLACK):
            raise ValueError(f"the shares sum to {total:g}, must sum to 1")
        if not lengths and readable and len(given) < 2:
            raise ValueError("give input and output, or a histogram [{ input, output, share }, ...]")
        if info.data.get("output") == 1 or any(one.output == 1 for one in lengths):
            raise ValueError("at least 2 tokens out are needed: the first is the prompt's")
        return lengths

    @field_validator("growth")
    @classmethod
    def _grows_from_one(cls, growth: float, info: ValidationInfo) -> float:
        if growth and len(info.data.get("requests", ())) > 1:
            raise ValueError("requests are given for each period; growth belongs to a single number")
        return growth

    @field_validator("phases")
    @classmethod
    def _one_cache(cls, phases: str, info: ValidationInfo) -> str:
        precisions, kv = info.data.get("precision", ()), info.data.get("kv_precision")
        if phases != "aggregated" and kv is None and "bf16" in precisions and len(set(precisions)) > 1:
            raise ValueError("pools exchange caches, which these precisions would keep in bf16 and fp8; "
                             "give one kv_precision")  # fmt: skip
        return phases

    def buckets(self) -> tuple[Length, ...]:
        """The histogram; one bucket where there is none. Buckets of no share are left out."""
        if self.lengths:
            return tuple(one for one in self.lengths if one.share > 0)
        if self.input is None or self.output is None:
            raise ValueError("a workload without lengths")
        return (Length(input=self.input, output=self.output, share=1.0),)
