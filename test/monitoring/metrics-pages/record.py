"""Writes a /metrics page of a vLLM version with that version's own code, without a GPU.

    python record.py VLLM_SOURCE > v0.13.0.txt

VLLM_SOURCE is the unpacked source distribution. Its metric classes (vllm/v1/metrics) and its HTTP instrumentation run as
they are, with the versions of prometheus_client and prometheus-fastapi-instrumentator that are installed; everything
else of vLLM (the engine, PyTorch) is replaced by empty modules, and a handful of made-up requests is recorded. So names,
types, help texts, labels, buckets and format are vLLM's; the values mean nothing.
Needs: prometheus_client, prometheus-fastapi-instrumentator, fastapi (0.13.0: 0.128; 0.33.0: below 0.137), httpx.
"""

import ast
import enum
import importlib.abc
import importlib.util
import pathlib
import re
import sys
import types
from types import SimpleNamespace as Settings
from unittest.mock import MagicMock

source = pathlib.Path(sys.argv[1])
REAL = re.compile(r"vllm\.(v1\.metrics(\.\w+)?|entrypoints\.serve\.instrumentator\.metrics)$")
STUBBED = {"vllm.v1.metrics.perf"}  # needs PyTorch; its three counters are registered below


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves the metric modules from the source and an empty stand-in for every other module of vLLM."""

    def find_spec(self, name, path=None, target=None):
        if name == "regex":
            return importlib.util.spec_from_loader(name, self)
        if not name.startswith("vllm"):
            return None
        if REAL.match(name) and name not in STUBBED:
            path = source / name.replace(".", "/")
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            places = [str(path)] if path.is_dir() else None
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec):
        if spec.name == "regex":
            return re
        module = MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, StubFinder())
import vllm.envs  # noqa: E402

vllm.envs.VLLM_COMPUTE_NANS_IN_LOGITS = False

# The reasons for which a request ends, out of a module that needs the engine.
engine = ast.parse((source / "vllm/v1/engine/__init__.py").read_text())
wanted = [
    node
    for node in engine.body
    if (isinstance(node, ast.ClassDef) and node.name == "FinishReason")
    or (isinstance(node, ast.Assign) and node.targets[0].id == "FINISH_REASON_STRINGS")
]
namespace = {"enum": enum}
exec(compile(ast.Module(wanted, []), "engine", "exec"), namespace)
import vllm.v1.engine  # noqa: E402

vllm.v1.engine.FinishReason = FinishReason = namespace["FinishReason"]

from vllm.v1.metrics.loggers import PrometheusStatLogger  # noqa: E402

# Fields of CacheConfig become labels; those without a default that is a constant are left out.
cache = ast.parse((source / "vllm/config/cache.py").read_text())
fields = {
    field.target.id: str(field.value.value)
    for node in cache.body
    if isinstance(node, ast.ClassDef) and node.name == "CacheConfig"
    for field in node.body
    if isinstance(field, ast.AnnAssign) and isinstance(field.value, ast.Constant)
}
fields.update(block_size="16", num_gpu_blocks="24722", enable_prefix_caching="True")

config = MagicMock()
config.observability_config = Settings(
    show_hidden_metrics=False, kv_cache_metrics=False, custom_histogram_buckets=None
)
config.model_config.served_model_name = "mistralai/Ministral-3-14B-Instruct-2512"
config.model_config.max_model_len = 262144
config.kv_transfer_config = config.watermark_config = config.lora_config = config.speculative_config = None
config.cache_config = Settings(metrics_info=lambda: dict(fields))

if (source / "vllm/v1/metrics/perf.py").exists():
    perf = ast.parse((source / "vllm/v1/metrics/perf.py").read_text())
    prom = [node for node in perf.body if isinstance(node, ast.ClassDef) and node.name == "PerfMetricsProm"]
    import prometheus_client
    from vllm.v1.metrics.utils import create_metric_per_engine

    scope = {
        "prometheus_client": prometheus_client,
        "create_metric_per_engine": create_metric_per_engine,
        "VllmConfig": object,
        "PerfStats": object,
    }
    exec(compile(ast.Module(prom, []), "perf", "exec"), scope)
    PrometheusStatLogger._perf_metrics_cls = scope["PerfMetricsProm"]

stats = PrometheusStatLogger(config)
stats.log_engine_initialized()


def request(reason, prompt, generated, seconds):
    return Settings(
        finish_reason=reason,
        e2e_latency=seconds,
        queued_time=0.01,
        prefill_time=0.09,
        inference_time=seconds - 0.01,
        decode_time=seconds - 0.1,
        num_prompt_tokens=prompt,
        num_generation_tokens=generated,
        num_cached_tokens=prompt // 2,
        num_preemptions=0,
        max_tokens_param=768,
        mean_time_per_output_token=0.012,
    )


finished = [request(FinishReason.STOP, 812, 391, 4.9), request(FinishReason.LENGTH, 96, 768, 9.4)]
stats.record(
    Settings(
        num_running_reqs=3,
        num_waiting_reqs=1,
        num_skipped_waiting_reqs=0,
        num_kv_fetch_reqs_by_stage={},
        kv_cache_usage=0.0427,
        prefix_cache_stats=Settings(queries=908, hits=448, preempted_queries=0, preempted_hits=0),
        connector_prefix_cache_stats=None,
        spec_decoding_stats=None,
        kv_connector_stats=None,
        ec_connector_stats=None,
        perf_stats=None,
        kv_cache_eviction_events=[],
        running_lora_adapters={},
        waiting_lora_adapters={},
    ),
    Settings(
        num_corrupted_reqs=0,
        num_preempted_reqs=0,
        num_prompt_tokens=908,
        num_generation_tokens=1159,
        prompt_token_stats=Settings(computed=460, cached_tokens=448, get_by_source=lambda source: 448),
        max_num_generation_tokens_iter=[391, 768],
        n_params_iter=[1, 1],
        time_to_first_tokens_iter=[0.048, 0.112],
        inter_token_latencies_iter=[0.011, 0.012, 0.013],
        time_per_output_tokens_iter=[0.011, 0.012, 0.013],
        finished_requests=finished,
    ),
    Settings(queries=2, hits=1),
)

from fastapi import FastAPI, HTTPException  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

from vllm.entrypoints.serve.instrumentator.metrics import attach_router  # noqa: E402
import vllm.v1.metrics.prometheus as registry  # noqa: E402

app = FastAPI()
attach_router(app)


@app.post("/v1/chat/completions")
def complete(status: int = 200):
    if status != 200:
        raise HTTPException(status)
    return {}


@app.get("/v1/models")
def models():
    return {}


client = TestClient(app)
for status in (200, 200, 400, 500):
    client.post(f"/v1/chat/completions?status={status}")
client.get("/v1/models")
sys.stdout.write(client.get("/metrics").text)
