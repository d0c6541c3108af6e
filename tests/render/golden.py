"""Compare a rendering with the file that holds what it should be; `--update` writes the file anew."""

from pathlib import Path

EXPECTED = Path(__file__).parent / "expected"


def check(name: str, text: str, *, update: bool) -> None:
    path = EXPECTED / name
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path.name}: --update shows the difference"
