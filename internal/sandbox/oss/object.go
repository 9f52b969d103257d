package oss

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// Largest body of PutObject, AppendObject and a part.
	maxPutSize = 5 << 30
	// All x-oss-meta-* headers together (https://help.aliyun.com/zh/oss/user-guide/0011-00000002).
	maxUserMetadata = 8 << 10
	// Largest XML document accepted.
	maxXMLSize = 4 << 20
)

// storedHeaders are kept with an object and sent back with it.
var storedHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires", "x-oss-server-side-encryption"}

// newMetadata reads an upload's metadata from its headers.
func newMetadata(h http.Header) (metadata, error) {
	m := metadata{Type: typeNormal, ContentType: h.Get("Content-Type")}
	if m.ContentType == "" {
		m.ContentType = "application/octet-stream"
	}
	for _, name := range storedHeaders {
		if v := h.Get(name); v != "" {
			if m.Header == nil {
				m.Header = map[string]string{}
			}
			m.Header[name] = v
		}
	}
	size := 0
	for name, values := range h {
		lower := strings.ToLower(name)
		rest, ok := strings.CutPrefix(lower, "x-oss-meta-")
		if !ok || rest == "" {
			continue
		}
		if m.User == nil {
			m.User = map[string]string{}
		}
		m.User[rest] = strings.Join(values, ",")
		size += len(rest) + len(m.User[rest])
	}
	if size > maxUserMetadata {
		e := errInvalidArgument("", "", "Your metadata headers exceed the maximum allowed metadata size of %d bytes.", maxUserMetadata)
		e.ec = "0011-00000002"
		return metadata{}, e
	}
	if h.Get("x-oss-callback") != "" {
		return metadata{}, errNotImplemented("x-oss-callback")
	}
	return m, nil
}

// receive stages the body of a request and checks it against Content-MD5.
func (s *Server) receive(w http.ResponseWriter, req *request) (*staged, error) {
	if req.ContentLength > maxPutSize {
		return nil, errorf(http.StatusBadRequest, "EntityTooLarge", "", "Your proposed upload exceeds the maximum allowed size.")
	}
	var want []byte
	if sum := req.Header.Get("Content-MD5"); sum != "" {
		var err error
		if want, err = base64.StdEncoding.DecodeString(sum); err != nil || len(want) != 16 {
			return nil, errorf(http.StatusBadRequest, "InvalidDigest", "", "The Content-MD5 you specified is not valid.").with("Content-MD5", sum)
		}
	}
	st, err := s.store.stage(http.MaxBytesReader(w, req.Body, maxPutSize))
	if err != nil {
		return nil, err
	}
	if want != nil && !bytes.Equal(want, st.md5[:]) {
		s.store.discard(st.path)
		return nil, errorf(http.StatusBadRequest, "InvalidDigest", "",
			"The Content-MD5 you specified did not match what we received.").
			with("ExpectedDigest", base64.StdEncoding.EncodeToString(want)).
			with("CalculatedDigest", base64.StdEncoding.EncodeToString(st.md5[:]))
	}
	return st, nil
}

// forbidOverwrite returns the check behind x-oss-forbid-overwrite, which the service ignores while the bucket has
// versioning enabled or suspended.
func (s *Server) forbidOverwrite(req *request, value string) (func(*metadata) error, error) {
	switch value {
	case "", "false":
		return nil, nil
	case "true":
	default:
		e := errInvalidArgument("x-oss-forbid-overwrite", value, "The x-oss-forbid-overwrite header must be true or false.")
		e.ec = "0017-00000279"
		return nil, e
	}
	if s.versioningOf(req.bucket) != "" {
		return nil, nil
	}
	return func(existing *metadata) error {
		if existing == nil {
			return nil
		}
		return errorf(http.StatusConflict, "FileAlreadyExists", "0026-00000002",
			"The object you specified already exists and can not be overwritten.").with("Key", existing.Key)
	}, nil
}

