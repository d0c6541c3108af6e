"""A large cluster on a screen: what needs a person comes first, and nothing is left out in silence."""

import pytest

from reconciler.render import status_text
from reconciler.render.ink import plain
from reconciler.render.status import ControllerPart, QuorumPart, ServicePart, Status


def shown(*, well: int, blocked: int) -> str:
    services = [ServicePart(name=f"w{n:03}", state="running") for n in range(well)]
    services += [ServicePart(name=f"x{n:03}", state="blocked") for n in range(blocked)]
    return plain(
        status_text.render(
            Status(
                version=1,
                cluster="c",
                controller=ControllerPart(name="c0"),
                quorum=QuorumPart(held=True, votes=2, needed=2),
                services=tuple(services),
            )
        )
    )


@pytest.mark.parametrize(
    ("well", "blocked", "words"),
    [
        (200, 0, None),
        (199, 2, "1 more, all as wanted"),
        (5, 201, "6 more, not all as wanted"),
    ],
)
def test_what_is_not_shown_is_counted_and_can_be_found(well, blocked, words):
    text = shown(well=well, blocked=blocked)
    assert text.count("blocked") == min(blocked, 200)
    assert ("--format json" in text) == (words is not None)
    assert words is None or words in text
