//go:build tools

// Package tools names the commands this module builds: those that do not compile with all that ../cluster needs.
package tools

import (
	_ "github.com/prometheus-operator/prometheus-operator/cmd/operator"
	_ "github.com/prometheus/alertmanager/cmd/alertmanager"
	_ "github.com/prometheus/alertmanager/cmd/amtool"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