func (s *Server) putObject(w http.ResponseWriter, req *request) error {
	if req.Header.Get("x-oss-copy-source") != "" {
		return s.copyObject(w, req)
	}
	m, err := newMetadata(req.Header)
	if err != nil {
		return err
	}
	permit, err := s.forbidOverwrite(req, req.Header.Get("x-oss-forbid-overwrite"))
	if err != nil {
		return err
	}
	st, err := s.receive(w, req)
	if err != nil {
		return err
	}
	m.ETag, m.CRC64 = st.etag(), st.crc
	old, now, err := s.store.commit(req.bucket, req.key, st, m, permit)
	if err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:PutObject", req.key, now, growth(old, now))
	h := w.Header()
	setETag(h, now.ETag)
	setCRC(h, now.CRC64)
	h.Set("Content-MD5", base64.StdEncoding.EncodeToString(st.md5[:]))
	w.WriteHeader(http.StatusOK)
	return nil
}

func growth(old *metadata, now metadata) int64 {
	if old == nil {
		return now.Size
	}
	return now.Size - old.Size
}

// setETag writes the header in the service's spelling.
func setETag(h http.Header, etag string) { h["ETag"] = []string{`"` + etag + `"`} }

func setCRC(h http.Header, crc uint64) {
	h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(crc, 10))
}

func (s *Server) appendObject(w http.ResponseWriter, req *request) error {
	text := req.query.get("position")
	position, err := strconv.ParseInt(text, 10, 64)
	if err != nil || position < 0 {
		e := errInvalidArgument("position", text, "The position must be a whole number, 0 or larger.")
		e.ec = "0016-00000501"
		return e
	}
	m, err := newMetadata(req.Header)
	if err != nil {
		return err
	}
	chunk, err := s.receive(w, req)
	if err != nil {
		return err
	}
	now, err := s.store.append(req.bucket, req.key, position, chunk, m)
	var pos *positionError
	switch {
	case errors.As(err, &pos):
		e := errorf(http.StatusConflict, "PositionNotEqualToLength", "0026-00000016", "Position is not equal to file length")
		e.header = map[string]string{"x-oss-next-append-position": strconv.FormatInt(pos.next, 10)}
		return e
	case errors.Is(err, errNotAppendable):
		return errorf(http.StatusConflict, "ObjectNotAppendable", "0026-00000015", "The object is not appendable")
	case err != nil:
		return err
	}
	s.emit(req, "ObjectCreated:AppendObject", req.key, now, chunk.size)
	h := w.Header()
	setETag(h, now.ETag)
	setCRC(h, now.CRC64)
	h.Set("x-oss-next-append-position", strconv.FormatInt(now.Size, 10))
	w.WriteHeader(http.StatusOK)
	return nil
}

// describe writes the headers that GetObject and HeadObject share.
func describe(h http.Header, m metadata) {
	setETag(h, m.ETag)
	h.Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", m.ContentType)
	h.Set("Accept-Ranges", "bytes")
	h.Set("x-oss-object-type", m.Type)
	h.Set("x-oss-storage-class", "Standard")
	setCRC(h, m.CRC64)
	for name, value := range m.Header {
		h.Set(name, value)
	}
	for name, value := range m.User {
		h.Set("x-oss-meta-"+name, value)
	}
	if m.Type == typeAppendable {
		h.Set("x-oss-next-append-position", strconv.FormatInt(m.Size, 10))
	}
}

// responseHeaders are the headers that a signed GET may set in the answer.
var responseHeaders = map[string]string{
	"response-content-type": "Content-Type", "response-content-language": "Content-Language", "response-expires": "Expires",
	"response-cache-control": "Cache-Control", "response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
}

