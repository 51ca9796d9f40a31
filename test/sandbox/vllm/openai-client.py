"""The official OpenAI client for Python against a simulated vLLM. Prints what it saw as one line of JSON.

Usage: openai-client.py BASE_URL MODEL
"""

import asyncio
import json
import sys

import openai

base_url, model = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key="EMPTY", max_retries=0)
messages = [{"role": "user", "content": "What is the weather in Paris?"}]
tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
seen = {"version": openai.__version__, "models": [one.id for one in client.models.list()]}

chat = client.chat.completions.create(
    model=model, messages=messages, max_tokens=8, logprobs=True, top_logprobs=2, extra_body={"ignore_eos": True}
)
seen["chat"] = {
    "text": chat.choices[0].message.content,
    "finish_reason": chat.choices[0].finish_reason,
    "completion_tokens": chat.usage.completion_tokens,
    "logprobs": len(chat.choices[0].logprobs.content),
}

pieces, usage = [], None
for chunk in client.chat.completions.create(
    model=model,
    messages=messages,
    max_tokens=8,
    stream=True,
    stream_options={"include_usage": True},
    extra_body={"ignore_eos": True},
):
    pieces += [choice.delta.content or "" for choice in chunk.choices]
    usage = chunk.usage or usage
seen["stream"] = {"text": "".join(pieces), "completion_tokens": usage.completion_tokens}

called = client.chat.completions.create(model=model, messages=messages, tools=tools)
call = called.choices[0].message.tool_calls[0]
answered = client.chat.completions.create(
    model=model,
    messages=[
        *messages,
        called.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ],
    tools=tools,
    max_tokens=5,
)
seen["tool"] = {
    "name": call.function.name,
    "arguments": json.loads(call.function.arguments),
    "finish_reason": called.choices[0].finish_reason,
    "answer": answered.choices[0].message.content,
}

with client.chat.completions.stream(model=model, messages=messages, tools=tools, tool_choice="required") as stream:
    final = stream.get_final_completion()
seen["streamed_tool"] = final.choices[0].message.tool_calls[0].function.name

text = client.completions.create(model=model, prompt=["a", "b"], n=2, max_tokens=2)
seen["text"] = [choice.index for choice in text.choices]

try:
    client.chat.completions.create(model="other", messages=messages)
except openai.NotFoundError as error:
    seen["not_found"] = error.body["message"]
try:
    client.chat.completions.create(model=model, messages=messages, temperature=-1)
except openai.BadRequestError as error:
    seen["bad_request"] = error.body["message"]

form = client.chat.completions.create(model=model, messages=messages, response_format={"type": "json_object"})
seen["form"] = form.choices[0].message.content


async def at_once() -> list[int]:
    several = openai.AsyncOpenAI(base_url=base_url, api_key="EMPTY", max_retries=0)
    answers = await asyncio.gather(
        *(several.completions.create(model=model, prompt=str(i), max_tokens=i + 1) for i in range(8))
    )
    return [answer.usage.completion_tokens for answer in answers]


seen["at_once"] = asyncio.run(at_once())
print(json.dumps(seen))
