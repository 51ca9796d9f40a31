# Runs a server, and on SIGTERM lets it answer what it has before it is ended.
# Arguments: seconds to wait at most, port of the server, command of the server.
# A server is at rest when its metrics show no request and nobody is connected, for 5 s in a row: for so long a gateway may
# still send it some. The metrics alone would not do, since they know a request only once a step of the engine has ended.
import http.client
import signal
import subprocess
import sys
import time

seconds, port, *command = sys.argv[1:]
server = subprocess.Popen(command)


def say(text):
    print("[drain]", text, flush=True)


def at_work():
    """Requests that run or wait, or connections that are open; None when the metrics do not tell."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    gauges = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
    found = [float(line.split()[-1]) for line in lines if line.startswith(gauges)]
    return sum(found) + connected() if found else None


def connected():
    """Established connections of the server's port, as Linux lists them."""
    sockets = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                sockets += [line.split() for line in lines][1:]
        except FileNotFoundError:
            pass
    return sum(int(local.split(":")[1], 16) == int(port) and state == "01" for _, local, _, state, *_ in sockets)


def drain(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(f"SIGTERM: the server has up to {seconds} s to answer what it has")
    begin = time.monotonic()
    at_rest = silent = 0
    while at_rest < 5 and silent < 3 and time.monotonic() - begin < float(seconds):
        try:
            at_rest, silent = at_rest + 1 if at_work() == 0 else 0, 0
        except ConnectionRefusedError:
            break  # it starts, or it has ended
        except (OSError, http.client.HTTPException):
            at_rest, silent = 0, silent + 1
        time.sleep(1)
    say(f"the server is ended after {time.monotonic() - begin:.0f} s")
    server.kill() if silent == 3 else server.terminate()


signal.signal(signal.SIGTERM, drain)
code = server.wait()
sys.exit(code if code >= 0 else 128 - code)
