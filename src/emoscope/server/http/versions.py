"""Two people who change one thing: an answer's version goes out with it, and a change of an older one is refused.

RFC 9110, 13.1.1: `ETag` of the answer that was read comes back as `If-Match`. Clients that send none change what is
there, whatever it is.
"""

import hashlib
from typing import Final

from fastapi import Request, Response
from pydantic import BaseModel

from emoscope.server.http.problems import ProblemError

CHANGED: Final = "somebody else has changed this meanwhile, and nothing was saved; open it again and see what is there"


def _compute_tag(answer: BaseModel) -> str:
    return f'"{hashlib.sha256(answer.model_dump_json().encode()).hexdigest()[:32]}"'


def mark_version(response: Response, answer: BaseModel) -> None:
    """Say of which version an answer is."""
    response.headers["ETag"] = _compute_tag(answer)


def wants_version(request: Request) -> bool:
    """Return whether a change is meant for one version alone."""
    return request.headers.get("If-Match", "*").strip() != "*"


def check_version(request: Request, answer: BaseModel) -> None:
    """Check that a change is meant for what is there.

    Args:
        request: the change.
        answer: what reading it answers now.

    Raises:
        ProblemError: it was made of something else.
    """
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-Match", "*").split(",")}
    if wants_version(request) and _compute_tag(answer) not in tags:
        raise ProblemError(412, "Changed meanwhile", CHANGED)
