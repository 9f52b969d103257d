// Package deploy holds what a deployment needs beside s.yaml and template.yml.
package deploy

import (
	_ "embed"
	"strings"
)

//go:embed ram-policy.json
var ramPolicy string

//go:embed removal-policy.json
var removalPolicy string

// RolePolicy returns ram-policy.json, the RAM policy of the function's role, for the images of one bucket whose keys begin
// with prefix. What it says of queue and log project keeps its placeholders: OSS does not look at it. The sandbox and the system
// tests run under it, so that an action that it does not list fails there and not only once deployed.
func RolePolicy(bucket, prefix string) []byte {
	return fill(ramPolicy, bucket, prefix)
}

// RemovalPolicy returns removal-policy.json in the same way: what the role needs beside it for REMOVE_WITH_IMAGE.
func RemovalPolicy(bucket, prefix string) []byte { return fill(removalPolicy, bucket, prefix) }

func fill(policy, bucket, prefix string) []byte {
	return []byte(strings.NewReplacer("BUCKET", bucket, "PREFIX", prefix).Replace(policy))
}
