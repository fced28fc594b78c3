"""POST /session: the form of the sign-in page."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

router = APIRouter(include_in_schema=False)


@router.post("/session")
async def sign_in(request: Request, token: Annotated[str, Form(max_length=1000)] = "") -> Response:
    """Give a browser that knows the token a session."""
    answer: Response = request.scope["access"].check_sign_in(token, request.scope)
    return answer
