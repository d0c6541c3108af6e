"""Addresses of members: a host and a port, as people write them and as sockets take them."""

from reconciler.model.errors import Refused

PORT = 7410
Address = tuple[str, int]


def parse_address(text: str, *, port: int = PORT) -> Address:
    """Read `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.

    Errors: `Refused` when it is none of these.
    """
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]") or ("]" not in text and ":" in host):
        host, number = text, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (number.isascii() and number.isdigit()) or not 0 < int(number) < 65536:  # noqa: PLR2004
        raise Refused(f"{text!r} is not HOST:PORT")
    return host, int(number)


def text_of(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """An address as people write it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
