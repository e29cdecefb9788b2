"""An upstream that never finishes, and notices when its connection is closed. llmock and aimock tell no one that."""

import json
import queue
import socketserver
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _frame(delta: dict) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "stand-in",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }
    data = f"data: {json.dumps(chunk)}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


ROLE = _frame({"role": "assistant", "content": ""})
WORD = _frame({"content": "word "})

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 20\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
"""The daemon waits before it asks again."""

SAYS = {
    "nothing": b"",
    "only its header": HEAD,
    "one word": HEAD + ROLE + WORD,
}


class StandIn(socketserver.ThreadingTCPServer):
    """Says `says` to each request and then holds the connection open until the peer closes it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.says = b""
        self.asked: queue.Queue[float] = queue.Queue()
        """When each request was answered as far as it ever is."""
        self.closed: queue.Queue[float] = queue.Queue()
        """When each connection was seen closed."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    def handle(self):
        if self.rfile.readline().startswith(b"GET"):
            # Its models, which /health/detailed asks for.
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n" + b'{"data":[]}')
            return
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.rfile.read(length)
        self.wfile.write(self.server.says)
        self.server.asked.put(time.monotonic())
        self.connection.settimeout(30)
        try:
            while self.connection.recv(1024):
                pass
        except ConnectionError:
            pass  # a reset is a close too
        self.server.closed.put(time.monotonic())
