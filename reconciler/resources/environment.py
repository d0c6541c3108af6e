"""The environment of a program that runs for a service: built from nothing, never inherited.

Only the variables below and those given by name reach a program, so `LD_PRELOAD`, `BASH_ENV` or `IFS` of
whoever started the agent do not. Operators' values come under a fixed prefix, without NUL or newline.
"""

import re
from collections.abc import Mapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BASE = {"PATH": PATH, "LANG": "C", "HOME": "/"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REFUSED_IN_VALUES = "\0\n\r"


class BadVariable(ValueError):  # noqa: N818 - it names what was found
    """A name or a value that must not enter an environment. Becomes an outcome, never leaves a hand."""


def build(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a whole environment: the fixed part and these variables.

    Errors: `BadVariable`, which names the variable and never shows its value.
    """
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise BadVariable(f"{name[:80]!r} is no name of a variable")
        if any(character in value for character in _REFUSED_IN_VALUES):
            raise BadVariable(f"the value of {name} contains a newline or a NUL")
    return _BASE | dict(variables)
