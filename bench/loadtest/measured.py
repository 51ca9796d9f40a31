# Runs a command, and writes what it and its children took, in CPU seconds and megabytes: `measured.py FILE COMMAND...`
import json
import resource
import subprocess
import sys

code = subprocess.call(sys.argv[2:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}, file)
