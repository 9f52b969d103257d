package ossfake

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

type listEntry struct {
	Key          string `xml:"Key"`
	LastModified string `xml:"LastModified"`
	ETag         string `xml:"ETag"`
	Type         string `xml:"Type"`
	Size         int64  `xml:"Size"`
	StorageClass string `xml:"StorageClass"`
	Owner        *owner `xml:"Owner,omitempty"`
}

type commonPrefix struct {
	Prefix string `xml:"Prefix"`
}

// listResult is the answer of both versions of ListObjects; what belongs to one only is a pointer.
type listResult struct {
	XMLName               xml.Name       `xml:"ListBucketResult"`
	Name                  string         `xml:"Name"`
	Prefix                string         `xml:"Prefix"`
	Marker                *string        `xml:"Marker"`
	StartAfter            *string        `xml:"StartAfter"`
	ContinuationToken     *string        `xml:"ContinuationToken"`
	MaxKeys               int            `xml:"MaxKeys"`
	Delimiter             string         `xml:"Delimiter"`
	EncodingType          string         `xml:"EncodingType,omitempty"`
	IsTruncated           bool           `xml:"IsTruncated"`
	NextMarker            *string        `xml:"NextMarker"`
	NextContinuationToken *string        `xml:"NextContinuationToken"`
	KeyCount              *int           `xml:"KeyCount"`
	Contents              []listEntry    `xml:"Contents"`
	CommonPrefixes        []commonPrefix `xml:"CommonPrefixes"`
}

// maxKeys reads a limit of 1 to 1000, 100 if not given.
func maxKeys(req *request, name string) (int, error) {
	text := req.query.get(name)
	if text == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, errInvalidArgument(name, text, "Argument %s must be an integer between 1 and 1000.", name)
	}
	return n, nil
}

// keyEncoder applies encoding-type, which keeps characters that XML 1.0 cannot hold out of the answer.
func keyEncoder(req *request) (func(string) string, error) {
	switch t := req.query.get("encoding-type"); t {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return func(s string) string { return percentEncode(s, "/") }, nil
	default:
		return nil, errInvalidArgument("encoding-type", t, "Invalid Encoding Method specified in Request: only url is known.")
	}
}

// listObjects serves ListObjects (V1) and, with list-type=2, ListObjectsV2.
func (s *Server) listObjects(w http.ResponseWriter, req *request) error {
	q := req.query
	limit, err := maxKeys(req, "max-keys")
	if err != nil {
		return err
	}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	v2 := q.get("list-type") == "2"
	prefix, delimiter := q.get("prefix"), q.get("delimiter")
	after := q.get("marker")
	if v2 {
		after = q.get("start-after")
		if token := q.get("continuation-token"); token != "" {
			last, err := base64.StdEncoding.DecodeString(token)
			if err != nil {
				return errInvalidArgument("continuation-token", token, "The continuation token is not one that this bucket gave out.")
			}
			after = string(last)
		}
	}
	page, err := s.list(req.bucket, prefix, delimiter, after, limit)
	if err != nil {
		return err
	}

	out := listResult{
		Name: req.bucket, Prefix: encode(prefix), MaxKeys: limit, Delimiter: encode(delimiter),
		EncodingType: q.get("encoding-type"), IsTruncated: page.truncated,
	}
	withOwner := !v2 || q.get("fetch-owner") == "true"
	for _, m := range page.objects {
		e := listEntry{
			Key: encode(m.Key), LastModified: isoMillis(m.LastModified), ETag: `"` + m.ETag + `"`, Type: m.Type, Size: m.Size, StorageClass: "Standard",
		}
		if withOwner {
			e.Owner = &theOwner
		}
		out.Contents = append(out.Contents, e)
	}
	for _, p := range page.prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(p)})
	}
	if v2 {
		count := len(page.objects) + len(page.prefixes)
		out.KeyCount = &count
		if q.has("start-after") {
			startAfter := encode(q.get("start-after"))
			out.StartAfter = &startAfter
		}
		if q.has("continuation-token") {
			token := q.get("continuation-token")
			out.ContinuationToken = &token
		}
		if page.truncated {
			token := base64.StdEncoding.EncodeToString([]byte(page.last))
			out.NextContinuationToken = &token
		}
	} else {
		marker := encode(q.get("marker"))
		out.Marker = &marker
		if page.truncated {
			next := encode(page.last)
			out.NextMarker = &next
		}
	}
	return writeXML(w, out)
}

type listPage struct {
	objects   []metadata
	prefixes  []string
	truncated bool
	// last is the last key or common prefix of the page.
	last string
}

// list returns up to limit objects and common prefixes after a key.
func (s *Server) list(bucket, prefix, delimiter, after string, limit int) (listPage, error) {
	var page listPage
	var failed error
	from := after
	if after != "" {
		// The next possible key; a marker that is a common prefix also skips everything in it.
		from = after + "\x00"
		if delimiter != "" && strings.HasSuffix(after, delimiter) && strings.HasPrefix(after, prefix) && after != prefix {
			from = successor(after)
		}
	}
	err := s.store.scan(bucket, prefix, from, func(key string) (string, bool) {
		full := len(page.objects)+len(page.prefixes) == limit
		if delimiter != "" {
			if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
				if full {
					page.truncated = true
					return "", false
				}
				common := key[:len(prefix)+i+len(delimiter)]
				page.prefixes, page.last = append(page.prefixes, common), common
				return successor(common), true
			}
		}
		m, err := s.store.stat(bucket, key)
		if errors.Is(err, errNotFound) {
			// Gone since the folder was read, or an unfinished copy.
			return "", true
		}
		if err != nil {
			failed = err
			return "", false
		}
		if full {
			page.truncated = true
			return "", false
		}
		page.objects, page.last = append(page.objects, m), key
		return "", true
	})
	return page, errors.Join(err, failed)
}

// successor returns a string after every string that starts with p and before every other that follows p. Keys are UTF-8,
// which has no byte 0xff.
func successor(p string) string { return p + "\xff" }
