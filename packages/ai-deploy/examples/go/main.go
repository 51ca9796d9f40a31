package main

import (
	"example.com/pulumi-ovh-ai-deploy/sdk/go/ovhaideploy"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		conf := config.New(ctx, "")
		authorization, err := ovhaideploy.NewAuthorization(ctx, "ai-solutions", nil)
		if err != nil {
			return err
		}
		app, err := ovhaideploy.NewApp(ctx, "llm", &ovhaideploy.AppArgs{
			Name:            pulumi.String("llm"),
			Region:          pulumi.String("GRA"),
			Image:           pulumi.String("vllm/vllm-openai:v0.13.0"),
			Resources:       ovhaideploy.ResourcesArgs{Flavor: pulumi.String("h100-1-gpu"), Gpu: pulumi.Int(1)},
			Command:         pulumi.ToStringArray([]string{"bash", "-c", "vllm serve Qwen/Qwen3-8B --port 8000"}),
			DefaultHttpPort: pulumi.Int(8000),
			Labels:          pulumi.StringMap{"group": pulumi.String("llm")},
			EnvVars:         pulumi.StringMap{"HF_TOKEN": conf.RequireSecret("huggingFaceToken")},
			ReadinessProbe: ovhaideploy.ProbeArgs{
				Path:                pulumi.String("/v1/models"),
				InitialDelaySeconds: pulumi.Int(120),
			},
			ScalingStrategy: ovhaideploy.ScalingStrategyArgs{
				Fixed: ovhaideploy.ScalingStrategyFixedArgs{Replicas: pulumi.Int(1)},
			},
			AdoptionLabel: pulumi.String(conf.Require("adoptionLabel")),
		}, pulumi.DependsOn([]pulumi.Resource{authorization}))
		if err != nil {
			return err
		}
		client, err := ovhaideploy.NewToken(ctx, "client", &ovhaideploy.TokenArgs{
			Name:          pulumi.String("llm-client"),
			Region:        pulumi.String("GRA"),
			Role:          ovhaideploy.TokenRoleAiTrainingRead,
			LabelSelector: pulumi.String("group=llm"),
		})
		if err != nil {
			return err
		}
		ctx.Export("url", app.Url)
		ctx.Export("token", client.Value)
		return nil
	})
}
