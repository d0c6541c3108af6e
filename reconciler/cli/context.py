"""Which controller to talk to, with which certificates, about which cluster.

Looked up in this order, each thing by itself: the command's own options, the environment, the file
`.reconcile/context.json` here, the same under `/etc/reconcile`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reconciler.cli.terminal import Trouble

PORT = 7410
_FILES = (Path(".reconcile/context.json"), Path("/etc/reconcile/context.json"))
_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where an operator stands."""

    host: str
    port: int
    pki: Path
    """Directory with the operator's certificate and key, and the authority's certificate."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    controller: str | None = None
    pki: str | None = None
    cluster: str | None = None


def find(controller: str | None, pki: Path | None) -> Context | None:
    """Find the controller; None when nothing names one.

    Errors: `Trouble` when an address, or a context file, makes no sense or is incomplete.
    """
    file, place = _file()
    address = controller or os.environ.get("RECONCILE_CONTROLLER") or file.controller
    if not address:
        return None
    directory = pki or _path(os.environ.get("RECONCILE_PKI"))
    directory = directory or (place / file.pki if file.pki else None)
    if directory is None:
        raise Trouble(
            f"no certificates to speak to {address} with",
            detail="Give --pki DIR, or set RECONCILE_PKI. `reconcile pki` makes them.",
        )
    if not directory.is_dir():
        raise Trouble(f"{directory}: no such folder of certificates")
    host, port = _address(address)
    return Context(host=host, port=port, pki=directory)


def need(controller: str | None, pki: Path | None) -> Context:
    """Find the controller.

    Errors: `Trouble` when nothing names one.
    """
    found = find(controller, pki)
    if found is None:
        raise Trouble(
            "which controller?",
            detail="Give --controller HOST:PORT and --pki DIR, or set RECONCILE_CONTROLLER and "
            "RECONCILE_PKI,\nor run this where `reconcile dev` runs (.reconcile/context.json).",
        )
    return found


def cluster(given: Path | None) -> Path:
    """The cluster's files: as given, or as the context file says.

    Errors: `Trouble` when neither says.
    """
    if given is not None:
        return given
    file, place = _file()
    if file.cluster is None:
        raise Trouble(
            "which cluster?", detail="Name its YAML file or folder: reconcile plan cluster.yaml"
        )
    return _near(place / file.cluster)


def _file() -> tuple[_File, Path]:
    for path in _FILES:
        try:
            with path.open("rb") as file:
                data = file.read(_BYTES_MAX)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as trouble:
            raise Trouble(f"{path}: {trouble.strerror}") from None
        try:
            # Paths in the file are relative to the folder that holds `.reconcile`.
            return msgspec.json.decode(data, type=_File), _base(path)
        except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
            raise Trouble(f"{path}: not a context file: {trouble}") from None
    return _File(), Path()


def _near(path: Path) -> Path:
    """The path as seen from here, where that is shorter to read."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _base(path: Path) -> Path:
    return path.parent if path.is_absolute() else path.parent.parent


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or (text.count(":") > 1 and not host.startswith("[")):
        host, port = text, str(PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:  # noqa: PLR2004 - a port
        raise Trouble(f"{text!r} is not an address of a controller (HOST:PORT)")
    return host.strip("[]"), int(port)
