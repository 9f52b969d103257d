package ossfake

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// conditionKeys are what a policy's Condition may look at. acs:SecureTransport is always true: loopback stands for the service's
// HTTPS endpoint.
var conditionKeys = []string{"acs:SecureTransport", "acs:SourceIp", "oss:Delimiter", "oss:Prefix"}

// conditionOperators compare a request's value with one of a condition.
var conditionOperators = map[string]func(value, want string) bool{
	"StringEquals":              func(value, want string) bool { return value == want },
	"StringNotEquals":           func(value, want string) bool { return value != want },
	"StringEqualsIgnoreCase":    strings.EqualFold,
	"StringNotEqualsIgnoreCase": func(value, want string) bool { return !strings.EqualFold(value, want) },
	"StringLike":                func(value, want string) bool { return wildcardMatch(want, value) },
	"StringNotLike":             func(value, want string) bool { return !wildcardMatch(want, value) },
	"Bool":                      strings.EqualFold,
	"IpAddress":                 isInNetwork,
	"NotIpAddress":              func(value, want string) bool { return !isInNetwork(value, want) },
}

func isInNetwork(address, network string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	if prefix, err := netip.ParsePrefix(network); err == nil {
		return prefix.Contains(ip.Unmap())
	}
	single, err := netip.ParseAddr(network)
	return err == nil && single == ip.Unmap()
}

// condition is one line of a statement's Condition; all lines must hold.
type condition struct {
	operator, key string
	values        []string
}

// parseConditions checks the Condition of a statement: operator -> key -> values.
func parseConditions(in map[string]map[string]oneOrMany) ([]condition, error) {
	var out []condition
	for operator, keys := range in {
		if conditionOperators[operator] == nil {
			return nil, fmt.Errorf("the operator %q of a Condition; known are %s", operator, strings.Join(slices.Sorted(maps.Keys(conditionOperators)), ", "))
		}
		for key, values := range keys {
			if !slices.Contains(conditionKeys, key) {
				return nil, fmt.Errorf("the key %q of a Condition; known are %s", key, strings.Join(conditionKeys, ", "))
			}
			out = append(out, condition{operator, key, values})
		}
	}
	return out, nil
}

// holds reports whether the condition is met. Of several values one must match, of those of a negative operator all; a request without
// the key meets negative operators only.
func (c condition) holds(context map[string]string) bool {
	isNegative := strings.Contains(c.operator, "Not")
	value, ok := context[c.key]
	if !ok {
		return isNegative
	}
	compare := func(want string) bool { return conditionOperators[c.operator](value, want) }
	if isNegative {
		return !slices.ContainsFunc(c.values, func(want string) bool { return !compare(want) })
	}
	return slices.ContainsFunc(c.values, compare)
}

// conditionContext is what the conditions of a policy can know about a request.
func conditionContext(req *request) map[string]string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	context := map[string]string{"acs:SecureTransport": "true", "acs:SourceIp": host}
	for key, parameter := range map[string]string{"oss:Prefix": "prefix", "oss:Delimiter": "delimiter"} {
		if req.query.has(parameter) {
			context[key] = req.query.get(parameter)
		}
	}
	return context
}
