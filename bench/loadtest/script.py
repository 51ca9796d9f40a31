# A load test as the reference architecture's: coroutines that each ask with the openai package and wait for whole answers.
# `script.py BASE_URL WORKERS REQUESTS`; prints its figures as JSON.
import asyncio
import json
import sys
import time

from openai import AsyncOpenAI

base_url, workers, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = AsyncOpenAI(base_url=base_url, api_key="made-up", timeout=300, max_retries=0)
latencies = []


async def work():
    for _ in range(requests):
        began = time.perf_counter()
        await client.chat.completions.create(
            model="mock", messages=[{"role": "user", "content": "Name five rivers of Europe."}], max_tokens=768, temperature=0.7
        )
        latencies.append(time.perf_counter() - began)


async def main():
    await asyncio.gather(*(work() for _ in range(workers)))


asyncio.run(main())
latencies.sort()
at = lambda q: latencies[min(len(latencies) - 1, int(q * len(latencies)))]
print(json.dumps({"latency": {"mean": sum(latencies) / len(latencies), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}}))
