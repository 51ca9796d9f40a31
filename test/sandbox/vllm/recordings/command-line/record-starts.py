"""Writes how a server ends, or that it serves, that is started with each of the lines in starts.txt.

    python record-starts.py VLLM MODEL STARTS

VLLM is the program, MODEL the folder of a small model, STARTS the file to write (starts.json beside this). Some 20 seconds
a line. What the CPU build needs comes from the environment.
"""

import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request

vllm, model, starts_file = sys.argv[1:]
base = "--load-format dummy --enforce-eager --dtype float32 --max-model-len 2048 --max-num-seqs 4 --host 127.0.0.1"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def healthy(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).status == 200
    except OSError:
        return False


def start(words, env):
    """Exit code (undefined while it serves) and log."""
    port = free_port()
    command = [vllm, "serve", model, *base.split(), "--port", str(port), *words]
    log = pathlib.Path(starts_file).with_suffix(".one.log")
    with log.open("w") as out:
        process = subprocess.Popen(command, env=os.environ | env, stdout=out, stderr=out, start_new_session=True)
        end = time.time() + 150
        while process.poll() is None and not healthy(port) and time.time() < end:
            time.sleep(0.5)
        code = process.poll()
        if code is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    text = re.sub(r"\x1b\[[\d;]*m", "", log.read_text())
    log.unlink()
    return code, text, time.time() >= end


def errors(text):
    """The last error of the engine's process, and of the server's."""
    package = re.compile(r"[\w./-]*/site-packages/vllm/")
    found = {"engine": "", "server": ""}
    for line in text.splitlines():
        who = "engine" if line.startswith("(EngineCore") else "server"
        said = re.sub(r"^\([^)]*\)\s*(\w+ [\d-]+ [\d:]+ \[[^\]]*\] ?)?", "", line)
        if re.match(r"[\w.]+(Error|Exception|Exit|Interrupt|ValidationError)\b", said) or "error: " in said[:60]:
            found[who] = package.sub("VLLM/", said).replace(model, "MODEL").rstrip()
    return found


rows = []
for line in (pathlib.Path(__file__).parent / "starts.txt").read_text().splitlines():
    if not line or line.startswith("#"):
        continue
    before, _, words = line.rpartition("|")
    env = dict(pair.split("=", 1) for pair in shlex.split(before))
    given = shlex.split(words)
    code, text, late = start(given, env)
    row = ({"env": env} if env else {}) | {"words": given, "code": code} | (errors(text) if code is not None else {})
    rows.append(row | ({"late": True} if late else {}))
    print(line, "|", json.dumps(rows[-1])[:300], flush=True)
    body = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    pathlib.Path(starts_file).write_text(f"[\n{body}\n]\n")
