"""An S3 server on loopback: moto behind its own HTTP server, which can be told to lose an answer or to refuse."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

from tests.places import KEY_ID, REGION, SECRET


@dataclass
class Fault:
    """What happens to the next requests with this method whose path ends so.

    Attributes:
        method: such as PUT.
        path: how the path of the object ends.
        status: what is answered; None closes the connection without an answer.
        is_done: whether the request is carried out before that.
        body: of the answer.
        times: how often.
    """

    method: str
    path: str
    status: str | None = None
    is_done: bool = False
    body: str = ""
    times: int = 1


@dataclass
class S3Server:
    """Buckets in memory.

    Attributes:
        port: on 127.0.0.1.
        faults: of the requests to come.
        requests: method and path of every request since it was last emptied.
        is_conditional: whether it knows If-None-Match on a write; one that does not overwrites.
    """

    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    is_conditional: bool = True
    _names: Iterator[int] = field(default_factory=count)
    # moto looks whether a key is there and then sets it; S3 does both at once.
    _one_write: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes obstore find it by `s3://bucket` alone."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
        }

    def new_bucket(self) -> str:
        """Make a bucket, and return its name."""
        name = f"bucket-{next(self._names)}"
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(name, REGION)
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Every object of a bucket by its key."""
        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
        return {key: found.value for key, found in sorted(keys.items())}

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Set an object, as somebody who may do anything."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(bucket, key, content)

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object, as somebody who may do anything."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].delete_object(bucket, key)

    def answering(self, moto: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The WSGI application: moto with the faults."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self.requests.append((method, path))
            if not self.is_conditional:
                environ.pop("HTTP_IF_NONE_MATCH", None)
            fault = next((each for each in self.faults if each.method == method and path.endswith(each.path)), None)
            if method == "PUT":
                environ["wsgi.input"] = _read(environ)  # before the lock: an upload may take long, or never end
            if fault is None:
                with self._one_write if method == "PUT" else nullcontext():
                    return list(moto(environ, start_response))
            fault.times -= 1
            self.faults = [each for each in self.faults if each.times]
            if fault.is_done:
                list(moto(environ, lambda *args: None))
            if fault.status is None:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError("the answer is lost")
            start_response(fault.status, [("Content-Length", str(len(fault.body.encode())))])
            return [fault.body.encode()]

        return answer


def _read(environ: dict[str, Any]) -> Any:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    content = environ["wsgi.input"].read(size)
    if len(content) < size:
        raise ConnectionResetError("the sender has gone")
    return io.BytesIO(content)


@contextmanager
def serving() -> Iterator[S3Server]:
    """A server on a free port, for as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = S3Server()
    moto = DomainDispatcherApplication(create_backend_app)
    http = make_server("127.0.0.1", 0, server.answering(moto), threaded=True, request_handler=MotoRequestHandler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
