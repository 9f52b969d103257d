package ossfake

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of object tags (https://help.aliyun.com/zh/oss/developer-reference/putobjecttagging).
const (
	maxTags        = 10
	maxTagKeyLen   = 128
	maxTagValueLen = 256
)

// tagText matches what a tag's key and value may consist of.
var tagText = regexp.MustCompile(`^[\p{L}\p{N} +\-=._:/@]*$`)

type tag struct {
	Key   string `xml:"Key" json:"key"`
	Value string `xml:"Value" json:"value"`
}

func errInvalidTag(format string, args ...any) *apiError {
	return errorf(http.StatusBadRequest, "InvalidTag", "", format, args...)
}

func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return errorf(http.StatusBadRequest, "BadRequest", "", "Object tags cannot be greater than %d", maxTags)
	}
	var keys []string
	for _, t := range tags {
		if t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKeyLen || !tagText.MatchString(t.Key) {
			return errInvalidTag("The TagKey you have provided is invalid")
		}
		if utf8.RuneCountInString(t.Value) > maxTagValueLen || !tagText.MatchString(t.Value) {
			return errInvalidTag("The TagValue you have provided is invalid")
		}
		if slices.Contains(keys, t.Key) {
			return errInvalidTag("Cannot provide multiple Tags with the same key")
		}
		keys = append(keys, t.Key)
	}
	return nil
}

// parseTagging reads x-oss-tagging: k1=v1&k2=v2, URL-encoded.
func parseTagging(text string) ([]tag, error) {
	if text == "" {
		return nil, nil
	}
	var tags []tag
	for part := range strings.SplitSeq(text, "&") {
		key, value, _ := strings.Cut(part, "=")
		k, err1 := url.QueryUnescape(key)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, errInvalidArgument("x-oss-tagging", text, "The header x-oss-tagging must be URL-encoded, as in k1=v1&k2=v2.")
		}
		tags = append(tags, tag{k, v})
	}
	return tags, checkTags(tags)
}

// newTags returns the tags that an upload gives its object. They take a permission of their own.
func (s *Server) newTags(req *request, h http.Header) ([]tag, error) {
	text := h.Get("x-oss-tagging")
	if text == "" {
		return nil, nil
	}
	if err := s.authorize(req, "oss:PutObjectTagging", req.bucket, req.key); err != nil {
		return nil, err
	}
	return parseTagging(text)
}

type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

func (s *Server) getObjectTagging(w http.ResponseWriter, req *request) error {
	m, err := s.store.version(req.bucket, req.key, req.query.get("versionId"))
	if err != nil {
		return err
	}
	setVersion(w.Header(), m)
	return writeXML(w, tagging{Tags: m.Tags})
}

func (s *Server) putObjectTagging(w http.ResponseWriter, req *request) error {
	var in tagging
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	return s.setTags(w, req, http.StatusOK, in.Tags)
}

func (s *Server) deleteObjectTagging(w http.ResponseWriter, req *request) error {
	return s.setTags(w, req, http.StatusNoContent, nil)
}

func (s *Server) setTags(w http.ResponseWriter, req *request, status int, tags []tag) error {
	m, err := s.store.update(req.bucket, req.key, req.query.get("versionId"), func(m *metadata) error {
		m.Tags = tags
		return nil
	})
	if err != nil {
		return err
	}
	setVersion(w.Header(), m)
	w.WriteHeader(status)
	return nil
}

func (s *Server) getBucketTags(w http.ResponseWriter, req *request) error {
	return writeXML(w, tagging{Tags: sortedTags(s.Bucket(req.bucket).Tags)})
}

// sortedTags lists tags by their keys.
func sortedTags(tags map[string]string) (out []tag) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag{key, tags[key]})
	}
	return out
}

// maxBucketTags is how many tags a bucket may have.
const maxBucketTags = 20

func (s *Server) putBucketTags(w http.ResponseWriter, req *request) error {
	var in tagging
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		if err := checkTags([]tag{t}); err != nil {
			return err
		}
		tags[t.Key] = t.Value
	}
	if len(in.Tags) > maxBucketTags || len(tags) < len(in.Tags) {
		return errInvalidTag("A bucket has at most %d tags, each with a key of its own", maxBucketTags)
	}
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.Tags = tags })
}

// deleteBucketTags removes all tags, or those whose keys the request lists.
func (s *Server) deleteBucketTags(w http.ResponseWriter, req *request) error {
	return s.changeBucket(w, req, http.StatusNoContent, func(b *BucketSettings) {
		left := maps.Clone(b.Tags)
		for key := range strings.SplitSeq(req.query.get("tagging"), ",") {
			delete(left, key)
		}
		if b.Tags = left; req.query.get("tagging") == "" {
			b.Tags = nil
		}
	})
}

// tagFilter is what ListBuckets asks of a bucket's tags: it must have all keys, each with its value unless the value is empty.
type tagFilter map[string]string

// tagPair matches one tag of a filter.
var tagPair = regexp.MustCompile(`^"([^"]*)":"([^"]*)"$`)

// parseTagFilter reads tag-key and tag-value, and tagging: "k1":"v1","k2":"v2".
func parseTagFilter(query parameters) (tagFilter, error) {
	wanted := tagFilter{}
	if key := query.get("tag-key"); key != "" {
		wanted[key] = query.get("tag-value")
	}
	text := query.get("tagging")
	if text == "" {
		return wanted, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		found := tagPair.FindStringSubmatch(part)
		if found == nil {
			return nil, errInvalidArgument("tagging", text, "The filter must be \"key\":\"value\", joined with commas.")
		}
		wanted[found[1]] = found[2]
	}
	return wanted, nil
}

func (f tagFilter) matches(tags map[string]string) bool {
	for key, value := range f {
		if got, ok := tags[key]; !ok || value != "" && got != value {
			return false
		}
	}
	return true
}
