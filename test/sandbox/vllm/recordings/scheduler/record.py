"""Drives vLLM's own scheduler, without a model, and writes what it decides in each step: one file for each scenario.

    python record.py [FOLDER]      # default: the folder of this file

Needs an installed vLLM of the version to record, any build (the CPU one will do) and no GPU. The classes Scheduler,
KVCacheManager, BlockPool and Request are vLLM's; its configuration objects are stand-ins that hold the fields read.

A file has the settings, then what happens, in order:

    add ID prompt=PARTS answer=N max=N   a request; the model ends it by itself after `answer` tokens
    abort ID                             before the next step
    abort ID during                      after the next step is scheduled and before its tokens are there
    step scheduled=ID:TOKENS,... preempted=... running=... waiting=... finished=ID:REASON,...
         queries=N hits=N used=N         lists after the step, counts since the start (tokens), blocks in use

PARTS are joined by `+`, each a letter and a count: `X40+y3` is 40 tokens that every prompt with an X in this place has,
then 3 tokens with which the answer of request y begins. `-` is nothing.
"""

import logging
import pathlib
import random
import sys
from types import SimpleNamespace as Settings

import torch
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus

logging.disable(logging.WARNING)
EOS = 1
MAX_MODEL_LEN = 1_000_000
init_none_hash(sha256)


class Recorder:
    """One scheduler and the lines about it. Defaults are small, so that limits are reached soon."""

    def __init__(self, about, seqs=4, budget=64, block=4, blocks=65, caching=True, threshold=0):
        self.lines = [
            f"# {about}",
            f"settings max-num-seqs={seqs} max-num-batched-tokens={budget} block-size={block} blocks={blocks} "
            f"prefix-caching={'on' if caching else 'off'} long-prefill-token-threshold={threshold}",
        ]
        self.answers, self.during, self.preempted = {}, [], []
        self.queries = self.hits = 0
        self.blocks = blocks
        self.hasher = get_request_block_hasher(block, sha256) if caching else None
        spec = FullAttentionSpec(block_size=block, num_kv_heads=1, head_size=1, dtype=torch.float32)
        self.scheduler = Scheduler(
            vllm_config=Settings(
                scheduler_config=Settings(
                    max_num_seqs=seqs,
                    max_num_batched_tokens=budget,
                    long_prefill_token_threshold=threshold,
                    enable_chunked_prefill=True,
                    policy="fcfs",
                    max_num_encoder_input_tokens=budget,
                    encoder_cache_size=budget,
                ),
                cache_config=Settings(num_gpu_blocks=blocks, enable_prefix_caching=caching),
                model_config=Settings(max_model_len=MAX_MODEL_LEN, is_encoder_decoder=False),
                parallel_config=Settings(
                    data_parallel_rank=0,
                    decode_context_parallel_size=1,
                    prefill_context_parallel_size=1,
                    pipeline_parallel_size=1,
                ),
                observability_config=Settings(kv_cache_metrics=False),
                lora_config=None,
                kv_events_config=None,
                kv_transfer_config=None,
                ec_transfer_config=None,
                speculative_config=None,
            ),
            kv_cache_config=KVCacheConfig(blocks, [], [KVCacheGroupSpec(["layer"], spec)]),
            structured_output_manager=Settings(should_advance=lambda request: False),
            block_size=block,
            mm_registry=Settings(supports_multimodal_inputs=lambda config: False),
            log_stats=True,
        )
        preempt = self.scheduler._preempt_request
        self.scheduler._preempt_request = lambda request, at: (
            self.preempted.append(request.request_id),
            preempt(request, at),
        )

    def add(self, id, prompt, answer, max=1000):
        self.lines.append(f"add {id} prompt={prompt} answer={answer} max={max}")
        self.answers[id] = answer
        tokens = [
            self.token(part[0], index) for part in prompt.split("+") for index in range(int(part[1:]))
        ]
        self.scheduler.add_request(
            Request(
                request_id=id,
                prompt_token_ids=tokens,
                sampling_params=SamplingParams(max_tokens=max),
                pooling_params=None,
                eos_token_id=EOS,
                block_hasher=self.hasher,
            )
        )

    @staticmethod
    def token(letter, index):
        return ord(letter) * 10_000 + index

    def abort(self, id, during=False):
        self.lines.append(f"abort {id}{' during' if during else ''}")
        if during:
            self.during.append(id)
        else:
            self.scheduler.finish_requests(id, RequestStatus.FINISHED_ABORTED)

    def answer_token(self, request):
        index = request.num_output_tokens
        last = index + 1 == self.answers[request.request_id]
        return EOS if last else self.token(request.request_id[0], index)

    def step(self, times=1):
        for _ in range(times):
            self.one_step()

    def one_step(self):
        scheduler = self.scheduler
        self.preempted.clear()
        output = scheduler.schedule()
        for id in self.during:
            scheduler.finish_requests(id, RequestStatus.FINISHED_ABORTED)
        self.during.clear()
        ids = list(output.num_scheduled_tokens)
        requests = [scheduler.requests.get(id) for id in ids]
        complete = [r is not None and r.num_computed_tokens >= r.num_tokens for r in requests]
        sampled = [[self.answer_token(r)] if done else [] for r, done in zip(requests, complete)]
        results = scheduler.update_from_output(
            output,
            ModelRunnerOutput(
                req_ids=ids,
                req_id_to_index={id: i for i, id in enumerate(ids)},
                sampled_token_ids=sampled,
                logprobs=None,
                prompt_logprobs_dict={},
                pooler_output=[],
            ),
        )
        stats = results[0].scheduler_stats
        self.queries += stats.prefix_cache_stats.queries
        self.hits += stats.prefix_cache_stats.hits
        finished = [f"{o.request_id}:{o.finish_reason}" for o in results[0].outputs if o.finish_reason is not None]
        joined = lambda parts: ",".join(parts) or "-"  # noqa: E731
        self.lines.append(
            f"step scheduled={joined(f'{id}:{n}' for id, n in output.num_scheduled_tokens.items())} "
            f"preempted={joined(self.preempted)} "
            f"running={joined(r.request_id for r in scheduler.running)} "
            f"waiting={joined(r.request_id for r in scheduler.waiting)} "
            f"finished={joined(finished)} queries={self.queries} hits={self.hits} "
            f"used={self.blocks - 1 - scheduler.kv_cache_manager.block_pool.get_num_free_blocks()}"
        )

    def drain(self, most=400):
        while self.scheduler.get_num_unfinished_requests() > 0:
            self.one_step()
            most -= 1
            assert most > 0, "it does not end"


