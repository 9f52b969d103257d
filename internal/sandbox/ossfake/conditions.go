package ossfake

import (
	"net/http"
	"strings"
	"time"
)

// checkConditions judges If-Match and its kin. Times count in whole seconds, as in the headers.
func checkConditions(h http.Header, m metadata) error {
	modified := m.LastModified.Truncate(time.Second)
	if v := h.Get("If-Match"); v != "" && !matchesETag(v, m.ETag) {
		return errPreconditionFailed("If-Match")
	}
	if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return errPreconditionFailed("If-Unmodified-Since")
	}
	notModified := errorf(http.StatusNotModified, "NotModified", "", "The object is as it was.")
	if v := h.Get("If-None-Match"); v != "" {
		if matchesETag(v, m.ETag) {
			return notModified
		}
		return nil
	}
	if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		return notModified
	}
	return nil
}

func matchesETag(list, etag string) bool {
	for v := range strings.SplitSeq(list, ",") {
		v = strings.Trim(strings.TrimSpace(v), `"`)
		if v == "*" || strings.EqualFold(v, etag) {
			return true
		}
	}
	return false
}
