import pulumi
import pulumi_ovh_ai_deploy as ai

config = pulumi.Config()
authorization = ai.Authorization("ai-solutions")
app = ai.App(
    "llm",
    name="llm",
    region="GRA",
    image="vllm/vllm-openai:v0.13.0",
    resources={"flavor": "h100-1-gpu", "gpu": 1},
    command=["bash", "-c", "vllm serve Qwen/Qwen3-8B --port 8000"],
    default_http_port=8000,
    labels={"group": "llm"},
    env_vars={"HF_TOKEN": config.require_secret("huggingFaceToken")},
    readiness_probe={"path": "/v1/models", "initial_delay_seconds": 120},
    scaling_strategy={"fixed": {"replicas": 1}},
    adoption_label=config.require("adoptionLabel"),
    opts=pulumi.ResourceOptions(depends_on=[authorization]),
)
client = ai.Token("client", name="llm-client", region="GRA", role="ai_training_read", label_selector="group=llm")

pulumi.export("url", app.url)
pulumi.export("token", client.value)
