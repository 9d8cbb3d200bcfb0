"""Reading settings that come as text or values, and refusing wrong ones by name.

class Options(Settings):
    k: int = Field(3, ge=1, description="active latents")

Options(k="5").k                               # 5
Options(k=0)                                   # ConfigError: k must be at least 1, got 0
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type or out of range."""


def check_names(given: Iterable[Any], known: Iterable[str], what: str) -> None:
    """Raise ConfigError on the first name that is not known, with the nearest that is."""
    known = list(known)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown {what} {name!r}{hint} (known: {', '.join(sorted(known))})")


class Settings(BaseModel):
    """Frozen settings: text is read as what it means; ConfigError names what is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        check_names(values, type(self).model_fields, "field")
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refusal(error) from None

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        return _as_meant(value, cls.model_fields[info.field_name].annotation)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return self.model_dump()

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields replaced, checked like a new one."""
        return type(self)(**self.to_dict() | changes)


def coerce(name: str, value: Any, kind: Any) -> Any:
    """`value` read as a type, as a field of `Settings` would be; raises ConfigError by `name`."""
    read = BeforeValidator(lambda given: _as_meant(given, kind))
    try:
        return TypeAdapter(Annotated[kind, read]).validate_python(value)
    except ValidationError as error:
        raise _refusal(error, name) from None


def _as_meant(value: Any, kind: Any) -> Any:
    """Text as it comes from a command line or YAML; refuses what pydantic would bend too far."""
    options = get_args(kind)
    if type(None) in options:
        if value is None:
            return None
        choices = [choice for one in options for choice in get_args(one)]
        if isinstance(value, str) and value.lower() in ("none", "null") and value not in choices:
            return None
        kind = next(option for option in options if option is not type(None))
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return str(value).lower() == "true"
    if kind in (int, float) and isinstance(value, bool):
        raise ValueError("must be a whole number" if kind is int else "must be a number")
    if get_origin(kind) is tuple and isinstance(value, str):
        return re.split(r"[,\s]+", value.strip("[]() "))
    return value


_WORDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be above {gt}",
    "less_than": "must be below {lt}",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {choices}",
    "int": "must be a whole number",
    "float": "must be a number",
    "string": "must be text",
    "tuple": "must be a list such as [8, 3]",
    "missing": "must be given",
    "value_error": "{error}",
}
"""What is allowed, by pydantic's error type or the start of it."""


def _refusal(error: ValidationError, name: str | None = None) -> ConfigError:
    """The first thing that pydantic found wrong, in this project's words."""
    first = error.errors()[0]
    kind, context, place = first["type"], dict(first.get("ctx", {})), list(first["loc"])
    if isinstance(context.get("error"), ConfigError):
        return context["error"]
    head = name or str(place.pop(0))
    label = head + "".join(f"[{at}]" for at in place if isinstance(at, int))
    if "expected" in context:
        context["choices"] = sorted(re.findall(r"'([^']*)'", context["expected"]))
    words = _WORDS.get(kind) or _WORDS.get(kind.partition("_")[0], first["msg"])
    return ConfigError(f"{label} {words.format(**context)}, got {first['input']!r}")
