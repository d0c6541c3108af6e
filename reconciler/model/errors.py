"""Exceptions of reconciler. Operator mistakes are `Diagnostic` values and never raised.

ReconcilerError
├── BrokenLaw          our bug: names the law; stop issuing actions, never stop services
├── Unreachable        a controller, an agent or a repository could not be reached
├── Refused            the other side said no, with its reason
│   └── Stale          the facts moved since the plan was made, with what changed
└── Corrupt            stored or received bytes are not what they claim to be
"""


class ReconcilerError(Exception):
    """Base of everything raised on purpose."""


class BrokenLaw(ReconcilerError):  # noqa: N818 - it names what happened
    """An invariant does not hold. This is a bug in reconciler."""

    def __init__(self, law: str, detail: str) -> None:
        super().__init__(f"{law}: {detail}. This is a bug in reconciler.")
        self.law = law


class Unreachable(ReconcilerError):  # noqa: N818
    """Something did not answer in time."""


class Refused(ReconcilerError):  # noqa: N818
    """The other side understood and refused."""


class Stale(Refused):
    """The world is not the one that the plan was made for; `changes` says what moved."""

    def __init__(self, changes: tuple[str, ...]) -> None:
        super().__init__("the facts changed since this plan was made")
        self.changes = changes


class Corrupt(ReconcilerError):  # noqa: N818
    """Bytes failed their checksum, their signature or their schema."""
