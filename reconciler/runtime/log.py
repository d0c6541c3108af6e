"""Logs: one line per event, with keys, on standard error.

    log = log.events(node="alpha")
    log.info("operation finished", service="web", verdict="running")
    # 2025-03-01T12:00:00.123Z info "operation finished" node=alpha service=web verdict=running

An event is fixed text that can be searched for; what varies is in its keys. Values with spaces, quotes or
line breaks are written as JSON strings, so that one event is always one line, whatever a script printed.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping

from reconciler.runtime import clock

VALUE_MAX = 1_000
"""Characters of one value; more are cut."""

_NAME = "reconciler"
_PLAIN = re.compile(r"[\w.:/@+,%-]+", re.ASCII)


class Events:
    """Writes events that all carry the same first keys."""

    def __init__(self, logger: logging.Logger, keys: Mapping[str, object]) -> None:
        self._logger = logger
        self._keys = dict(keys)

    def bind(self, **keys: object) -> "Events":
        """The same log, with more keys in every event."""
        return Events(self._logger, self._keys | keys)

    def debug(self, event: str, **keys: object) -> None:
        """What helps to follow one case; not written by default."""
        self._write(logging.DEBUG, event, keys)

    def info(self, event: str, **keys: object) -> None:
        """What happened, as it should."""
        self._write(logging.INFO, event, keys)

    def warning(self, event: str, **keys: object) -> None:
        """What an operator may want to look at."""
        self._write(logging.WARNING, event, keys)

    def error(self, event: str, **keys: object) -> None:
        """What somebody has to look at."""
        self._write(logging.ERROR, event, keys)

    def bug(self, event: str, trouble: BaseException, **keys: object) -> None:
        """What must not happen, with where it did."""
        self._logger.error(event, exc_info=trouble, extra={"keys": self._keys | keys})

    def _write(self, level: int, event: str, keys: Mapping[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"keys": self._keys | dict(keys)})


class Lines(logging.Formatter):
    """One record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, event and keys; a traceback becomes one more key."""
        keys = dict(getattr(record, "keys", {}))
        if record.exc_info:
            keys["trace"] = self.formatException(record.exc_info)
        words = [clock.stamp(), record.levelname.lower(), _word(record.getMessage())]
        words += [f"{key}={_word(value)}" for key, value in keys.items() if value is not None]
        return " ".join(words)


def events(**keys: object) -> Events:
    """Log to wherever `to_stderr` said, with these keys in every event."""
    return Events(logging.getLogger(_NAME), keys)


def to_stderr(*, verbose: bool = False) -> None:
    """Write events to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logger = logging.getLogger(_NAME)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


def _word(value: object) -> str:
    text = str(value)
    if len(text) > VALUE_MAX:
        text = f"{text[:VALUE_MAX]}..."
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