def token_budget():
    r = Recorder("Four prompts share the token budget of a step; the last one gets what is left.")
    for id, tokens in ("a", 20), ("b", 30), ("c", 30), ("d", 5):
        r.add(id, f"{id.upper()}{tokens}", 3)
    r.drain()
    return r


def chunked_prefill():
    r = Recorder("A prompt longer than the budget is computed in chunks, and the first token comes with the last one.")
    r.add("a", "A200", 3)
    r.drain()
    return r


def mixed_prefill_and_decode():
    r = Recorder("Decoding goes first, prompts get the rest of the budget.", budget=32)
    r.add("a", "A8", 12)
    r.add("b", "B9", 12)
    r.step(2)
    r.add("c", "C70", 4)
    r.step(2)
    r.add("d", "D40", 4)
    r.drain()
    return r


def max_num_seqs():
    r = Recorder("A full batch: the next one enters in the step after one that ends.", seqs=3)
    for i, id in enumerate("abcdef"):
        r.add(id, f"{id.upper()}{6 + i}", 2 + i)
    r.drain()
    return r


def full_queue():
    r = Recorder("Twenty requests and a batch of two: first come, first served.", seqs=2)
    for i in range(20):
        r.add(f"{chr(97 + i)}", f"{chr(65 + i)}{3 + i % 7}", 1 + i % 4)
    r.drain()
    return r


def length_limit():
    r = Recorder("Ended by the model, by the limit, and by both at once.")
    r.add("a", "A5", 3, 10)
    r.add("b", "B5", 10, 3)
    r.add("c", "C5", 3, 3)
    r.add("d", "D5", 1, 1)
    r.drain()
    return r


def preemption():
    r = Recorder("Blocks run out: the last of the batch gives way, waits at the head and is computed again.", blocks=9)
    r.add("a", "A12", 12)
    r.add("b", "B12", 12)
    r.step(2)
    r.add("c", "C3", 2)
    r.drain()
    return r


def preemption_of_several():
    r = Recorder(
        "An old one computes its prompt in chunks, so that one step takes the blocks of several young ones.",
        seqs=6, budget=24, blocks=17, threshold=16,
    )
    r.add("a", "A56", 6)
    for id in "bcd":
        r.add(id, f"{id.upper()}3", 20)
    r.drain()
    return r


def preemption_of_itself():
    r = Recorder("The last of the batch finds no block and gives way itself.", blocks=7, seqs=3)
    r.add("a", "A8", 9)
    r.add("b", "B7", 9)
    r.add("c", "C7", 9)
    r.drain()
    return r


def preemption_while_others_wait():
    r = Recorder("In a step that preempts nobody enters, whatever room there is.", blocks=11, seqs=5, budget=16)
    r.add("a", "A10", 14)
    r.add("b", "B10", 14)
    r.add("c", "C10", 3)
    r.add("d", "D2", 3)
    r.drain()
    return r


