"""Writes what clients see of a vLLM server that is ended: by SIGTERM, and by the death of its engine.

    python record.py VLLM MODEL > v0.13.0.json

VLLM is the program, MODEL the folder of a small model. Each scenario starts a server of its own (half a minute or more);
what the CPU build needs comes from the environment. Linux only: the engine's process is found in /proc.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

vllm, model = sys.argv[1:]
flags = "--load-format dummy --enforce-eager --dtype float32 --max-model-len 2048 --max-num-seqs 4 --host 127.0.0.1"


def eventually(holds, seconds):
    end = time.time() + seconds
    while not holds() and time.time() < end:
        time.sleep(0.05)
    return bool(holds())


class Server:
    def __init__(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.out = tempfile.NamedTemporaryFile("w+")
        command = [vllm, "serve", model, *flags.split(), "--port", str(self.port), "--served-model-name", "tiny"]
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.out, start_new_session=True)
        self.said = 0

    def log(self):
        text = pathlib.Path(self.out.name).read_text()
        return re.sub(r"\x1b\[[\d;]*m", "", text).replace(model, "MODEL")

    def new_lines(self):
        """The log since the last call, without process ids, times, and the frames of tracebacks."""
        lines = self.log().splitlines()
        new, self.said = lines[self.said :], len(lines)
        new = [re.sub(r" pid=\d+|(?<=\w) \d\d-\d\d \d\d:\d\d:\d\d|(?<=\.py):\d+", "", line) for line in new]
        new = [re.sub(r"process \[\d+\]", "process [1]", line) for line in new]
        return [line for line in new if not re.search(r"  File |^\(\w+\) {4}|throughput|Traceback|HTTP/1.1|chat_utils", line)]

    def engine(self):
        """Process ids of the engine."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
                if int(fields[1]) == self.process.pid and "EngineCore" in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
        return found

    def health(self):
        status = Request(self.port, "GET", "/health")
        status.thread.join(2)
        return status.status()

    def ready(self):
        if not eventually(lambda: self.health() == 200, 900):
            raise SystemExit(f"the server does not start:\n{self.log()}")
        self.new_lines()

    def exit_code(self, seconds):
        """None when it still runs after so many seconds."""
        eventually(lambda: self.process.poll() is not None, seconds)
        return self.process.poll()

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Request:
    """A client of its own connection, which keeps all that it is sent."""

    def __init__(self, port, method, path, body=None, close=True):
        self.text, self.closed, self.refused = "", None, False
        self.socket = socket.socket()
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.refused = True
        payload = json.dumps(body) if body else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(payload)}\r\n" + ("connection: close\r\n" if close else "")
        self.thread = threading.Thread(target=self.read, args=(f"{head}\r\n{payload}",), daemon=True)
        self.thread.start()

    def read(self, sent):
        if self.refused:
            return
        try:
            self.socket.sendall(sent.encode())
            while part := self.socket.recv(65536):
                self.text += part.decode()
            self.closed = "end"
        except OSError as error:
            self.closed = type(error).__name__

    def status(self):
        if self.refused:
            return "refused"
        found = re.match(r"HTTP/1.1 (\d+)", self.text)
        return int(found.group(1)) if found else self.closed and f"no answer, {self.closed}"

    def tokens(self):
        return self.text.count('"delta"')

    def leave(self):
        self.socket.shutdown(socket.SHUT_RDWR)

    def seen(self, tokens_before=0):
        """Status, how it ended, and the last two things that came; whether tokens came after the moment in question."""
        body = self.text.partition("\r\n\r\n")[2]
        parts = [part for part in re.split(r"\r\n|\n", body) if len(part) > 4]
        last = ["a token" if '"delta"' in part else part for part in parts[-2:]]
        return {
            "status": self.status(),
            "connection": self.closed or "open",
            "moreTokens": self.tokens() > tokens_before + 50,
            "last": last,
            "ended": re.search(r"\r\n0\r\n\r\n$", self.text) is not None,
        }


def chat(server, stream):
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    return Request(server.port, "POST", "/v1/chat/completions", body | {"max_tokens": 1900, "ignore_eos": True})


def under_way(server):
    """Two streams and a request without, of which the streams have had tokens."""
    clients = {"stream": chat(server, True), "another stream": chat(server, True), "no stream": chat(server, False)}
    if not eventually(lambda: clients["another stream"].tokens() > 5, 300):
        raise SystemExit("no tokens came")
    return clients


def terminated(patient):
    """SIGTERM with requests under way; the clients leave after 8 seconds, or are `patient`."""
    server = Server()
    server.ready()
    idle = Request(server.port, "GET", "/version", close=False)
    time.sleep(0.5)
    clients = under_way(server)
    before = {name: client.tokens() for name, client in clients.items()}
    server.process.send_signal(signal.SIGTERM)
    time.sleep(8)
    found = {
        "connect after 8 s": server.health(),
        "clients after 8 s": {name: client.seen(before[name]) for name, client in clients.items()},
        "idle connection": idle.closed or "open",
        "exit code after 8 s": server.process.poll(),
        "log": server.new_lines(),
    }
    if not patient:
        for client in clients.values():
            client.leave()
        found["exit code after the clients left"] = server.exit_code(20)
        found["log after that"] = server.new_lines()
    else:
        found["exit code after 20 s more"] = server.exit_code(20)
    server.end()
    return found


def terminated_idle():
    server = Server()
    server.ready()
    server.process.send_signal(signal.SIGTERM)
    found = {"exit code": server.exit_code(30), "log": server.new_lines()}
    server.end()
    return found


def engine_killed(asked):
    """The engine is killed with requests under way; `asked`: with health checks meanwhile."""
    server = Server()
    server.ready()
    clients = under_way(server)
    before = {name: client.tokens() for name, client in clients.items()}
    for pid in server.engine():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    found = {}
    if asked:
        found["health after 0.5 s"] = server.health()
        found["a request after that"] = chat(server, False)
        found["a request after that"].thread.join(3)
        found["a request after that"] = found["a request after that"].seen()
    code = server.exit_code(30)
    found |= {
        "exit code": code,
        "health after that": server.health(),
        "clients": {name: client.seen(before[name]) for name, client in clients.items()},
        "log": server.new_lines(),
    }
    server.end()
    return found


scenarios = {
    "SIGTERM, clients leave after 8 s": lambda: terminated(patient=False),
    "SIGTERM, clients stay": lambda: terminated(patient=True),
    "SIGTERM while idle": terminated_idle,
    "engine killed": lambda: engine_killed(asked=False),
    "engine killed, health is asked": lambda: engine_killed(asked=True),
}
result = {}
for name, scenario in scenarios.items():
    result[name] = scenario()
    print(name, json.dumps(result[name])[:600], file=sys.stderr, flush=True)
print(json.dumps(result, indent=4))
