// Package listtest is an object store that lists and serves any number of objects quickly, for tests and measurements of what
// goes through a bucket. It checks no signature, stores nothing, and knows ListObjectsV2 and GetObject only.
package listtest

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

// Server is the store; it serves path-style requests.
type Server struct {
	Keys []string // sorted
	// Body is what each object holds.
	Body []byte
	// Delay is how long each answer takes; Slow, if not nil, that of an object's.
	Delay time.Duration
	Slow  func(key string) time.Duration
	// LastModified is that of all objects.
	LastModified time.Time

	Listings, Reads atomic.Int64 // requests so far
}

// ETag is that of all objects.
const ETag = "7D73E1052AF595535DE90994F4C3E6D5"

type contents struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

type commonPrefix struct{ Prefix string }

type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string         `xml:",omitempty"`
	Contents              []contents     `xml:",omitempty"`
	CommonPrefixes        []commonPrefix `xml:",omitempty"`
}

// maxKeys is the size of a page.
const maxKeys = 1000

// ServeHTTP answers a listing or a read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		s.Listings.Add(1)
		time.Sleep(s.Delay)
		w.Header().Set("Content-Type", "application/xml")
		xml.NewEncoder(w).Encode(s.page(r.URL.Query())) //nolint:errcheck // the client sees what is missing
		return
	}
	s.Reads.Add(1)
	if s.Slow != nil {
		time.Sleep(s.Slow(key))
	} else {
		time.Sleep(s.Delay)
	}
	w.Header().Set("ETag", `"`+ETag+`"`)
	w.Write(s.Body) //nolint:errcheck // likewise
}

func (s *Server) page(query url.Values) (page listing) {
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := query.Get("continuation-token") // the last key or common prefix
	if after == "" {
		after = query.Get("start-after")
	}
	page.EncodingType = "url"
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	modified := s.LastModified.UTC().Format("2006-01-02T15:04:05.000Z")
	i := sort.Search(len(s.Keys), func(i int) bool { return s.Keys[i] >= prefix && s.Keys[i] > after })
	for n := 0; i < len(s.Keys) && strings.HasPrefix(s.Keys[i], prefix); n++ {
		if n == maxKeys {
			page.IsTruncated, page.NextContinuationToken = true, after
			return page
		}
		key := s.Keys[i]
		if at := strings.Index(key[len(prefix):], delimiter); delimiter != "" && at >= 0 {
			folder := key[:len(prefix)+at+len(delimiter)]
			page.CommonPrefixes = append(page.CommonPrefixes, commonPrefix{escape(folder)})
			i = sort.Search(len(s.Keys), func(i int) bool { return s.Keys[i] > folder && !strings.HasPrefix(s.Keys[i], folder) })
			after = folder + "\U0010ffff"
			continue
		}
		page.Contents = append(page.Contents, contents{escape(key), modified, `"` + ETag + `"`, 100, "Standard"})
		after = key
		i++
	}
	return page
}