def preemption_without_cache():
    r = Recorder("Without prefix caching a preempted request computes all of it again.", blocks=9, caching=False)
    r.add("a", "A12", 12)
    r.add("b", "B12", 12)
    r.drain()
    return r


def preemption_in_chunks():
    r = Recorder("A preempted request comes back in chunks, its own tokens included.", blocks=13, budget=12)
    r.add("a", "A20", 24)
    r.add("b", "B9", 20)
    r.add("c", "C9", 20)
    r.drain()
    return r


def prefix_hits():
    r = Recorder("Whole blocks of a prompt that was computed are found, whether its request is over or not.")
    r.add("a", "A30", 4)
    r.step(2)
    r.add("b", "A18+B10", 2)
    r.drain()
    r.add("c", "A30+C3", 2)
    r.add("d", "A9+D3", 2)
    r.drain()
    return r


def prefix_in_the_same_step():
    r = Recorder("Two with the same beginning enter in one step: the second finds the blocks of the first.")
    r.add("a", "A22+X2", 3)
    r.add("b", "A22+Y3", 3)
    r.add("c", "A22+Z1", 3)
    r.drain()
    return r


def prefix_in_chunks():
    r = Recorder("What a chunk has computed can be found by the next request, before the prompt is through.", budget=24)
    r.add("a", "A60", 3)
    r.add("b", "A60", 3)
    r.step()
    r.add("c", "A40+C9", 3)
    r.drain()
    return r


def prefix_last_token():
    r = Recorder("A prompt known whole: the block of its last token is computed again, and is there twice from then on.")
    r.add("a", "A16", 2)
    r.drain()
    r.add("b", "A16", 2)
    r.add("c", "A17", 2)
    r.drain()
    r.add("d", "A15+D1", 2)
    r.drain()
    return r


def prefix_after_preemption():
    r = Recorder(
        "A preempted request finds what is left of its own blocks, answer included; the counters leave that out.",
        blocks=16,
    )
    r.add("a", "A16", 30)
    r.add("b", "A16+B5", 30)
    r.drain()
    return r


def prefix_second_turn():
    r = Recorder("The answer is part of the next prompt: its blocks are found, too.")
    r.add("a", "A10", 14)
    r.drain()
    r.add("b", "A10+a13+B6", 3)
    r.drain()
    return r


def prefix_off():
    r = Recorder("Without prefix caching nothing is found and nothing is counted.", caching=False)
    r.add("a", "A20", 3)
    r.drain()
    r.add("b", "A20", 3)
    r.drain()
    return r


def eviction_order():
    r = Recorder(
        "Free blocks are taken in the order in which they became free, empty ones as well as kept ones, ends first.",
        blocks=13,
    )
    r.add("a", "A14", 2)
    r.drain()
    r.add("b", "B14", 2)
    r.drain()
    r.add("c", "C14", 2)  # the last blocks never used, then those of a
    r.drain()
    r.add("d", "A14", 2)
    r.drain()
    r.add("e", "B14", 2)
    r.drain()
    r.add("f", "C14", 2)
    r.drain()
    r.add("g", "A6+G2", 2)
    r.drain()
    return r


def eviction_of_a_held_beginning():
    r = Recorder("A beginning that another request uses is not evicted; a use makes it young again.", blocks=13)
    r.add("a", "A16", 1)
    r.drain()
    r.add("b", "B16", 1)
    r.drain()
    r.add("c", "A8+C3", 12)
    r.step(2)
    r.add("d", "D20", 2)
    r.drain()
    r.add("e", "A16", 1)
    r.add("f", "B16", 1)
    r.drain()
    return r


def no_blocks_at_admission():
    r = Recorder(
        "The head of the queue needs more blocks than are free: it waits, all behind it wait, and each look is counted.",
        blocks=17,
    )
    r.add("a", "A30", 10)
    r.step()
    r.add("b", "A8+B40", 3)
    r.add("c", "C2", 2)
    r.drain()
    return r


def hits_that_are_free():
    r = Recorder("Found blocks that nobody holds are taken from the free ones, and count as needed.", blocks=13)
    r.add("a", "A24", 1)
    r.drain()
    r.add("b", "B20", 8)
    r.step()
    r.add("c", "A24+C8", 2)
    r.drain()
    return r


def long_prefill_threshold():
    r = Recorder("With a threshold a long prompt takes at most so many tokens of a step.", threshold=16)
    r.add("a", "A50", 3)
    r.add("b", "B20", 3)
    r.add("c", "C5", 3)
    r.drain()
    return r


