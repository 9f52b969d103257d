// Package deploy holds what a deployment needs beside s.yaml and template.yml.
package deploy

import (
	_ "embed"
	"strings"
)

//go:embed ram-policy.json
var ramPolicy string

// RolePolicy returns ram-policy.json, the RAM policy of the function's role, for the images of one bucket whose keys begin
// with prefix. What it says of queue and log project keeps its placeholders: OSS does not look at it. The sandbox and the system
// tests run under it, so that an action that it does not list fails there and not only once deployed.
func RolePolicy(bucket, prefix string) []byte {
	return []byte(strings.NewReplacer("BUCKET", bucket, "PREFIX", prefix).Replace(ramPolicy))
}
