package ossfake

import (
	"cmp"
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// LifecycleRule says what happens to objects as they age. Prefix and Tags must both match; there is no rule for suffixes, as there
// is none in the service (https://help.aliyun.com/zh/oss/user-guide/lifecycle-rules-based-on-the-last-modified-time).
type LifecycleRule struct {
	ID       string            `json:"id"`
	Prefix   string            `json:"prefix"`
	Tags     map[string]string `json:"tags,omitempty"`
	Disabled bool              `json:"disabled,omitempty"`
	// Expiration is when objects are removed; with versioning they become older versions.
	Expiration LifecycleAge `json:"expiration,omitzero"`
	// ExpiredDeleteMarker removes delete markers behind which there is no version left.
	ExpiredDeleteMarker bool `json:"expiredDeleteMarker,omitempty"`
	// AbortMultipart is when uploads that were not completed are aborted.
	AbortMultipart LifecycleAge `json:"abortMultipart,omitzero"`
	// Transitions are when objects change their storage class.
	Transitions []LifecycleTransition `json:"transitions,omitempty"`
	// Noncurrent is when versions that are not current are deleted, and NoncurrentTransitions when they change their storage class,
	// counted from when they were replaced.
	Noncurrent            LifecycleAge          `json:"noncurrent,omitzero"`
	NoncurrentTransitions []LifecycleTransition `json:"noncurrentTransitions,omitempty"`
}

// LifecycleAge is a number of days since the last change, or a time before which the last change was. The zero value means never.
type LifecycleAge struct {
	Days          int       `json:"days,omitempty"`
	CreatedBefore time.Time `json:"createdBefore,omitzero"`
}

// LifecycleTransition is a change to a colder storage class.
type LifecycleTransition struct {
	LifecycleAge
	StorageClass string `json:"storageClass"`
}

// reached reports whether what was last changed at a time is of that age.
func (a LifecycleAge) reached(changed, at time.Time) bool {
	byDays := a.Days > 0 && !changed.After(at.Add(-time.Duration(a.Days)*24*time.Hour))
	return byDays || changed.Before(a.CreatedBefore)
}

func (r LifecycleRule) check() error {
	ages := []LifecycleAge{r.Expiration, r.AbortMultipart, r.Noncurrent}
	isIdle := !r.ExpiredDeleteMarker
	for _, t := range slices.Concat(r.Transitions, r.NoncurrentTransitions) {
		if err := oneOf("storageClass", t.StorageClass, storageClasses[1:]...); err != nil {
			return err
		}
		if t.LifecycleAge == (LifecycleAge{}) {
			return errors.New("a transition needs an age")
		}
		ages = append(ages, t.LifecycleAge)
	}
	for _, age := range ages {
		if age.Days < 0 {
			return errors.New("days must be 1 or more")
		}
		isIdle = isIdle && age == LifecycleAge{}
	}
	if isIdle {
		return errors.New("it does nothing: give a number of days")
	}
	return nil
}

func (r LifecycleRule) matches(m metadata) bool {
	if r.Disabled || !strings.HasPrefix(m.Key, r.Prefix) {
		return false
	}
	for key, value := range r.Tags {
		if !slices.Contains(m.Tags, tag{key, value}) {
			return false
		}
	}
	return true
}

// LifecycleReport counts what a run of the lifecycle rules did.
type LifecycleReport struct {
	Expired       int `json:"expired"`
	Transitioned  int `json:"transitioned"`
	Versions      int `json:"versions"`
	DeleteMarkers int `json:"deleteMarkers"`
	Uploads       int `json:"uploads"`
}

// ApplyLifecycle carries out the lifecycle rules of a bucket as they stand at a time, which may be in the future so that a rule can
// be tried. The service runs them once a day; here nothing runs by itself, and nobody is told of the removals. What a retention
// policy protects stays.
func (s *Server) ApplyLifecycle(bucket string, at time.Time) (LifecycleReport, error) {
	var report LifecycleReport
	rules := s.Bucket(bucket).Lifecycle
	if len(rules) == 0 {
		return report, nil
	}
	keys, err := s.allKeys(bucket)
	if err != nil {
		return report, err
	}
	for _, key := range keys {
		versions, err := s.store.allVersions(bucket, key)
		if err != nil {
			return report, err
		}
		for n, m := range versions {
			var newer *metadata
			if n > 0 {
				newer = &versions[n-1]
			}
			err := s.age(bucket, m, newer, n == len(versions)-1, rules, at, &report)
			if ae := (*apiError)(nil); err != nil && !errors.Is(err, errNotFound) && !(errors.As(err, &ae) && ae.code == "FileImmutable") {
				return report, err
			}
		}
	}
	uploads, err := s.uploads(bucket)
	if err != nil {
		return report, err
	}
	for _, u := range uploads {
		if slices.ContainsFunc(rules, func(r LifecycleRule) bool {
			return !r.Disabled && strings.HasPrefix(u.Key, r.Prefix) && r.AbortMultipart.reached(u.Initiated, at)
		}) {
			if err := s.endUpload(u.ID); err != nil {
				return report, err
			}
			report.Uploads++
		}
	}
	return report, nil
}

// age applies the rules to one version; newer is the one that replaced it, nil for the current one.
func (s *Server) age(bucket string, m metadata, newer *metadata, isOldest bool, rules []LifecycleRule, at time.Time, report *LifecycleReport) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r LifecycleRule) bool { return !r.matches(m) })
	switch {
	case newer != nil:
		if slices.ContainsFunc(rules, func(r LifecycleRule) bool { return r.Noncurrent.reached(newer.LastModified, at) }) {
			return s.deleteAged(bucket, m, &report.Versions)
		}
		for _, r := range rules {
			if err := s.transition(bucket, &m, m.versionID(), r.NoncurrentTransitions, newer.LastModified, at, report); err != nil {
				return err
			}
		}
	case m.DeleteMarker:
		if isOldest && slices.ContainsFunc(rules, func(r LifecycleRule) bool { return r.ExpiredDeleteMarker }) {
			return s.deleteAged(bucket, m, &report.DeleteMarkers)
		}
	case slices.ContainsFunc(rules, func(r LifecycleRule) bool { return r.Expiration.reached(m.LastModified, at) }):
		_, err := s.store.remove(bucket, m.Key, s.guard(bucket, nil))
		if err == nil {
			report.Expired++
		}
		return err
	default:
		for _, r := range rules {
			if err := s.transition(bucket, &m, "", r.Transitions, m.LastModified, at, report); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteAged deletes a version that is not current, or a delete marker, for good.
func (s *Server) deleteAged(bucket string, m metadata, count *int) error {
	_, err := s.store.removeVersion(bucket, m.Key, m.versionID(), func(existing *metadata) error { return s.checkRetention(bucket, *existing) })
	if err == nil {
		*count++
	}
	return err
}

// transition changes the storage class of a version if it is of the age for a colder one.
func (s *Server) transition(bucket string, m *metadata, id string, transitions []LifecycleTransition, changed, at time.Time, report *LifecycleReport) error {
	for _, t := range transitions {
		if m.DeleteMarker || !t.reached(changed, at) || !isColder(t.StorageClass, m.StorageClass) {
			continue
		}
		updated, err := s.store.update(bucket, m.Key, id, func(m *metadata) error {
			m.StorageClass, m.Restore = t.StorageClass, nil
			return nil
		})
		if err != nil {
			return err
		}
		*m = updated
		report.Transitioned++
	}
	return nil
}

func isColder(class, than string) bool {
	return slices.Index(storageClasses, class) > slices.Index(storageClasses, than)
}

// allKeys returns the keys of a bucket, also those of which only older versions and delete markers are left, in order.
func (s *Server) allKeys(bucket string) ([]string, error) {
	keys, err := s.store.versionedKeys(bucket)
	if err != nil {
		return nil, err
	}
	err = s.store.scan(bucket, "", "", func(key string) (string, bool) {
		keys = append(keys, key)
		return "", true
	})
	slices.Sort(keys)
	return slices.Compact(keys), err
}

type lifecycleConfiguration struct {
	XMLName xml.Name       `xml:"LifecycleConfiguration"`
	Rules   []lifecycleXML `xml:"Rule"`
}

type lifecycleXML struct {
	ID                    string          `xml:"ID"`
	Prefix                string          `xml:"Prefix"`
	Status                string          `xml:"Status"`
	Tags                  []tag           `xml:"Tag"`
	Expiration            *lifecycleStep  `xml:"Expiration"`
	Abort                 *lifecycleStep  `xml:"AbortMultipartUpload"`
	Transitions           []lifecycleStep `xml:"Transition"`
	Noncurrent            *lifecycleStep  `xml:"NoncurrentVersionExpiration"`
	NoncurrentTransitions []lifecycleStep `xml:"NoncurrentVersionTransition"`
	// Days and Date are the expiration in the first form of the rules.
	Days    int    `xml:"Days,omitempty"`
	Date    string `xml:"Date,omitempty"`
	Unknown []skip `xml:",any"`
}

// lifecycleStep is any of the steps; each has some of the elements.
type lifecycleStep struct {
	Days           int    `xml:"Days,omitempty"`
	CreatedBefore  string `xml:"CreatedBeforeDate,omitempty"`
	NoncurrentDays int    `xml:"NoncurrentDays,omitempty"`
	DeleteMarker   bool   `xml:"ExpiredObjectDeleteMarker,omitempty"`
	StorageClass   string `xml:"StorageClass,omitempty"`
	Unknown        []skip `xml:",any"`
}

func newLifecycleStep(age LifecycleAge, class string) lifecycleStep {
	step := lifecycleStep{Days: age.Days, StorageClass: class}
	if !age.CreatedBefore.IsZero() {
		step.CreatedBefore = isoMillis(age.CreatedBefore)
	}
	return step
}

// skip is an element that this server does not know.
type skip struct{ XMLName xml.Name }

func (x lifecycleXML) rule() (LifecycleRule, error) {
	r := LifecycleRule{ID: x.ID, Prefix: x.Prefix, Disabled: x.Status == "Disabled"}
	unknown := x.Unknown
	if x.Status != "Enabled" && x.Status != "Disabled" {
		return r, errMalformedXML()
	}
	if err := checkTags(x.Tags); err != nil {
		return r, err
	}
	for _, t := range x.Tags {
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[t.Key] = t.Value
	}
	var malformed bool
	age := func(step lifecycleStep) LifecycleAge {
		unknown = append(unknown, step.Unknown...)
		age := LifecycleAge{Days: step.Days + step.NoncurrentDays}
		if step.CreatedBefore != "" {
			var err error
			age.CreatedBefore, err = time.Parse(time.RFC3339, step.CreatedBefore)
			malformed = malformed || err != nil
		}
		return age
	}
	transitions := func(steps []lifecycleStep) (out []LifecycleTransition) {
		for _, step := range steps {
			out = append(out, LifecycleTransition{age(step), step.StorageClass})
		}
		return out
	}
	old := &lifecycleStep{Days: x.Days, CreatedBefore: x.Date}
	expiration := *cmp.Or(x.Expiration, old)
	r.Expiration, r.ExpiredDeleteMarker = age(expiration), expiration.DeleteMarker
	r.AbortMultipart, r.Noncurrent = age(*cmp.Or(x.Abort, &lifecycleStep{})), age(*cmp.Or(x.Noncurrent, &lifecycleStep{}))
	r.Transitions, r.NoncurrentTransitions = transitions(x.Transitions), transitions(x.NoncurrentTransitions)
	if len(unknown) > 0 {
		return r, errNotImplemented("The lifecycle element " + unknown[0].XMLName.Local)
	}
	if malformed || r.check() != nil {
		return r, errMalformedXML()
	}
	return r, nil
}

// checkOverlap refuses two rules that do the same to the same objects. The header that allows it does not for uploads.
func checkOverlap(rules []LifecycleRule, isAllowed bool) error {
	for n, a := range rules {
		for _, b := range rules[:n] {
			isNested := strings.HasPrefix(a.Prefix, b.Prefix) || strings.HasPrefix(b.Prefix, a.Prefix)
			if !isNested || !maps.Equal(a.Tags, b.Tags) {
				continue
			}
			for action, both := range map[string]bool{
				"Expiration":                  a.Expiration != LifecycleAge{} && b.Expiration != LifecycleAge{},
				"AbortMultipartUpload":        a.AbortMultipart != LifecycleAge{} && b.AbortMultipart != LifecycleAge{},
				"Transition":                  len(a.Transitions) > 0 && len(b.Transitions) > 0,
				"NoncurrentVersionExpiration": a.Noncurrent != LifecycleAge{} && b.Noncurrent != LifecycleAge{},
				"NoncurrentVersionTransition": len(a.NoncurrentTransitions) > 0 && len(b.NoncurrentTransitions) > 0,
			} {
				if both && (!isAllowed || action == "AbortMultipartUpload") {
					return errInvalidArgument("LifecycleRule", a.ID, "Overlap for same action type %s", action)
				}
			}
		}
	}
	return nil
}

func (s *Server) putBucketLifecycle(w http.ResponseWriter, req *request) error {
	var in lifecycleConfiguration
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if len(in.Rules) == 0 || len(in.Rules) > 1000 {
		return errMalformedXML()
	}
	var rules []LifecycleRule
	for _, x := range in.Rules {
		rule, err := x.rule()
		if err != nil {
			return err
		}
		rule.ID = cmp.Or(rule.ID, newRequestID())
		rules = append(rules, rule)
	}
	if err := checkOverlap(rules, req.Header.Get("x-oss-allow-same-action-overlap") == "true"); err != nil {
		return err
	}
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.Lifecycle = rules })
}

