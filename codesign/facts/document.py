"""What every answer document is made of."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A table of the answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Part):
    """A whole answer. JSON keeps the order of fields, the inherited first: what ends a document is not here."""

    schema_: Literal[1] = Field(default=1, alias="schema")

    def document(self) -> str:
        """The answer as JSON text."""
        return self.model_dump_json(by_alias=True, indent=2)

    @classmethod
    def schema_document(cls) -> dict[str, Any]:
        """JSON Schema of the answer."""
        content = cls.model_json_schema(by_alias=True)
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content}


class LimitPart(Part):
    """One limit: what it allows and what the system takes."""

    name: str
    used: float
    allowed: float
    unit: str
    binding: bool


class InputPart(Part):
    """One number behind the chosen system."""

    path: str
    value: str
    unit: str
    si: float | None
    source: str
    date: str
    confidence: str


class CurePart(Part):
    """A single limit that would make an infeasible query feasible, and from which value on."""

    limit: str
    asked: str
    works: str
    value: float | None
