"""POST /session: the form of the sign-in page; POST /session/end: the page's button to sign out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

router = APIRouter(include_in_schema=False)


@router.post("/session")
async def sign_in(request: Request, token: Annotated[str, Form(max_length=1000)] = "") -> Response:
    """Give a browser that knows the token a session."""
    answer: Response = request.scope["access"].check_sign_in(token, request.scope)
    return answer


@router.post("/session/end")
async def sign_out(request: Request) -> Response:
    """End the session of a browser."""
    answer: Response = request.scope["access"].sign_out(request.scope)
    return answer
