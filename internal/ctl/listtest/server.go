// Package listtest is an object store that lists and serves any number of objects quickly, for tests and measurements of what
// goes through a bucket. It checks no signature, stores nothing, and knows ListObjectsV2 and GetObject only.
package listtest

import (
	"cmp"
	"encoding/base64"
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
	// PageSize is how many keys and common prefixes a listing returns at a time; 0 means 1000.
	PageSize int
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
	Name                  string
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string         `xml:",omitempty"`
	Contents              []contents     `xml:",omitempty"`
	CommonPrefixes        []commonPrefix `xml:",omitempty"`
}

// ServeHTTP answers a listing or a read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		s.Listings.Add(1)
		time.Sleep(s.Delay)
		w.Header().Set("Content-Type", "application/xml")
		xml.NewEncoder(w).Encode(s.page(bucket, r.URL.Query())) //nolint:errcheck // the client sees what is missing
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

func (s *Server) page(bucket string, query url.Values) (page listing) {
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := query.Get("start-after")
	if token := query.Get("continuation-token"); token != "" {
		last, _ := base64.URLEncoding.DecodeString(token) // the key or common prefix before
		after = string(last)
	}
	page.Name, page.EncodingType = bucket, "url"
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	modified := s.LastModified.UTC().Format("2006-01-02T15:04:05.000Z")
	i := sort.Search(len(s.Keys), func(i int) bool { return s.Keys[i] >= prefix && s.Keys[i] > after })
	for n := 0; i < len(s.Keys) && strings.HasPrefix(s.Keys[i], prefix); n++ {
		if n == cmp.Or(s.PageSize, 1000) {
			page.IsTruncated, page.NextContinuationToken = true, base64.URLEncoding.EncodeToString([]byte(after))
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
