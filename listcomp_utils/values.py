"""Reading settings that come as text or values, and refusing wrong ones by name."""

from __future__ import annotations

import difflib
import numbers
import re
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type or out of range."""


def check_names(given: Iterable[str], known: list[str], what: str) -> None:
    """Raise ConfigError on the first name that is not known, with the nearest that is."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown {what} {name!r}{hint} (known: {', '.join(sorted(known))})")


def coerce(name: str, value: Any, kind: Any) -> Any:
    """`value` as int, float, bool, str, a Literal, a tuple of one of them, or any of those or None.

    Text is read the way it comes from a command line or from YAML: "3", "1e-3", "false", "[3, 4]".

    Raises:
        ConfigError: naming the parameter, its value and what is allowed.
    """
    options = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        if any(get_origin(one) is Literal and value in get_args(one) for one in options):
            return value  # where "none" is one of the choices, it is meant
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
            return None
        (kind,) = [option for option in options if option is not type(None)]
        return coerce(name, value, kind)
    if get_origin(kind) is Literal:
        if value in options:
            return value
        raise ConfigError(f"{name} must be one of {sorted(options)}, got {value!r}")
    if get_origin(kind) is tuple:
        items = re.split(r"[,\s]+", value.strip("[]() ")) if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise ConfigError(f"{name} must be a list such as [8, 3], got {value!r}")
        return tuple(coerce(f"{name}[{i}]", item, options[0]) for i, item in enumerate(items))
    if kind is str:
        if isinstance(value, str):
            return value
        raise ConfigError(f"{name} must be text, got {value!r}")
    if kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise ConfigError(f"{name} must be true or false, got {value!r}")
    wanted = "a whole number" if kind is int else "a number"
    accepted = numbers.Integral if kind is int else numbers.Real
    if isinstance(value, accepted) and not isinstance(value, bool):
        return kind(value)
    error = ConfigError(f"{name} must be {wanted}, got {value!r}")
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        raise error
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        raise error from None
    if number != float(value):
        raise error
    return number
