"""Writes the options of `vllm serve` as data, and what vLLM says to the command lines in lines.txt.

    python record.py MODEL OPTIONS VERDICTS

To be run by the Python of an installed vLLM (0.13.0). MODEL is the folder of a small model, OPTIONS the file of options
that the sandbox reads (src/vllm/serve-options.json), VERDICTS the other (verdicts.json beside this). Each line goes
through vLLM's own `main` in a process of its own, up to where the engine would be started: arguments, the server's checks,
and the whole engine configuration. No engine starts. The files are then formatted as all others (prettier).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shlex
import sys
import tempfile
import traceback

os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "CRITICAL", "COLUMNS": "200"}

import vllm
import vllm.entrypoints.cli.main as cli
import vllm.entrypoints.cli.serve as serve
from pydantic import TypeAdapter
from vllm.config import CacheConfig, LoRAConfig, ModelConfig, MultiModalConfig, ObservabilityConfig, SchedulerConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.api_server import setup_server
from vllm.entrypoints.openai.cli_args import make_arg_parser
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser

model, options_file, verdicts_file = sys.argv[1:]


def fields(dataclass):
    """The fields of a configuration, each with its choices, or null when it has none."""
    found = {}
    for field in dataclasses.fields(dataclass):
        try:
            choices = TypeAdapter(field.type).json_schema().get("enum")
        except Exception:  # not every type has a schema
            choices = None
        found[field.name] = choices if all(isinstance(choice, str) for choice in choices or []) else None
    return found


def kind(convert):
    """The type of a value by the function that reads it, whether "None" and "" mean none, and a dataclass's fields."""
    name = getattr(convert, "__qualname__", "str")
    inner = [cell.cell_contents for cell in getattr(convert, "__closure__", None) or []]
    if name.startswith("optional_type"):
        return kind(inner[0]) | {"optional": True}
    if name.endswith("parse_dataclass"):
        return {"type": "object", "object": convert.__defaults__[0].__name__, "fields": fields(convert.__defaults__[0])}
    names = {"loads": "json", "human_readable_int": "size", "union_dict_and_str": "json-or-text", "str": "text"}
    names |= {"int": "int", "float": "float", "NoneType": "text"}
    return {"type": "parsed-json" if name.startswith("parse_type") else names[name]}


def bounds(name):
    """The class of the configuration that an option goes into, and the limits there, such as {"ge": 1}."""
    for config in (ModelConfig, CacheConfig, SchedulerConfig, ObservabilityConfig, LoRAConfig, MultiModalConfig):
        field = next((field for field in dataclasses.fields(config) if field.name == name), None)
        limits = {}
        for limit in getattr(field and field.default, "metadata", []):
            limits |= dataclasses.asdict(limit)
        if limits:
            return {"config": config.__name__, "limits": limits}
    return {}


def option(action):
    described = {"names": action.option_strings}
    if isinstance(action, argparse._HelpAction):
        return described | {"type": "help"}
    if action.nargs == 0:
        return described | {"type": "switch"}
    described |= kind(action.type)
    if action.choices:
        described["choices"] = list(action.choices)
    if action.nargs:
        described["nargs"] = action.nargs
    if isinstance(action.default, (str, int, float)) and action.default is not argparse.SUPPRESS:
        described["default"] = action.default
    return described | bounds(action.dest)


def check(args):
    """What is done before the engine is started."""
    _, sock = setup_server(args)
    sock.close()
    AsyncEngineArgs.from_cli_args(args).create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)


def verdict(words, env):
    """Exit code and error of one line, in a process of its own."""
    said = tempfile.TemporaryFile("w+")
    child = os.fork()
    if child == 0:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os.environ |= env
        sys.argv = ["vllm", "serve", *words]
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException as error:
            print("\nRAISED", "".join(traceback.format_exception_only(error)), flush=True)
            code = 1
        sys.stdout.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said.seek(0)
    return code, error_of(said.read()) if code else ""


def error_of(text):
    """The last thing said, without what depends on machine, Python or pydantic."""
    text = text.replace(model, "MODEL").replace(str(pathlib.Path(vllm.__file__).parent), "VLLM")
    if "\nRAISED" in text:
        text = text.split("\nRAISED ")[-1]
    else:
        text = text[text.index("error: ") + 7 :]
    text = re.sub(r"\n\s*For further information.*", "", text)
    text = re.sub(r" at 0x\w+|(?<=Invalid JSON): .*", "", text)
    text = re.sub(r" \[type=.*?, input_type=\w+\]", "", text, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


serve.run_server = lambda args: args
serve.uvloop.run = check

parser = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))
options = [option(action) for action in parser._actions if action.option_strings]
rows = ",\n".join("    " + json.dumps(row) for row in options)
pathlib.Path(options_file).write_text(f"[\n{rows}\n]\n")

verdicts = []
for line in (pathlib.Path(__file__).parent / "lines.txt").read_text().splitlines():
    if not line or line.startswith("#"):
        continue
    before, _, words = line.removeprefix("here: ").rpartition(" | ")
    env = dict(pair.split("=", 1) for pair in shlex.split(before))
    given = shlex.split(words)
    code, error = verdict([model if word == "MODEL" else word.replace("=MODEL", f"={model}") for word in given], env)
    row = {"env": env} if env else {}
    row |= {"words": given, "code": code, "error": error}
    verdicts.append(row | ({"here": True} if line.startswith("here: ") else {}))
    print(code, line, "|", error[-150:].replace("\n", " / "), flush=True)
pathlib.Path(verdicts_file).write_text(
    "[\n" + ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in verdicts) + "\n]\n"
)
