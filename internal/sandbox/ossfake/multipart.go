package ossfake

import (
	"bytes"
	"crypto/md5" //nolint:gosec // The ETag of a multipart object is made of MD5 sums by definition.
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxPartNumber = 10000
	// Every part but the last must be this large.
	minPartSize = 100 << 10
)

// upload is a multipart upload that is not completed, kept in uploads/<id>/upload.json.
type upload struct {
	ID        string    `json:"id"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	Initiated time.Time `json:"initiated"`
	Metadata  metadata  `json:"metadata"`
	// Sequential says that parts come in order, in which case the service knows the MD5 of the whole.
	Sequential bool `json:"sequential,omitempty"`
}

// part is one part, kept as uploads/<id>/<number> with <number>.json beside it.
type part struct {
	Number       int       `json:"number"`
	Size         int64     `json:"size"`
	ETag         string    `json:"etag"`
	CRC64        uint64    `json:"crc64,string"`
	LastModified time.Time `json:"lastModified"`
}

func uploadPath(id string) string { return uploadDir + "/" + id }

func partPath(id string, number int) string { return fmt.Sprintf("%s/%05d", uploadPath(id), number) }

func (st *store) writeJSON(p string, doc any) error {
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	staged, err := st.stage(bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer st.discard(staged.path)
	return st.rename(staged.path, p)
}

func (st *store) readJSON(p string, doc any) error {
	data, err := st.root.ReadFile(p)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, doc)
}

// noSuchUploadEC are the error numbers of NoSuchUpload, which differ by operation.
var noSuchUploadEC = map[string]string{
	"UploadPart": "0042-00000104", "UploadPartCopy": "0042-00000311", "CompleteMultipartUpload": "0042-00000201",
	"AbortMultipartUpload": "0042-00000002", "ListParts": "0042-00000002",
}

func errNoSuchUpload(operation, id string) error {
	return errorf(http.StatusNotFound, "NoSuchUpload", noSuchUploadEC[operation],
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.").with("UploadId", id)
}

// findUpload returns the upload that a request names. IDs are checked before they become a path.
func (s *Server) findUpload(req *request, operation string) (upload, error) {
	id := req.query.get("uploadId")
	if len(id) != 32 || strings.Trim(id, "0123456789ABCDEF") != "" {
		return upload{}, errNoSuchUpload(operation, id)
	}
	var u upload
	err := s.store.readJSON(uploadPath(id)+"/upload.json", &u)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (u.Bucket != req.bucket || u.Key != req.key) {
		return upload{}, errNoSuchUpload(operation, id)
	}
	return u, err
}

type initiateResult struct {
	XMLName      xml.Name `xml:"InitiateMultipartUploadResult"`
	EncodingType string   `xml:"EncodingType,omitempty"`
	Bucket       string   `xml:"Bucket"`
	Key          keyText  `xml:"Key"`
	UploadID     string   `xml:"UploadId"`
}

func (s *Server) initiateMultipartUpload(w http.ResponseWriter, req *request) error {
	m, err := s.newMetadata(req, req.Header)
	if err != nil {
		return err
	}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	permit, err := s.forbidOverwrite(req, req.Header.Get("x-oss-forbid-overwrite"))
	if err != nil {
		return err
	}
	if permit != nil {
		existing, err := s.store.stat(req.bucket, req.key)
		if err == nil {
			if err := permit(&existing); err != nil {
				return err
			}
		} else if !errors.Is(err, errNotFound) {
			return err
		}
	}
	m.Type = typeMultipart
	u := upload{ID: newUploadID(), Bucket: req.bucket, Key: req.key, Initiated: s.cfg.Now().UTC(), Metadata: m, Sequential: req.query.has("sequential")}
	if err := s.store.writeJSON(uploadPath(u.ID)+"/upload.json", u); err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:InitiateMultipartUpload", req.key, metadata{ContentType: m.ContentType}, 0)
	setEncryption(w.Header(), m)
	return writeXML(w, initiateResult{EncodingType: req.query.get("encoding-type"), Bucket: req.bucket, Key: encode(req.key), UploadID: u.ID})
}

// newUploadID makes an ID of the service's form: 32 upper-case hexadecimal digits.
func newUploadID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

type copyPartResult struct {
	XMLName      xml.Name `xml:"CopyPartResult"`
	ETag         string   `xml:"ETag"`
	LastModified string   `xml:"LastModified"`
}

// uploadPart serves UploadPart and UploadPartCopy.
func (s *Server) uploadPart(w http.ResponseWriter, req *request) error {
	number, err := strconv.Atoi(req.query.get("partNumber"))
	if err != nil || number < 1 || number > maxPartNumber {
		return errInvalidArgument("partNumber", req.query.get("partNumber"), "Part number must be an integer between 1 and %d, inclusive.", maxPartNumber)
	}
	isCopy := req.Header.Get("x-oss-copy-source") != ""
	operation := "UploadPart"
	if isCopy {
		operation = "UploadPartCopy"
	}
	u, err := s.findUpload(req, operation)
	if err != nil {
		return err
	}
	var st *staged
	if isCopy {
		st, err = s.stagePartCopy(w, req)
	} else {
		st, err = s.receive(w, req)
	}
	if err != nil {
		return err
	}
	defer s.store.discard(st.path)
	p := part{Number: number, Size: st.size, ETag: st.etag(), CRC64: st.crc, LastModified: s.cfg.Now().UTC()}
	if err := s.storePart(operation, u, st, p); err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:"+operation, req.key, metadata{}, 0)
	setETag(w.Header(), p.ETag)
	setCRC(w.Header(), p.CRC64)
	w.Header().Set("Content-MD5", st.contentMD5())
	if isCopy {
		return writeXML(w, copyPartResult{ETag: `"` + p.ETag + `"`, LastModified: isoMillis(p.LastModified)})
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) stagePartCopy(w http.ResponseWriter, req *request) (*staged, error) {
	source, f, err := s.copySource(req)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	setSourceVersion(w.Header(), source)
	h := http.Header{"X-Oss-Range-Behavior": {"standard"}}
	h.Set("Range", req.Header.Get("x-oss-copy-source-range"))
	start, length, _, err := parseRange(h, source.Size)
	if err != nil {
		return nil, err
	}
	return s.store.stage(io.NewSectionReader(f, start, length))
}

// storePart moves a part into its upload, unless the upload ended meanwhile.
func (s *Server) storePart(operation string, u upload, st *staged, p part) error {
	l := s.store.lock("upload", u.ID)
	l.Lock()
	defer l.Unlock()
	if _, err := s.store.root.Stat(uploadPath(u.ID) + "/upload.json"); err != nil {
		return errNoSuchUpload(operation, u.ID)
	}
	if err := s.store.rename(st.path, partPath(u.ID, p.Number)); err != nil {
		return err
	}
	return s.store.writeJSON(partPath(u.ID, p.Number)+".json", p)
}

// parts returns the parts of an upload in order of their numbers.
func (s *Server) parts(id string) ([]part, error) {
	entries, err := s.store.readDir(uploadPath(id))
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, e := range entries {
		if e.Name() == "upload.json" || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		var p part
		if err := s.store.readJSON(uploadPath(id)+"/"+e.Name(), &p); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int { return a.Number - b.Number })
	return parts, nil
}

type completeRequest struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []struct {
		PartNumber int    `xml:"PartNumber"`
		ETag       string `xml:"ETag"`
	} `xml:"Part"`
}

type completeResult struct {
	XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
	EncodingType string   `xml:"EncodingType,omitempty"`
	Location     string   `xml:"Location"`
	Bucket       string   `xml:"Bucket"`
	Key          keyText  `xml:"Key"`
	ETag         string   `xml:"ETag"`
}

func (s *Server) completeMultipartUpload(w http.ResponseWriter, req *request) error {
	var in completeRequest
	all := strings.EqualFold(req.Header.Get("x-oss-complete-all"), "yes")
	hasBody, err := readOptionalXML(w, req, &in)
	switch {
	case all && hasBody:
		e := errInvalidArgument("x-oss-complete-all", "yes", "Should not speficy both complete all header and http body.")
		e.ec = "0042-00000216"
		return e
	case err != nil:
		return err
	case !all && !hasBody:
		return errMalformedXML()
	}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	permit, err := s.forbidOverwrite(req, req.Header.Get("x-oss-forbid-overwrite"))
	if err != nil {
		return err
	}
	old, now, err := s.assemble(req, in, all, permit)
	if err != nil {
		return err
	}
	s.emit(req, "ObjectCreated:CompleteMultipartUpload", req.key, now, sizeDelta(old, now))
	setStored(w.Header(), now)
	return writeXML(w, completeResult{
		EncodingType: req.query.get("encoding-type"), Location: "http://" + req.Host + "/" + req.bucket + "/" + percentEncode(req.key, "/"),
		Bucket: req.bucket, Key: encode(req.key), ETag: `"` + now.ETag + `"`,
	})
}

// assemble makes the object of the chosen parts and ends the upload.
func (s *Server) assemble(req *request, in completeRequest, all bool, permit func(*metadata) error) (*metadata, metadata, error) {
	u, err := s.findUpload(req, "CompleteMultipartUpload")
	if err != nil {
		return nil, metadata{}, err
	}
	// The same lock may belong to the object's key, so it is not held while the object is committed.
	chosen, err := func() ([]part, error) {
		l := s.store.lock("upload", u.ID)
		l.RLock()
		defer l.RUnlock()
		stored, err := s.parts(u.ID)
		if err != nil || all {
			return stored, err
		}
		return chooseParts(stored, in)
	}()
	if err != nil {
		return nil, metadata{}, err
	}
	var paths []string
	sums := md5.New()
	for i, p := range chosen {
		if p.Size < minPartSize && i < len(chosen)-1 {
			return nil, metadata{}, errorf(http.StatusBadRequest, "EntityTooSmall", "", "Your proposed upload smaller than the minimum allowed size.").
				with("MinSizeAllowed", strconv.Itoa(minPartSize)).with("PartNumber", strconv.Itoa(p.Number))
		}
		// Unlike S3's, the sum is over the ETags as they are written.
		sums.Write([]byte(p.ETag))
		paths = append(paths, partPath(u.ID, p.Number))
	}
	whole, err := s.store.join(paths...)
	if err != nil {
		return nil, metadata{}, err
	}
	m := u.Metadata
	if acl := req.Header.Get("x-oss-object-acl"); acl != "" {
		if m.ACL, err = s.objectACL(req.bucket, acl); err != nil {
			s.store.discard(whole.path)
			return nil, metadata{}, err
		}
	}
	if u.Sequential {
		m.ContentMD5 = whole.contentMD5()
	}
	m.CRC64 = whole.crc
	m.ETag = strings.ToUpper(hex.EncodeToString(sums.Sum(nil))) + "-" + strconv.Itoa(len(chosen))
	old, now, err := s.store.commit(req.bucket, req.key, whole, m, s.guard(req.bucket, permit))
	if err != nil {
		return nil, metadata{}, err
	}
	return old, now, s.endUpload(u.ID)
}

// chooseParts checks the list of a client against what was uploaded.
func chooseParts(stored []part, in completeRequest) ([]part, error) {
	byNumber := map[int]part{}
	for _, p := range stored {
		byNumber[p.Number] = p
	}
	var chosen []part
	for i, want := range in.Parts {
		if i > 0 && want.PartNumber <= in.Parts[i-1].PartNumber {
			return nil, errorf(http.StatusBadRequest, "InvalidPartOrder", "", "The list of parts was not in ascending order. Parts list must specified in order by part number.")
		}
		p, ok := byNumber[want.PartNumber]
		if !ok || !strings.EqualFold(strings.Trim(want.ETag, `"`), p.ETag) {
			return nil, errorf(http.StatusBadRequest, "InvalidPart", "", "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.").
				with("PartNumber", strconv.Itoa(want.PartNumber))
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

func (s *Server) endUpload(id string) error {
	l := s.store.lock("upload", id)
	l.Lock()
	defer l.Unlock()
	return s.store.root.RemoveAll(uploadPath(id))
}

func (s *Server) abortMultipartUpload(w http.ResponseWriter, req *request) error {
	u, err := s.findUpload(req, "AbortMultipartUpload")
	if err != nil {
		return err
	}
	if err := s.endUpload(u.ID); err != nil {
		return err
	}
	s.emit(req, "ObjectRemoved:AbortMultipartUpload", req.key, metadata{}, 0)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
