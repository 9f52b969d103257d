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
	Key          keyText `xml:"Key"`
	LastModified string  `xml:"LastModified"`
	ETag         string  `xml:"ETag"`
	Type         string  `xml:"Type"`
	Size         int64   `xml:"Size"`
	StorageClass string  `xml:"StorageClass"`
	RestoreInfo  string  `xml:"RestoreInfo,omitempty"`
	Owner        *owner  `xml:"Owner,omitempty"`
}

type commonPrefix struct {
	Prefix keyText `xml:"Prefix"`
}

// listResult is the answer of both versions of ListObjects; what belongs to one only is a pointer.
type listResult struct {
	XMLName               xml.Name       `xml:"ListBucketResult"`
	Name                  string         `xml:"Name"`
	Prefix                keyText        `xml:"Prefix"`
	Marker                *keyText       `xml:"Marker"`
	StartAfter            *keyText       `xml:"StartAfter"`
	ContinuationToken     *string        `xml:"ContinuationToken"`
	MaxKeys               int            `xml:"MaxKeys"`
	Delimiter             keyText        `xml:"Delimiter"`
	EncodingType          string         `xml:"EncodingType,omitempty"`
	IsTruncated           bool           `xml:"IsTruncated"`
	NextMarker            *keyText       `xml:"NextMarker"`
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

// pageOptions reads max-keys and encoding-type.
func pageOptions(req *request) (limit int, encode func(string) keyText, err error) {
	if limit, err = maxKeys(req, "max-keys"); err != nil {
		return 0, nil, err
	}
	encode, err = keyEncoder(req)
	return limit, encode, err
}

// keyEncoder applies encoding-type, which keeps characters that XML 1.0 cannot hold out of the answer.
func keyEncoder(req *request) (func(string) keyText, error) {
	switch t := req.query.get("encoding-type"); t {
	case "":
		return func(s string) keyText { return keyText(s) }, nil
	case "url":
		return func(s string) keyText { return keyText(percentEncode(s, "/")) }, nil
	default:
		return nil, errInvalidArgument("encoding-type", t, "Invalid Encoding Method specified in Request: only url is known.")
	}
}

// listObjects serves ListObjects (V1) and, with list-type=2, ListObjectsV2.
func (s *Server) listObjects(w http.ResponseWriter, req *request) error {
	q := req.query
	limit, encode, err := pageOptions(req)
	if err != nil {
		return err
	}
	v2 := q.get("list-type") == "2"
	prefix, delimiter := q.get("prefix"), q.get("delimiter")
	after := q.get("marker")
	if v2 {
		after = q.get("start-after")
		if token := q.get("continuation-token"); token != "" {
			last, err := base64.URLEncoding.DecodeString(token)
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
			Key: encode(m.Key), LastModified: isoMillis(m.LastModified), ETag: `"` + m.ETag + `"`, Type: m.Type, Size: m.Size, StorageClass: m.StorageClass,
			RestoreInfo: m.restoreHeader(req.now),
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
			token := base64.URLEncoding.EncodeToString([]byte(page.last))
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

// commonPrefixOf returns the common prefix into which a delimiter folds a key, empty if it does not.
func commonPrefixOf(key, prefix, delimiter string) string {
	if i := strings.Index(key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
		return key[:len(prefix)+i+len(delimiter)]
	}
	return ""
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
		if common := commonPrefixOf(key, prefix, delimiter); common != "" {
			if full {
				page.truncated = true
				return "", false
			}
			page.prefixes, page.last = append(page.prefixes, common), common
			return successor(common), true
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

type versionEntry struct {
	XMLName      xml.Name
	Key          keyText `xml:"Key"`
	VersionID    string  `xml:"VersionId"`
	IsLatest     bool    `xml:"IsLatest"`
	LastModified string  `xml:"LastModified"`
	ETag         string  `xml:"ETag,omitempty"`
	Type         string  `xml:"Type,omitempty"`
	Size         *int64  `xml:"Size"`
	StorageClass string  `xml:"StorageClass,omitempty"`
	RestoreInfo  string  `xml:"RestoreInfo,omitempty"`
	Owner        owner   `xml:"Owner"`
}

type listVersionsResult struct {
	XMLName             xml.Name       `xml:"ListVersionsResult"`
	Name                string         `xml:"Name"`
	Prefix              keyText        `xml:"Prefix"`
	KeyMarker           keyText        `xml:"KeyMarker"`
	VersionIDMarker     string         `xml:"VersionIdMarker"`
	NextKeyMarker       keyText        `xml:"NextKeyMarker,omitempty"`
	NextVersionIDMarker string         `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int            `xml:"MaxKeys"`
	Delimiter           keyText        `xml:"Delimiter"`
	EncodingType        string         `xml:"EncodingType,omitempty"`
	IsTruncated         bool           `xml:"IsTruncated"`
	Versions            []versionEntry `xml:",any"`
	CommonPrefixes      []commonPrefix `xml:"CommonPrefixes"`
}

// listObjectVersions serves GET ?versions: all versions and delete markers, by key and newest first.
func (s *Server) listObjectVersions(w http.ResponseWriter, req *request) error {
	q := req.query
	limit, encode, err := pageOptions(req)
	if err != nil {
		return err
	}
	prefix, delimiter, keyMarker, idMarker := q.get("prefix"), q.get("delimiter"), q.get("key-marker"), q.get("version-id-marker")
	if idMarker != "" && keyMarker == "" {
		return errInvalidArgument("version-id-marker", idMarker, "A version-id marker cannot be specified without a key marker.")
	}
	keys, err := s.allKeys(req.bucket)
	if err != nil {
		return err
	}
	out := listVersionsResult{
		Name: req.bucket, Prefix: encode(prefix), KeyMarker: encode(keyMarker), VersionIDMarker: idMarker, MaxKeys: limit,
		Delimiter: encode(delimiter), EncodingType: q.get("encoding-type"),
	}
	count := 0
	// room counts an entry of the page, or ends the page before it.
	room := func(key, id string) bool {
		if out.IsTruncated = count == limit; out.IsTruncated {
			return false
		}
		count++
		out.NextKeyMarker, out.NextVersionIDMarker = encode(key), id
		return true
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) || key < keyMarker || key == keyMarker && idMarker == "" || out.IsTruncated {
			continue
		}
		if common := commonPrefixOf(key, prefix, delimiter); common != "" {
			last := len(out.CommonPrefixes) - 1
			if common != keyMarker && (last < 0 || out.CommonPrefixes[last].Prefix != encode(common)) && room(common, "") {
				out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(common)})
			}
			continue
		}
		versions, err := s.store.allVersions(req.bucket, key)
		if err != nil {
			return err
		}
		passed := key != keyMarker // the versions up to the marker were on the page before
		for n, m := range versions {
			if !passed {
				passed = m.versionID() == idMarker
				continue
			}
			if !room(key, m.versionID()) {
				break
			}
			e := versionEntry{
				XMLName: xml.Name{Local: "DeleteMarker"}, Key: encode(key), VersionID: m.versionID(), IsLatest: n == 0,
				LastModified: isoMillis(m.LastModified), Owner: theOwner,
			}
			if !m.DeleteMarker {
				e.XMLName.Local = "Version"
				e.ETag, e.Type, e.Size, e.StorageClass = `"`+m.ETag+`"`, m.Type, &m.Size, m.StorageClass
				e.RestoreInfo = m.restoreHeader(req.now)
			}
			out.Versions = append(out.Versions, e)
		}
	}
	if !out.IsTruncated {
		out.NextKeyMarker, out.NextVersionIDMarker = "", ""
	}
	return writeXML(w, out)
}

type liveChannels struct {
	XMLName     xml.Name `xml:"ListLiveChannelResult"`
	Prefix      string   `xml:"Prefix"`
	Marker      string   `xml:"Marker"`
	MaxKeys     int      `xml:"MaxKeys"`
	IsTruncated bool     `xml:"IsTruncated"`
}

// listLiveChannels answers that there are none, which programs ask before they delete a bucket: none can be made here.
func (s *Server) listLiveChannels(w http.ResponseWriter, req *request) error {
	limit, err := maxKeys(req, "max-keys")
	if err != nil {
		return err
	}
	return writeXML(w, liveChannels{Prefix: req.query.get("prefix"), Marker: req.query.get("marker"), MaxKeys: limit})
}