def abort_while_waiting():
    r = Recorder("Aborted in the queue: those behind move up.", seqs=2)
    for id in "abcd":
        r.add(id, f"{id.upper()}8", 4)
    r.step()
    r.abort("c")
    r.drain()
    return r


def abort_while_prefilling():
    r = Recorder("Aborted between two chunks: its blocks come back and what they hold can be found.", budget=16)
    r.add("a", "A40", 4)
    r.step()
    r.abort("a")
    r.add("b", "A40", 2)
    r.drain()
    return r


def abort_while_decoding():
    r = Recorder("Aborted while it decodes: the one that waited takes its place.", seqs=2)
    for id in "abc":
        r.add(id, f"{id.upper()}8", 9)
    r.step(3)
    r.abort("a")
    r.drain()
    return r


def abort_while_preempted():
    r = Recorder("Aborted while it waits to be computed again.", blocks=9)
    r.add("a", "A12", 12)
    r.add("b", "B12", 12)
    while not r.scheduler.waiting:
        r.step()
    r.abort("b")
    r.add("c", "B12", 2)
    r.drain()
    return r


def abort_during_a_step():
    r = Recorder("Aborted while the model computes: nothing comes out of it, and its blocks come back with the step.")
    r.add("a", "A9", 9)
    r.add("b", "B9", 9)
    r.step(2)
    r.abort("a", during=True)
    r.step()
    r.add("c", "C30", 4)
    r.abort("c", during=True)
    r.step()
    r.abort("b", during=True)
    r.step()
    r.add("d", "D9", 2)
    r.drain()
    return r


def abort_of_all():
    r = Recorder("All aborted at once: nothing runs, nothing waits, no block is in use.", seqs=2)
    for id in "abcd":
        r.add(id, f"{id.upper()}9", 9)
    r.step(2)
    for id in "abcd":
        r.abort(id)
    r.step()
    r.add("e", "A9", 2)
    r.drain()
    return r


def traffic(seed, **settings):
    """Requests at random: prompts of three families, aborts at any moment, few blocks."""
    r = Recorder(f"Seventy requests at random (seed {seed}): shared beginnings, aborts in every phase, few blocks.", **settings)
    dice = random.Random(seed)
    capacity = (settings["blocks"] - 1) * settings["block"]
    names = [chr(97 + i % 26) + str(i // 26) for i in range(70)]
    alive = []
    while names or r.scheduler.get_num_unfinished_requests() > 0:
        while names and dice.random() < 0.4:
            id = names.pop(0)
            common, own = dice.randrange(0, 30), dice.randrange(1, 30)
            answer, limit = dice.randrange(1, 25), dice.randrange(1, 30)
            if common + own + min(answer, limit) > capacity:
                continue
            family = dice.choice("XYZ")
            # Some come a second time with the very same prompt.
            rest = dice.choice([f"{id[0].upper()}{own}", f"{family}{own}"])
            r.add(id, f"{family}{common}+{rest}", answer, limit)
            alive.append(id)
        if alive and dice.random() < 0.08:
            id = alive.pop(dice.randrange(len(alive)))
            if id in r.scheduler.requests:
                r.abort(id, during=dice.random() < 0.5)
        r.step()
    return r


def traffic_in_a_small_cache():
    return traffic(1, seqs=6, budget=24, block=4, blocks=26)


def traffic_in_blocks_of_sixteen():
    return traffic(2, seqs=8, budget=40, block=16, blocks=13)


def traffic_with_a_threshold():
    return traffic(3, seqs=5, budget=32, block=4, blocks=30, threshold=9)


def traffic_without_cache():
    return traffic(4, seqs=6, budget=24, block=4, blocks=26, caching=False)


SCENARIOS = [
    token_budget, chunked_prefill, mixed_prefill_and_decode, max_num_seqs, full_queue, length_limit,
    preemption, preemption_of_several, preemption_of_itself, preemption_while_others_wait, preemption_without_cache,
    preemption_in_chunks, prefix_hits, prefix_in_the_same_step, prefix_in_chunks, prefix_last_token,
    prefix_after_preemption, prefix_second_turn, prefix_off, eviction_order, eviction_of_a_held_beginning,
    no_blocks_at_admission, hits_that_are_free, long_prefill_threshold, abort_while_waiting, abort_while_prefilling,
    abort_while_decoding, abort_while_preempted, abort_during_a_step, abort_of_all, traffic_in_a_small_cache,
    traffic_in_blocks_of_sixteen, traffic_with_a_threshold, traffic_without_cache,
]  # fmt: skip

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for scenario in SCENARIOS:
        lines = scenario().lines
        (folder / f"{scenario.__name__.replace('_', '-')}.txt").write_text("\n".join(lines) + "\n")
