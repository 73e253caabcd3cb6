"""What all parts of an SOP are made of: keys, lines, durations, and the frozen model that refuses unknown fields."""

from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from sop.durations import PATTERN as DURATION_PATTERN
from sop.durations import format_duration, parse_duration
from sop.owners import PATTERN as OWNER_PATTERN

KEY_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"
FIELD_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"

Severity = Literal["informational", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def read_duration(value: object) -> timedelta:
    """Return a duration as an SOP writes it, or refuse in the way that models do."""
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value if isinstance(value, str) else str(value))
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None


Key = Annotated[str, Field(pattern=KEY_PATTERN)]
FieldName = Annotated[str, Field(pattern=FIELD_PATTERN)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(?:[^\r\n]*\S)?$")]
Body = Annotated[str, Field(max_length=20_000)]
Condition = Annotated[str, Field(min_length=1, max_length=1_000, description="A CEL expression.")]
OwnerRule = Annotated[str, Field(pattern=OWNER_PATTERN)]
Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30m", "1h30m", "2d"]}),
]


class Element(BaseModel):
    """What all parts of an SOP share: they never change, and unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, use_attribute_docstrings=True
    )
