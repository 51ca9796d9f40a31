# Runs a server, and on SIGTERM lets it answer what it has before it is ended.
# Arguments: seconds to wait at most, port of the server, command of the server.
# A server is at rest when its metrics show no request for 5 s in a row: for so long a gateway may still send it some.
import http.client
import signal
import subprocess
import sys
import time

seconds, port, *command = sys.argv[1:]
server = subprocess.Popen(command)


def say(text):
    print("[drain]", text, flush=True)


def requests():
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    gauges = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
    found = [float(line.split()[-1]) for line in lines if line.startswith(gauges)]
    return sum(found) if found else None


def drain(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(f"SIGTERM: the server has up to {seconds} s to answer what it has")
    begin = time.monotonic()
    at_rest = silent = 0
    while at_rest < 5 and silent < 3 and time.monotonic() - begin < float(seconds):
        try:
            at_rest, silent = at_rest + 1 if requests() == 0 else 0, 0
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