// getObject serves GetObject and HeadObject.
func (s *Server) getObject(w http.ResponseWriter, req *request) error {
	m, f, err := s.store.open(req.bucket, req.key)
	if errors.Is(err, errNotFound) && req.Method == http.MethodGet && req.query.get("x-oss-process") != "" {
		return errorf(http.StatusNotFound, "NoSuchFile", "", "The specified file does not exist.").with("Key", req.key)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkConditions(req.Header, m); err != nil {
		if ae := (*apiError)(nil); errors.As(err, &ae) && ae.status == http.StatusNotModified {
			setETag(w.Header(), m.ETag)
			w.Header().Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
		}
		return err
	}
	if req.Method == http.MethodGet && req.query.get("x-oss-process") != "" {
		return s.processImage(w, req, m, f)
	}
	h := w.Header()
	describe(h, m)
	for _, p := range req.query {
		if name, ok := responseHeaders[p.name]; ok {
			h.Set(name, p.value)
		}
	}
	start, length, partial, err := parseRange(req.Header, m.Size)
	if err != nil {
		return err
	}
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(start, 10)+"-"+strconv.FormatInt(start+length-1, 10)+"/"+strconv.FormatInt(m.Size, 10))
	}
	w.WriteHeader(status)
	if req.Method == http.MethodHead {
		return nil
	}
	// The answer is under way; a client that went away is no fault of the server.
	_, _ = io.Copy(w, io.NewSectionReader(f, start, length))
	return nil
}

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

// parseRange reads the Range header. A range that does not fit is ignored and the whole object sent, as OSS does unless it is
// asked for standard behaviour (https://help.aliyun.com/zh/oss/developer-reference/getobject).
func parseRange(h http.Header, size int64) (start, length int64, partial bool, err error) {
	whole := func() (int64, int64, bool, error) { return 0, size, false, nil }
	spec, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	if !ok {
		return whole()
	}
	standard := h.Get("x-oss-range-behavior") == "standard"
	unsatisfiable := func() (int64, int64, bool, error) {
		if !standard {
			return whole()
		}
		e := errorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "", "The requested range cannot be satisfied.")
		e.header = map[string]string{"Content-Range": "bytes */" + strconv.FormatInt(size, 10)}
		return 0, 0, false, e
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok || strings.ContainsAny(spec, ", ") {
		return whole()
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return whole()
		}
		if n == 0 || size == 0 {
			return unsatisfiable()
		}
		n = min(n, size)
		return size - n, n, true, nil
	}
	start, err = strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 {
		return whole()
	}
	if start >= size {
		return unsatisfiable()
	}
	end := size - 1
	if last != "" {
		if end, err = strconv.ParseInt(last, 10, 64); err != nil || end < start {
			return whole()
		}
		if end >= size {
			if !standard {
				return whole()
			}
			end = size - 1
		}
	}
	return start, end - start + 1, true, nil
}

// getObjectMeta serves ?objectMeta: ETag, size and time only.
func (s *Server) getObjectMeta(w http.ResponseWriter, req *request) error {
	m, err := s.store.stat(req.bucket, req.key)
	if err != nil {
		return err
	}
	h := w.Header()
	setETag(h, m.ETag)
	setCRC(h, m.CRC64)
	h.Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
	if req.Method == http.MethodGet {
		// The length is the object's although no body follows, which only an answer to HEAD can say.
		h.Set("Content-Length", "0")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) getObjectACL(w http.ResponseWriter, req *request) error {
	if _, err := s.store.stat(req.bucket, req.key); err != nil {
		return err
	}
	return writeXML(w, aclDocument("default"))
}

func (s *Server) deleteObject(w http.ResponseWriter, req *request) error {
	m, err := s.store.remove(req.bucket, req.key)
	if err == nil {
		s.emit(req, "ObjectRemoved:DeleteObject", req.key, metadata{}, -m.Size)
	} else if !errors.Is(err, errNotFound) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key string `xml:"Key"`
	} `xml:"Object"`
}

type deleteResult struct {
	XMLName      xml.Name  `xml:"DeleteResult"`
	EncodingType string    `xml:"EncodingType,omitempty"`
	Deleted      []deleted `xml:"Deleted"`
}

type deleted struct {
	Key string `xml:"Key"`
}

