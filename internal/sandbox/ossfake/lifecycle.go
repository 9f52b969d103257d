package ossfake

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// LifecycleRule says what happens to objects as they age. Prefix and Tags must both match; there is no rule for suffixes, as there
// is none in the service (https://help.aliyun.com/zh/oss/user-guide/lifecycle-rules-based-on-the-last-modified-time). Numbers of days
// count from the last change; 0 means never.
type LifecycleRule struct {
	ID       string            `json:"id"`
	Prefix   string            `json:"prefix"`
	Tags     map[string]string `json:"tags,omitempty"`
	Disabled bool              `json:"disabled,omitempty"`
	// ExpirationDays is when objects are removed; with versioning they become older versions.
	ExpirationDays int `json:"expirationDays,omitempty"`
	// NoncurrentDays is when versions that are not current are deleted, counted from when they were replaced.
	NoncurrentDays int `json:"noncurrentDays,omitempty"`
	// ExpiredDeleteMarker removes delete markers behind which there is no version left.
	ExpiredDeleteMarker bool `json:"expiredDeleteMarker,omitempty"`
	// AbortMultipartDays is when uploads that were not completed are aborted.
	AbortMultipartDays int `json:"abortMultipartDays,omitempty"`
	// TransitionDays is when objects change to TransitionClass.
	TransitionDays  int    `json:"transitionDays,omitempty"`
	TransitionClass string `json:"transitionClass,omitempty"`
}

func (r LifecycleRule) check() error {
	if min(r.ExpirationDays, r.NoncurrentDays, r.AbortMultipartDays, r.TransitionDays) < 0 {
		return errors.New("days must be 1 or more")
	}
	if r.ExpirationDays+r.NoncurrentDays+r.AbortMultipartDays+r.TransitionDays == 0 && !r.ExpiredDeleteMarker {
		return errors.New("it does nothing: give a number of days")
	}
	if (r.TransitionDays > 0) != (r.TransitionClass != "") {
		return errors.New("transitionDays and transitionClass need each other")
	}
	if r.TransitionDays > 0 {
		return oneOf("transitionClass", r.TransitionClass, storageClasses[1:]...)
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

func daysBefore(at time.Time, days int) time.Time {
	return at.Add(-time.Duration(days) * 24 * time.Hour)
}

// isDue tells whether something that happens after a number of days is due for what was changed at a time.
func isDue(days int, changed, at time.Time) bool {
	return days > 0 && !changed.After(daysBefore(at, days))
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
			return !r.Disabled && strings.HasPrefix(u.Key, r.Prefix) && isDue(r.AbortMultipartDays, u.Initiated, at)
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
	matching := slices.DeleteFunc(slices.Clone(rules), func(r LifecycleRule) bool { return !r.matches(m) })
	due := func(days func(LifecycleRule) int, changed time.Time) bool {
		return slices.ContainsFunc(matching, func(r LifecycleRule) bool { return isDue(days(r), changed, at) })
	}
	keep := func(existing *metadata) error { return s.checkRetention(bucket, *existing) }
	switch {
	case newer != nil:
		if !due(func(r LifecycleRule) int { return r.NoncurrentDays }, newer.LastModified) {
			return nil
		}
		_, err := s.store.removeVersion(bucket, m.Key, m.versionID(), keep)
		if err == nil {
			report.Versions++
		}
		return err
	case m.DeleteMarker:
		if !isOldest || !slices.ContainsFunc(matching, func(r LifecycleRule) bool { return r.ExpiredDeleteMarker }) {
			return nil
		}
		_, err := s.store.removeVersion(bucket, m.Key, m.versionID(), keep)
		if err == nil {
			report.DeleteMarkers++
		}
		return err
	case due(func(r LifecycleRule) int { return r.ExpirationDays }, m.LastModified):
		_, err := s.store.remove(bucket, m.Key, s.guard(bucket, nil))
		if err == nil {
			report.Expired++
		}
		return err
	}
	for _, r := range matching {
		if isDue(r.TransitionDays, m.LastModified, at) && isColder(r.TransitionClass, m.StorageClass) {
			if _, err := s.store.update(bucket, m.Key, "", func(m *metadata) error {
				m.StorageClass, m.Restore = r.TransitionClass, nil
				return nil
			}); err != nil {
				return err
			}
			m.StorageClass = r.TransitionClass
			report.Transitioned++
		}
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
	ID         string         `xml:"ID"`
	Prefix     string         `xml:"Prefix"`
	Status     string         `xml:"Status"`
	Tags       []tag          `xml:"Tag"`
	Expiration *lifecycleStep `xml:"Expiration"`
	Noncurrent *lifecycleStep `xml:"NoncurrentVersionExpiration"`
	Abort      *lifecycleStep `xml:"AbortMultipartUpload"`
	Transition *lifecycleStep `xml:"Transition"`
	Unknown    []skip         `xml:",any"`
}

// lifecycleStep is any of the four steps; each has some of the elements.
type lifecycleStep struct {
	Days           int    `xml:"Days,omitempty"`
	NoncurrentDays int    `xml:"NoncurrentDays,omitempty"`
	DeleteMarker   bool   `xml:"ExpiredObjectDeleteMarker,omitempty"`
	StorageClass   string `xml:"StorageClass,omitempty"`
	Unknown        []skip `xml:",any"`
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
	part := func(step *lifecycleStep) lifecycleStep {
		if step == nil {
			return lifecycleStep{}
		}
		unknown = append(unknown, step.Unknown...)
		return *step
	}
	expiration, transition := part(x.Expiration), part(x.Transition)
	r.ExpirationDays, r.ExpiredDeleteMarker = expiration.Days, expiration.DeleteMarker
	r.TransitionDays, r.TransitionClass = transition.Days, transition.StorageClass
	r.NoncurrentDays, r.AbortMultipartDays = part(x.Noncurrent).NoncurrentDays, part(x.Abort).Days
	if len(unknown) > 0 {
		return r, errNotImplemented("The lifecycle element " + unknown[0].XMLName.Local)
	}
	if r.check() != nil {
		return r, errMalformedXML()
	}
	return r, nil
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
	for key, value := range r.Tags {
		x.Tags = append(x.Tags, tag{key, value})
	}
	slices.SortFunc(x.Tags, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	if r.ExpirationDays > 0 || r.ExpiredDeleteMarker {
		x.Expiration = &lifecycleStep{Days: r.ExpirationDays, DeleteMarker: r.ExpiredDeleteMarker}
	}
	if r.NoncurrentDays > 0 {
		x.Noncurrent = &lifecycleStep{NoncurrentDays: r.NoncurrentDays}
	}
	if r.AbortMultipartDays > 0 {
		x.Abort = &lifecycleStep{Days: r.AbortMultipartDays}
	}
	if r.TransitionDays > 0 {
		x.Transition = &lifecycleStep{Days: r.TransitionDays, StorageClass: r.TransitionClass}
	}
	return x
}

func (s *Server) deleteBucketLifecycle(w http.ResponseWriter, req *request) error {
	return s.changeBucket(w, req, http.StatusNoContent, func(b *BucketSettings) { b.Lifecycle = nil })
}
