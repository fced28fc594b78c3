"""The command `emoscope serve`."""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import add_settings, require
from emoscope.core.errors import InputError, OutputError
from emoscope.core.files import lock_folder
from emoscope.core.native import set_up_libraries

if TYPE_CHECKING:
    from emoscope.server.server_options import ServerOptions

SERVE_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "websockets", "limits", "prometheus_client")
GRACE_S = 5
"""How long answers under way may take when the server ends; live connections have no end of their own."""


@add_settings("detector", "model")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="EMOSCOPE_TOKEN", help="Secret that every request must carry.")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Folder for uploads, results and the list of jobs.")
    ] = Path("emoscope-data"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Videos analysed at the same time.")] = 2,
    *,
    settings: Settings,
    keep: Annotated[float, typer.Option(metavar="DAYS", min=0.001, help="How long results are kept.")] = 7,
    max_upload: Annotated[int, typer.Option(metavar="MB", min=1, help="Largest video.")] = 2000,
    max_duration: Annotated[str, typer.Option(metavar="TIME", help="Longest video, such as 1:30:00.")] = "4:00:00",
    rate: Annotated[str, typer.Option(help="Requests per client, such as 200/second or 1000/minute.")] = "200/second",
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificate: other devices' cameras need https.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM", help="Its private key.")] = None,
) -> None:
    """Serve a page and a REST interface for pictures, videos and the live camera; Ctrl-C ends it."""
    require(*SERVE_PACKAGES, extra="serve")
    from emoscope.core.timecode import parse_time
    from emoscope.server.server_options import ServerOptions

    set_up_libraries()
    options = ServerOptions(
        data=data,
        host=host,
        port=port,
        token=token or None,
        detector=settings.detector,
        model=settings.model,
        workers=workers,
        max_upload_bytes=max_upload * 1_000_000,
        max_duration_s=parse_time(max_duration),
        keep_s=keep * 86400,
        rate=rate,
    )
    check_tls(tls_cert, tls_key)
    check_folder(data)
    run(check_models(options), tls_cert, tls_key)


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Check that both files are there and fit each other.

    Raises:
        InputError: they do not.
    """
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise InputError("https needs a certificate and its key; give both --tls-cert and --tls-key")
    import ssl

    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ValueError) as e:
        raise InputError(f"{certificate} and {key} are no certificate with its key ({e}); name two PEM files") from e


def check_folder(data: Path) -> None:
    """Make the data folder, for its owner alone.

    Raises:
        OutputError: it cannot be made or written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"cannot make the folder {data} ({e.strerror}); choose another with --data") from e
    if not os.access(data, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into the folder {data}; choose another with --data")
    # Said here in one line; the server takes it for good when it starts.
    os.close(lock_folder(data))


def check_models(options: "ServerOptions") -> "ServerOptions":
    """Load detector and model once, so that what is wrong with them is said now; `auto` becomes what it stands for.

    Raises:
        EmoscopeError: they are not to be had.
    """
    from emoscope.faces.detect import create_detector
    from emoscope.faces.recognize import Recognizer

    Recognizer(options.model)
    return dataclasses.replace(options, detector=create_detector(options.detector).detector.name)


def run(options: "ServerOptions", certificate: Path | None = None, key: Path | None = None) -> None:
    """Serve until Ctrl-C or a polite kill.

    Raises:
        EmoscopeError: an option that cannot be used, or the address is taken.
    """
    import uvicorn

    from emoscope.server.app import create_app

    # It would write a line for every damaged form, as many as somebody sends.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        create_app(options),
        log_level="warning",
        # It would write tokens in addresses.
        access_log=False,
        server_header=False,
        # A client may claim any address, unless a proxy was named that says whose it is.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
        ws_max_size=options.max_picture_bytes,
        # JPEGs cannot be made smaller.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    with open_socket(options.host, options.port) as listening:
        port = listening.getsockname()[1]
        typer.echo(f"emoscope is at {describe_address(options.host, port, certificate is not None)} (Ctrl-C ends it)")
        # uvicorn ends in good order and then raises the signal once more.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server = uvicorn.Server(config)
        # Whether Ctrl-C still arrives as an exception depends on what the event loop is about to do.
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    if not server.started:
        raise OutputError("the server could not start, as its log says; mend that and start it again")
    typer.echo("stopped", err=True)


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        InputError: it is taken, or none of this machine's.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family)
    except OSError as e:
        # Python adds the address, which stands here already.
        reason = (e.strerror or str(e)).split(" (while")[0]
        raise InputError(
            f"cannot listen on {host}, port {port} ({reason}); choose another with --host or --port"
        ) from e


def describe_address(host: str, port: int, is_secure: bool) -> str:
    """Return the address to open in a browser."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if is_secure else 'http'}://{name}:{port}/"