// deleteObjects serves POST ?delete: up to 1,000 keys at once.
func (s *Server) deleteObjects(w http.ResponseWriter, req *request) error {
	var in deleteRequest
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > 1000 {
		return errMalformedXML()
	}
	for _, o := range in.Objects {
		if err := checkKey(o.Key); err != nil || o.Key == "" {
			return errMalformedXML()
		}
		if err := s.authorize(req, "oss:DeleteObject", req.bucket, o.Key); err != nil {
			return err
		}
	}
	out := deleteResult{EncodingType: req.query.get("encoding-type")}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	for _, o := range in.Objects {
		m, err := s.store.remove(req.bucket, o.Key)
		if err == nil {
			s.emit(req, "ObjectRemoved:DeleteObjects", o.Key, metadata{}, -m.Size)
		} else if !errors.Is(err, errNotFound) {
			return err
		}
		if !in.Quiet {
			out.Deleted = append(out.Deleted, deleted{encode(o.Key)})
		}
	}
	return writeXML(w, out)
}

// copySource reads x-oss-copy-source ("/bucket/key", URL-encoded), checks permission and conditions, and opens it. The
// caller closes the file.
func (s *Server) copySource(req *request) (metadata, *os.File, error) {
	value := req.Header.Get("x-oss-copy-source")
	raw, _, _ := strings.Cut(strings.TrimPrefix(value, "/"), "?")
	bucket, key, ok := strings.Cut(raw, "/")
	// The SDKs write a space as "+" here, as in a form.
	key, err := url.QueryUnescape(key)
	if !ok || err != nil || key == "" {
		return metadata{}, nil, errInvalidArgument("x-oss-copy-source", value, "The copy source must be /bucket/key, with the key URL-encoded.")
	}
	if err := s.requireBucket(bucket); err != nil {
		return metadata{}, nil, err
	}
	if err := s.authorize(req, "oss:GetObject", bucket, key); err != nil {
		return metadata{}, nil, err
	}
	m, f, err := s.store.open(bucket, key)
	if errors.Is(err, errNotFound) {
		return metadata{}, nil, errNoSuchKey(key)
	}
	if err != nil {
		return metadata{}, nil, err
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
	m := source
	switch directive := strings.ToUpper(req.Header.Get("x-oss-metadata-directive")); directive {
	case "", "COPY":
	case "REPLACE":
		replaced, err := newMetadata(req.Header)
		if err != nil {
			return err
		}
		m.ContentType, m.Header, m.User = replaced.ContentType, replaced.Header, replaced.User
	default:
		return errInvalidArgument("x-oss-metadata-directive", directive, "The metadata directive must be COPY or REPLACE.")
	}
	st, err := s.store.stage(f)
	if err != nil {
		return err
	}
	m.Type, m.Unreported, m.CRC64, m.ETag = typeNormal, false, st.crc, st.etag()
	old, now, err := s.store.commit(req.bucket, req.key, st, m, permit)
	if err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:CopyObject", req.key, now, growth(old, now))
	setETag(w.Header(), now.ETag)
	setCRC(w.Header(), now.CRC64)
	return writeXML(w, copyResult{ETag: `"` + now.ETag + `"`, LastModified: isoMillis(now.LastModified)})
}

// readXML reads the XML body of a request and checks it against Content-MD5.
func readXML(w http.ResponseWriter, req *request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxXMLSize))
	if err != nil {
		return &bodyError{err}
	}
	if sum := req.Header.Get("Content-MD5"); sum != "" && sum != contentMD5(body) {
		return errorf(http.StatusBadRequest, "InvalidDigest", "", "The Content-MD5 you specified did not match what we received.")
	}
	if err := xml.Unmarshal(body, into); err != nil {
		return errMalformedXML()
	}
	return nil
}

func writeXML(w http.ResponseWriter, doc any) error {
	body, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	body = append([]byte(xml.Header), body...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	// The answer is under way; a client that went away is no fault of the server.
	_, _ = w.Write(body)
	return nil
}
