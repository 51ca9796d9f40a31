// Command pulumi-resource-kubernetes is Pulumi's Kubernetes provider, built from its Go module.
//
// The upstream main package embeds files that its own build generates. They are in the module as well, under
// cmd/pulumi-resource-kubernetes, so the toolchain copies them here before it builds (see ../../recipes.ts).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

// version is set with -ldflags "-X main.version=...".
var version string

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}
