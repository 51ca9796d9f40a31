import type { Bag } from "../provider-process";

/** Inputs of a small app, as a program gives them. */
export function appInputs(changes: Bag = {}): Bag {
    return {
        name: "test-app",
        region: "GRA",
        image: "vllm/vllm-openai:v0.13.0",
        resources: { flavor: "h100-1-gpu", gpu: 1 },
        command: ["bash", "-c", "vllm serve some/model"],
        defaultHttpPort: 8000,
        labels: { group: "test" },
        envVars: { HF_TOKEN: "hf_canary_of_the_tests", HF_HOME: "/hub" },
        volumes: [{ mountPath: "/hub", permission: "RW", volumeSource: { standalone: {} } }],
        readinessProbe: { path: "/v1/models", port: 8000 },
        adoptionLabel: "label",
        ...changes,
    };
}

/** Scaling on vLLM's running requests. */
export function autoscaling(changes: Bag = {}): Bag {
    return {
        automatic: {
            replicasMin: 1,
            replicasMax: 3,
            customMetrics: {
                apiUrl: "http://<SELF>:8000/metrics",
                format: "PROMETHEUS",
                valueLocation: "vllm:num_requests_running",
                targetValue: 50,
                aggregationType: "AVERAGE",
            },
            ...changes,
        },
    };
}
