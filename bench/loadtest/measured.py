# Runs a command, and writes what it and its children took: CPU seconds, and megabytes that all of them held at once (PSS,
# so that shared pages count once; looked at twice a second). `measured.py FILE COMMAND...`
import json
import os
import resource
import subprocess
import sys
import time


def descendants(root):
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                parents[int(entry)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has just ended
    found = [root]
    for one in found:
        found.extend(pid for pid, parent in parents.items() if parent == one)
    return found


def megabytes(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


child = subprocess.Popen(sys.argv[2:])
most = 0
while child.poll() is None:
    most = max(most, megabytes(descendants(child.pid)))
    time.sleep(0.5)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump({"code": child.returncode, "cpu": usage.ru_utime + usage.ru_stime, "mb": most}, file)
