package ossfake

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// copySource reads x-oss-copy-source ("/bucket/key", URL-encoded), checks permission and conditions, and opens it. The
// caller closes the file.
func (s *Server) copySource(req *request) (metadata, *os.File, error) {
	value := req.Header.Get("x-oss-copy-source")
	raw, query, _ := strings.Cut(strings.TrimPrefix(value, "/"), "?")
	version, hasVersion := strings.CutPrefix(query, "versionId=")
	bucket, key, ok := strings.Cut(raw, "/")
	// The SDKs write a space as "+" here, as in a form.
	key, err := url.QueryUnescape(key)
	if !ok || err != nil || key == "" || query != "" && !hasVersion {
		return metadata{}, nil, errInvalidArgument("x-oss-copy-source", value, "The copy source must be /bucket/key, with the key URL-encoded.")
	}
	if err := s.requireBucket(bucket); err != nil {
		return metadata{}, nil, err
	}
	action := "oss:GetObject"
	if hasVersion {
		action = versionAction(action)
	}
	if err := s.authorize(req, action, bucket, key); err != nil {
		return metadata{}, nil, err
	}
	m, f, err := s.store.open(bucket, key, version)
	if errors.Is(err, errNotFound) {
		return metadata{}, nil, errNoSuchKey(key)
	}
	if err != nil {
		return metadata{}, nil, err
	}
	if !m.isReadable(req.now) {
		return metadata{}, nil, errors.Join(errInvalidObjectState(), f.Close())
	}
	conditions := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		conditions.Set(name, req.Header.Get("x-oss-copy-source-"+name))
	}
	if err := checkConditions(conditions, m); err != nil {
		return metadata{}, nil, errors.Join(err, f.Close())
	}
	return m, f, nil
}

func setSourceVersion(h http.Header, source metadata) {
	if source.VersionID != "" {
		h.Set("x-oss-copy-source-version-id", source.VersionID)
	}
}

type copyResult struct {
	XMLName      xml.Name `xml:"CopyObjectResult"`
	ETag         string   `xml:"ETag"`
	LastModified string   `xml:"LastModified"`
}

func (s *Server) copyObject(w http.ResponseWriter, req *request) error {
	permit, err := s.forbidOverwrite(req, req.Header.Get("x-oss-forbid-overwrite"))
	if err != nil {
		return err
	}
	source, f, err := s.copySource(req)
	if err != nil {
		return err
	}
	defer f.Close()
	if source.Type == typeAppendable {
		// https://www.alibabacloud.com/help/doc-detail/91099.htm: appendable objects cannot be copied.
		return errorf(http.StatusBadRequest, "OperationNotSupported", "", "An appendable object cannot be copied.")
	}
	m, err := s.newMetadata(req, req.Header)
	if err != nil {
		return err
	}
	switch directive := strings.ToUpper(req.Header.Get("x-oss-metadata-directive")); directive {
	case "", "COPY":
		m.ContentType, m.Header, m.User = source.ContentType, source.Header, source.User
	case "REPLACE":
	default:
		return errInvalidArgument("x-oss-metadata-directive", directive, "The metadata directive must be COPY or REPLACE.")
	}
	switch directive := strings.ToUpper(req.Header.Get("x-oss-tagging-directive")); directive {
	case "", "COPY":
		m.Tags = source.Tags
	case "REPLACE":
	default:
		return errInvalidArgument("x-oss-tagging-directive", directive, "The tagging directive must be COPY or REPLACE.")
	}
	st, err := s.store.stage(f)
	if err != nil {
		return err
	}
	m.CRC64, m.ETag = st.crc, st.etag()
	old, now, err := s.store.commit(req.bucket, req.key, st, m, s.guard(req.bucket, permit))
	if err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:CopyObject", req.key, now, sizeDelta(old, now))
	setStored(w.Header(), now)
	setSourceVersion(w.Header(), source)
	return writeXML(w, copyResult{ETag: `"` + now.ETag + `"`, LastModified: isoMillis(now.LastModified)})
}
