"""The command `emoscope serve`."""

import contextlib
import dataclasses
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import add_settings, require
from emoscope.core.errors import InputError, OutputError
from emoscope.core.files import lock_folder
from emoscope.core.native import set_up_libraries

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from emoscope.server.server_options import ServerOptions

SERVE_PACKAGES = (
    "fastapi",
    "fastapi_offline",
    "uvicorn",
    "python_multipart",
    "websockets",
    "limits",
    "prometheus_client",
)
GRACE_S = 5
"""How long answers under way may take when the server ends; live connections have no end of their own."""


@add_settings("detector", "model", "device")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="EMOSCOPE_TOKEN", help="Secret that every request must carry.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="EMOSCOPE_TOKEN_FILE", metavar="FILE", help="A file that holds it: lists of processes show options."
        ),
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
    proxy: Annotated[
        str | None,
        typer.Option(
            envvar="FORWARDED_ALLOW_IPS",
            metavar="ADDRESS",
            help="Proxies in front, such as 10.0.0.2,10.1.0.0/16: whom they name in X-Forwarded-For is the client.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificate: other devices' cameras need https.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM", help="Its private key.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in this machine's browser.")] = False,
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
        token=read_token(token, token_file),
        detector=settings.detector,
        model=settings.model,
        device=settings.device,
        workers=workers,
        max_upload_bytes=max_upload * 1_000_000,
        max_duration_s=parse_time(max_duration),
        keep_s=keep * 86400,
        rate=rate,
        proxies=parse_proxies(proxy or ""),
    )
    check_tls(tls_cert, tls_key)
    check_folder(data)
    run(check_models(options), tls_cert, tls_key, open_page)


def read_token(token: str | None, file: Path | None) -> str | None:
    """Return the token, from a file where one is named.

    Raises:
        InputError: there are two, or the file holds none.
    """
    if file is None:
        if token and not token.isprintable():
            raise InputError("--token (EMOSCOPE_TOKEN) holds signs that no client can send; choose letters and digits")
        return token or None
    if token:
        raise InputError("--token and --token-file (EMOSCOPE_TOKEN and EMOSCOPE_TOKEN_FILE) are both given; give one")
    try:
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"--token-file: cannot read {file} ({getattr(e, 'strerror', e)}); name a file of text") from e
    if not found or "\n" in found:
        raise InputError(f"--token-file: {file} holds no token; expected one line")
    return found


def parse_proxies(text: str) -> "tuple[IPv4Network | IPv6Network, ...]":
    """Return the addresses of proxies.

    Raises:
        InputError: one of them is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as e:
        raise InputError(f"--proxy: {e}; expected an address such as 10.0.0.2 or a network such as 10.0.0.0/8") from e


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
    from emoscope.server.jobs.store import JOBS

    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(data, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write into the folder {data}; choose another with --data")
        # Said here in one line; the server takes it for good when it starts.
        os.close(lock_folder(data))
        (data / JOBS).mkdir(exist_ok=True)
    except OSError as e:
        raise OutputError(f"cannot make {e.filename} ({e.strerror}); choose another folder with --data") from e


def check_models(options: "ServerOptions") -> "ServerOptions":
    """Load detector and model once, so that what is wrong with them is said now; `auto` becomes what it stands for.

    Raises:
        EmoscopeError: they are not to be had.
    """
    from emoscope.faces.detect import create_detector
    from emoscope.faces.recognize import Recognizer

    Recognizer(options.model, device=options.device)
    chosen = create_detector(options.detector, device=options.device)
    return dataclasses.replace(options, detector=chosen.detector.name)


def run(
    options: "ServerOptions", certificate: Path | None = None, key: Path | None = None, is_opened: bool = False
) -> None:
    """Serve until Ctrl-C or a polite kill.

    Args:
        options: what is served.
        certificate: of https.
        key: its private key.
        is_opened: whether a browser of this machine is to open the page.

    Raises:
        EmoscopeError: an option that cannot be used, or the address is taken.
    """
    import asyncio

    import uvicorn

    from emoscope.server.app import create_app
    from emoscope.server.http.connections import Connections, LimitedLoop, limit, raise_file_limit

    # It would write a line for every damaged form, as many as somebody sends.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        create_app(options),
        http=limit(Connections(raise_file_limit(), options.proxies)),
        log_config=None,
        log_level="warning",
        # It would write tokens in addresses.
        access_log=False,
        server_header=False,
        # A client may claim any address, unless a proxy was named that says whose it is.
        proxy_headers=bool(options.proxies),
        forwarded_allow_ips=[str(network) for network in options.proxies],
        ws_max_size=options.max_picture_bytes,
        # JPEGs cannot be made smaller.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    with open_socket(options.host, options.port) as listening:
        port = listening.getsockname()[1]
        address = describe_address(options.host, port, certificate is not None)
        typer.echo(f"emoscope is at {address} (Ctrl-C ends it)")
        if is_opened:
            # Some browsers are not left before they are closed.
            threading.Thread(target=open_browser, args=(address,), daemon=True).start()
        set_up_log()
        # uvicorn ends in good order and then raises the signal once more.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server = uvicorn.Server(config)
        # Whether Ctrl-C still arrives as an exception depends on what the event loop is about to do.
        with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=LimitedLoop) as runner:
            runner.run(server.serve(sockets=[listening]))
    if not server.started:
        raise OutputError("the server could not start, as its log says; mend that and start it again")
    typer.echo("stopped", err=True)


def open_browser(address: str) -> None:
    """Open an address in this machine's browser; say so where there is none."""
    if not webbrowser.open(address):
        typer.echo(f"no browser was found here; open {address} in one", err=True)


def set_up_log() -> None:
    """Write times, and few lines of one kind: everyone who reaches the server can cause some."""
    from emoscope.server.http.connections import FewLines

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FewLines())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    # Ours apart: it does not hand its lines on.
    logging.getLogger().addHandler(handler)
    logging.getLogger("emoscope").handlers = [handler]


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