func (s *Server) getBucketLifecycle(w http.ResponseWriter, req *request) error {
	rules := s.Bucket(req.bucket).Lifecycle
	if len(rules) == 0 {
		return errorf(http.StatusNotFound, "NoSuchLifecycle", "", "No Row found in Lifecycle Table.").with("BucketName", req.bucket)
	}
	var out lifecycleConfiguration
	for _, r := range rules {
		out.Rules = append(out.Rules, r.xml())
	}
	return writeXML(w, out)
}

func (r LifecycleRule) xml() (x lifecycleXML) {
	x.ID, x.Prefix, x.Status = r.ID, r.Prefix, "Enabled"
	if r.Disabled {
		x.Status = "Disabled"
	}
	x.Tags = sortedTags(r.Tags)
	if r.Expiration != (LifecycleAge{}) || r.ExpiredDeleteMarker {
		step := newLifecycleStep(r.Expiration, "")
		step.DeleteMarker = r.ExpiredDeleteMarker
		x.Expiration = &step
	}
	if r.AbortMultipart != (LifecycleAge{}) {
		step := newLifecycleStep(r.AbortMultipart, "")
		x.Abort = &step
	}
	for _, t := range r.Transitions {
		x.Transitions = append(x.Transitions, newLifecycleStep(t.LifecycleAge, t.StorageClass))
	}
	if r.Noncurrent.Days > 0 {
		x.Noncurrent = &lifecycleStep{NoncurrentDays: r.Noncurrent.Days}
	}
	for _, t := range r.NoncurrentTransitions {
		x.NoncurrentTransitions = append(x.NoncurrentTransitions, lifecycleStep{NoncurrentDays: t.Days, StorageClass: t.StorageClass})
	}
	return x
}

func (s *Server) deleteBucketLifecycle(w http.ResponseWriter, req *request) error {
	return s.changeBucket(w, req, http.StatusNoContent, func(b *BucketSettings) { b.Lifecycle = nil })
}
