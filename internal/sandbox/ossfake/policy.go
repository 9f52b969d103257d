package ossfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy is a RAM policy: what callers with STS credentials may do. Everything that no statement allows is forbidden, and a
// statement that denies wins over those that allow.
type Policy struct {
	statements []statement
}

type statement struct {
	deny       bool
	actions    []string
	resources  []string
	conditions []condition
}

// oneOrMany is a JSON string or an array of strings, as RAM policies allow both.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return errors.New("want a string or an array of strings")
	}
	*o = many
	return nil
}

// ParsePolicy reads the RAM policy documents of a role, each of the form {"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],
// "Resource":["acs:oss:*:*:bucket/*"]}]}. Actions and resources may hold the wildcards * and ?. Elements that this server
// would not enforce (NotAction, NotResource, Principal, conditions that it cannot judge) are errors, so that no policy seems
// stricter here than it is. (https://help.aliyun.com/zh/ram/user-guide/policy-structure-and-syntax)
func ParsePolicy(documents ...[]byte) (*Policy, error) {
	all := &Policy{}
	for _, document := range documents {
		p, err := parsePolicy(document)
		if err != nil {
			return nil, err
		}
		all.statements = append(all.statements, p.statements...)
	}
	return all, nil
}

func parsePolicy(document []byte) (*Policy, error) {
	var in struct {
		Version   string
		Statement []struct {
			Effect    string
			Action    oneOrMany
			Resource  oneOrMany
			Condition map[string]map[string]oneOrMany
		}
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fmt.Errorf("ossfake: policy: %w; known are Version, Statement, Effect, Action, Resource and Condition", err)
	}
	if in.Version != "1" {
		return nil, fmt.Errorf(`ossfake: policy: Version is %q, must be "1"`, in.Version)
	}
	if len(in.Statement) == 0 {
		return nil, errors.New("ossfake: policy: Statement is empty, must hold at least one")
	}
	var p Policy
	for i, st := range in.Statement {
		if st.Effect != "Allow" && st.Effect != "Deny" {
			return nil, fmt.Errorf("ossfake: policy: Statement %d: Effect is %q, must be Allow or Deny", i, st.Effect)
		}
		if len(st.Action) == 0 || len(st.Resource) == 0 {
			return nil, fmt.Errorf("ossfake: policy: Statement %d: Action and Resource must not be empty", i)
		}
		conditions, err := parseConditions(st.Condition)
		if err != nil {
			return nil, fmt.Errorf("ossfake: policy: Statement %d: %w", i, err)
		}
		out := statement{deny: st.Effect == "Deny", conditions: conditions}
		for _, a := range st.Action {
			if a != "*" && !strings.Contains(a, ":") {
				return nil, fmt.Errorf("ossfake: policy: Statement %d: Action %q must be * or start with the service, such as oss:GetObject", i, a)
			}
			out.actions = append(out.actions, strings.ToLower(a))
		}
		for _, r := range st.Resource {
			if r != "*" && len(strings.SplitN(r, ":", 5)) != 5 {
				return nil, fmt.Errorf("ossfake: policy: Statement %d: Resource %q must be * or acs:oss:<region>:<account>:<bucket>[/<key>]", i, r)
			}
			out.resources = append(out.resources, r)
		}
		p.statements = append(p.statements, out)
	}
	return &p, nil
}

// Allows reports whether the policy permits an action such as "oss:GetObject" on a bucket (empty key) or an object. An empty bucket
// stands for the service itself. context holds the values of the keys that conditions look at, such as oss:Prefix.
func (p *Policy) Allows(action, region, bucket, key string, context map[string]string) bool {
	target := bucket
	switch {
	case bucket == "":
		target = "*"
	case key != "":
		target = bucket + "/" + key
	}
	return p.allows(action, "oss", region, target, context)
}

// allows judges an action on a resource of any service.
func (p *Policy) allows(action, service, region, target string, context map[string]string) bool {
	allowed := false
	for _, st := range p.statements {
		if !st.covers(strings.ToLower(action), service, region, target) || slices.ContainsFunc(st.conditions, func(c condition) bool { return !c.holds(context) }) {
			continue
		}
		if st.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (st statement) covers(action, service, region, target string) bool {
	matched := false
	for _, a := range st.actions {
		matched = matched || wildcardMatch(a, action)
	}
	if !matched {
		return false
	}
	for _, r := range st.resources {
		if r == "*" {
			return true
		}
		// acs:<service>:<region>:<account>:<resource>. There is one account here, so its ID is not compared.
		parts := strings.SplitN(r, ":", 5)
		if wildcardMatch(parts[0], "acs") && wildcardMatch(parts[1], service) &&
			(wildcardMatch(parts[2], region) || wildcardMatch(parts[2], "oss-"+region)) && wildcardMatch(parts[4], target) {
			return true
		}
	}
	return false
}

// wildcardMatch compares with a pattern in which * stands for any characters, "/" too, and ? for one.
func wildcardMatch(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
