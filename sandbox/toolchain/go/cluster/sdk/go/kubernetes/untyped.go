// Package kubernetes is what the provider uses of Pulumi's Go SDK for Kubernetes.
package kubernetes

import "reflect"

// UntypedArgs are the fields of an object as they are.
type UntypedArgs map[string]any

// ElementType makes them an input of Pulumi's.
func (UntypedArgs) ElementType() reflect.Type {
	return reflect.TypeFor[map[string]any]()
}
