package ossfake

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
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
var storedHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}

// newMetadata reads an upload's metadata from its headers, or from the fields of its form.
func (s *Server) newMetadata(req *request, h http.Header) (metadata, error) {
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
	encryption, err := s.encryption(req, h)
	if err != nil {
		return metadata{}, err
	}
	if encryption.Algorithm != "" {
		m.Encryption = &encryption
	}
	if m.StorageClass, err = s.storageClass(req.bucket, h); err != nil {
		return metadata{}, err
	}
	if m.ACL, err = s.objectACL(req.bucket, h.Get("x-oss-object-acl")); err != nil {
		return metadata{}, err
	}
	m.Tags, err = s.newTags(req, h)
	return m, err
}

// setVersion writes the header that names a version, which objects from before versioning do not have.
func setVersion(h http.Header, m metadata) {
	if m.VersionID != "" {
		h.Set("x-oss-version-id", m.VersionID)
	}
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
			with("CalculatedDigest", st.contentMD5())
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
	if s.Bucket(req.bucket).Versioning != "" {
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
	if req.Header.Get("If-Modified-Since") != "" {
		return errorf(http.StatusNotImplemented, "NotImplemented", "", "A header you provided implies functionality that is not implemented.").with("Header", "If-Modified-Since")
	}
	m, err := s.newMetadata(req, req.Header)
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
	old, now, err := s.store.commit(req.bucket, req.key, st, m, s.guard(req.bucket, permit))
	if err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:PutObject", req.key, now, sizeDelta(old, now))
	h := w.Header()
	setStored(h, now)
	h.Set("Content-MD5", st.contentMD5())
	w.WriteHeader(http.StatusOK)
	return nil
}

func sizeDelta(old *metadata, now metadata) int64 {
	if old == nil {
		return now.Size
	}
	return now.Size - old.Size
}

// setETag writes the header in the service's spelling.
func setETag(h http.Header, etag string) { h["ETag"] = []string{`"` + etag + `"`} }

// setStored writes the headers with which every upload is answered.
func setStored(h http.Header, m metadata) {
	setETag(h, m.ETag)
	setCRC(h, m.CRC64)
	setVersion(h, m)
	setEncryption(h, m)
}

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
	if req.query.has("versionId") {
		e := errInvalidArgument("versionId", req.query.get("versionId"), "The versionId cannot be specified for an append.")
		e.ec = "0016-00000504"
		return e
	}
	m, err := s.newMetadata(req, req.Header)
	if err != nil {
		return err
	}
	if err := s.checkAppendable(req, m); err != nil {
		return err
	}
	chunk, err := s.receive(w, req)
	if err != nil {
		return err
	}
	now, err := s.store.append(req.bucket, req.key, position, chunk, m, func(existing *metadata) error {
		if existing.isArchived() {
			return errAppendToArchive()
		}
		return s.checkRetention(req.bucket, *existing)
	})
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
	setStored(h, now)
	h.Set("x-oss-next-append-position", strconv.FormatInt(now.Size, 10))
	w.WriteHeader(http.StatusOK)
	return nil
}

func errAppendToArchive() *apiError {
	return errorf(http.StatusBadRequest, "OperationNotSupported", "", "The operation is not supported for this resource: an archived object cannot be appended to.")
}

// checkAppendable refuses what no appendable object can have: a KMS key of one's own, and the cold archive classes
// (https://help.aliyun.com/zh/oss/developer-reference/appendobject). Of a bucket whose class is Archive it wants another class by
// header: the object could not be appended to a second time.
func (s *Server) checkAppendable(req *request, m metadata) error {
	switch {
	case m.Encryption != nil && m.Encryption.KMSKeyID != "":
		return errorf(http.StatusBadRequest, "InvalidEncryptionRequest", "", "The encryption request you specified is not valid: an appendable object cannot be encrypted with a KMS key ID.")
	case m.StorageClass == classColdArchive, m.StorageClass == classDeepColdArchive:
		e := errInvalidArgument("x-oss-storage-class", m.StorageClass, "Appendable object does not support the storage class %s.", m.StorageClass)
		e.ec = "0016-00000503"
		return e
	case m.StorageClass == classArchive && req.Header.Get("x-oss-storage-class") == "":
		return errAppendToArchive()
	}
	return nil
}

// writeObjectHeaders writes the headers that GetObject and HeadObject share.
func writeObjectHeaders(h http.Header, m metadata, now time.Time) {
	setStored(h, m)
	h.Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", m.ContentType)
	h.Set("Accept-Ranges", "bytes")
	h.Set("x-oss-object-type", m.Type)
	h.Set("x-oss-storage-class", m.StorageClass)
	if restore := m.restoreHeader(now); restore != "" {
		h.Set("x-oss-restore", restore)
	}
	if len(m.Tags) > 0 {
		h.Set("x-oss-tagging-count", strconv.Itoa(len(m.Tags)))
	}
	if sum, err := hex.DecodeString(m.ETag); err == nil && m.Type == typeNormal {
		h.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum))
	} else if m.ContentMD5 != "" {
		h.Set("Content-MD5", m.ContentMD5)
	}
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
	m, f, err := s.store.open(req.bucket, req.key, req.query.get("versionId"))
	if errors.Is(err, errNotFound) && req.Method == http.MethodGet && req.query.get("x-oss-process") != "" {
		return errorf(http.StatusNotFound, "NoSuchFile", "", "The specified file does not exist.").with("Key", req.key)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if req.Method == http.MethodGet && !m.isReadable(req.now) {
		return errInvalidObjectState()
	}
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
	writeObjectHeaders(h, m, req.now)
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

// getObjectMeta serves ?objectMeta: ETag, size and time only.
func (s *Server) getObjectMeta(w http.ResponseWriter, req *request) error {
	m, err := s.store.version(req.bucket, req.key, req.query.get("versionId"))
	if err != nil {
		return err
	}
	h := w.Header()
	setETag(h, m.ETag)
	setCRC(h, m.CRC64)
	setVersion(h, m)
	h.Set("Last-Modified", m.LastModified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
	if req.Method == http.MethodGet {
		// The length is the object's although no body follows, which only an answer to HEAD can say.
		h.Set("Content-Length", "0")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
