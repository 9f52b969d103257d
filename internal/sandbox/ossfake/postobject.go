package ossfake

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// All form fields before the file together.
	maxFormFields = 1 << 20
	maxFormField  = 8 << 10
)

// isPostObject recognises an upload by an HTML form, which is signed in its fields.
func isPostObject(req *request) bool {
	mediaType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return err == nil && mediaType == "multipart/form-data" && req.Method == http.MethodPost &&
		req.bucket != "" && req.key == "" && req.Header.Get("Authorization") == "" && len(req.query) == 0
}

// form holds the fields before the file, with lower-case names.
type form struct {
	fields   map[string]string
	file     *multipart.Part
	fileName string
}

func errPostArgument(format string, args ...any) *apiError {
	return errorf(http.StatusBadRequest, "InvalidArgument", "", format, args...)
}

// readForm reads up to the file, which must come last
// (https://help.aliyun.com/zh/oss/developer-reference/postobject).
func readForm(req *request) (form, error) {
	f := form{fields: map[string]string{}}
	reader, err := req.MultipartReader()
	if err != nil {
		return form{}, errorf(http.StatusBadRequest, "MalformedPOSTRequest", "", "The body of your POST request is not well-formed multipart/form-data.")
	}
	total := 0
	for {
		p, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return form{}, errorf(http.StatusBadRequest, "IncorrectNumberOfFilesInPOSTRequest", "", "POST requires exactly one file upload per request.")
		}
		if err != nil {
			return form{}, errorf(http.StatusBadRequest, "MalformedPOSTRequest", "", "The body of your POST request is not well-formed multipart/form-data.")
		}
		name := strings.ToLower(p.FormName())
		if name == "file" {
			f.file, f.fileName = p, p.FileName()
			return f, nil
		}
		limit := maxFormField
		if name == "policy" || name == "x-oss-security-token" {
			limit = maxFormFields
		}
		value, err := io.ReadAll(io.LimitReader(p, int64(limit)+1))
		if err != nil {
			return form{}, &bodyError{err}
		}
		total += len(value)
		if len(value) > limit || total > maxFormFields {
			return form{}, errorf(http.StatusBadRequest, "FieldItemTooLong", "", "Your proposed upload field item length exceeds the maximum allowed length.").with("FieldName", name)
		}
		f.fields[name] = string(value)
	}
}

// postObject serves PostObject.
func (s *Server) postObject(w http.ResponseWriter, req *request) error {
	f, err := readForm(req)
	if err != nil {
		return err
	}
	if req.caller, err = s.authenticateForm(req, f); err != nil {
		return err
	}
	req.key = strings.ReplaceAll(f.fields["key"], "${filename}", f.fileName)
	if req.key == "" {
		return errPostArgument("Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.")
	}
	if err := checkKey(req.key); err != nil {
		return err
	}
	limits, err := s.checkFormPolicy(req, f)
	if err != nil {
		return err
	}
	if err := s.authorize(req, "oss:PutObject", req.bucket, req.key); err != nil {
		return err
	}
	if err := s.requireBucket(req.bucket); err != nil {
		return err
	}
	if f.fields["callback"] != "" {
		return errNotImplemented("callback")
	}
	now, err := s.storeForm(w, req, f, limits)
	if err != nil {
		return err
	}
	return s.answerForm(w, req, f, now)
}

// authenticateForm checks the signature over the policy field: V1 (Signature) or V4 (x-oss-signature).
func (s *Server) authenticateForm(req *request, f form) (Credentials, error) {
	policy := f.fields["policy"]
	if version, ok := f.fields["x-oss-signature-version"]; ok && version != v4Algorithm {
		return Credentials{}, errPostArgument("The x-oss-signature-version must be %s.", v4Algorithm)
	} else if ok {
		return s.authenticateFormV4(req, f, policy)
	}
	id, provided := f.fields["ossaccesskeyid"], f.fields["signature"]
	if id == "" && provided == "" {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "0003-00000001", "You have no right to access this object because of bucket acl.")
	}
	if id == "" || provided == "" || policy == "" {
		return Credentials{}, errPostArgument("Bucket POST must contain the fields OSSAccessKeyId, policy and Signature.")
	}
	cred, err := s.credentials(id, f.fields["x-oss-security-token"], req.now)
	if err != nil {
		return Credentials{}, err
	}
	if !equalSecret(v1Signature(cred.AccessKeySecret, policy), provided) {
		return Credentials{}, errSignature("0002-00000705", id, provided, policy, "")
	}
	return cred, nil
}

func (s *Server) authenticateFormV4(req *request, f form, policy string) (Credentials, error) {
	scope, ok := parseV4Scope(f.fields["x-oss-credential"])
	if !ok || policy == "" {
		return Credentials{}, errPostArgument("Bucket POST must contain the fields policy, x-oss-credential, x-oss-date and x-oss-signature.")
	}
	cred, err := s.credentials(scope.accessKeyID, f.fields["x-oss-security-token"], req.now)
	if err != nil {
		return Credentials{}, err
	}
	date, err := time.Parse(v4TimeFormat, f.fields["x-oss-date"])
	if err != nil || scope.day != date.Format(v4DayFormat) {
		return Credentials{}, errPostArgument("The x-oss-date must be a UTC time such as 20231203T121212Z on the day in the credential.")
	}
	if date.After(req.now.Add(maxClockSkew)) || req.now.Sub(date) > v4MaxExpires*time.Second {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "", "The x-oss-date must lie within the last 7 days.")
	}
	if scope.region != s.cfg.Region {
		e := errInvalidArgument("x-oss-credential", f.fields["x-oss-credential"], "The signing region in credential is invalid.")
		e.ec = "0002-00000715"
		return Credentials{}, e
	}
	want := hex.EncodeToString(hmacSHA256(v4SigningKey(cred.AccessKeySecret, scope), policy))
	if !equalSecret(want, f.fields["x-oss-signature"]) {
		return Credentials{}, errSignature("0002-00000705", scope.accessKeyID, f.fields["x-oss-signature"], policy, "")
	}
	return cred, nil
}

// sizeLimits is the content-length-range of a form policy; max is negative if there is none.
type sizeLimits struct{ min, max int64 }

func errFormPolicy(format string, args ...any) *apiError {
	return errorf(http.StatusForbidden, "AccessDenied", "", "Invalid according to Policy: "+format, args...)
}

// checkFormPolicy holds the fields of a form against the conditions in its signed policy.
func (s *Server) checkFormPolicy(req *request, f form) (sizeLimits, error) {
	limits := sizeLimits{0, -1}
	invalid := func() (sizeLimits, error) {
		return limits, errorf(http.StatusBadRequest, "InvalidPolicyDocument", "", "The content of the form does not meet the conditions specified in the policy document: it must be base64 of JSON with expiration and conditions.")
	}
	document, err := base64.StdEncoding.DecodeString(f.fields["policy"])
	if err != nil {
		return invalid()
	}
	var policy struct {
		Expiration string            `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	if err := json.Unmarshal(document, &policy); err != nil || policy.Conditions == nil {
		return invalid()
	}
	expires, err := time.Parse(time.RFC3339, policy.Expiration)
	if err != nil {
		return invalid()
	}
	if !req.now.Before(expires) {
		return limits, errFormPolicy("Policy expired.")
	}
	value := func(field string) string {
		field = strings.ToLower(strings.TrimPrefix(field, "$"))
		switch field {
		case "bucket":
			return req.bucket
		case "key":
			return req.key
		case "content-type":
			return f.contentType()
		}
		return f.fields[field]
	}
	for _, raw := range policy.Conditions {
		var exact map[string]string
		if json.Unmarshal(raw, &exact) == nil {
			for name, want := range exact {
				if value(name) != want {
					return limits, errFormPolicy("Policy Condition failed: [\"eq\", \"$%s\", …]", name)
				}
			}
			continue
		}
		var list []any
		if json.Unmarshal(raw, &list) != nil || len(list) != 3 {
			return invalid()
		}
		kind, _ := list[0].(string)
		switch field, _ := list[1].(string); strings.ToLower(kind) {
		case "eq", "starts-with":
			want, isText := list[2].(string)
			if !isText || field == "" {
				return invalid()
			}
			got := value(field)
			if strings.EqualFold(kind, "eq") && got != want || !strings.HasPrefix(got, want) {
				return limits, errFormPolicy("Policy Condition failed: [%q, %q, …]", kind, field)
			}
		case "in", "not-in":
			options, isList := list[2].([]any)
			if !isList {
				return invalid()
			}
			found := false
			for _, o := range options {
				found = found || o == any(value(field))
			}
			if found != strings.EqualFold(kind, "in") {
				return limits, errFormPolicy("Policy Condition failed: [%q, %q, …]", kind, field)
			}
		case "content-length-range":
			low, lowOK := list[1].(float64)
			high, highOK := list[2].(float64)
			if !lowOK || !highOK {
				return invalid()
			}
			limits = sizeLimits{int64(low), int64(high)}
		default:
			return invalid()
		}
	}
	return limits, nil
}

// contentType is that of the object: the form's x-oss-content-type, the form's Content-Type or the file's.
func (f form) contentType() string {
	for _, v := range []string{f.fields["x-oss-content-type"], f.fields["content-type"], f.file.Header.Get("Content-Type")} {
		if v != "" {
			return v
		}
	}
	return ""
}

func (s *Server) storeForm(w http.ResponseWriter, req *request, f form, limits sizeLimits) (metadata, error) {
	h := http.Header{}
	for name, value := range f.fields {
		h.Set(name, value)
	}
	if t := f.contentType(); t != "" {
		h.Set("Content-Type", t)
	}
	m, err := s.newMetadata(req, h)
	if err != nil {
		return metadata{}, err
	}
	permit, err := s.forbidOverwrite(req, f.fields["x-oss-forbid-overwrite"])
	if err != nil {
		return metadata{}, err
	}
	limit := int64(maxPutSize)
	if limits.max >= 0 {
		limit = min(limit, limits.max)
	}
	st, err := s.store.stage(http.MaxBytesReader(w, f.file, limit))
	if err != nil {
		return metadata{}, err
	}
	if st.size < limits.min {
		s.store.discard(st.path)
		return metadata{}, errorf(http.StatusBadRequest, "EntityTooSmall", "", "Your proposed upload smaller than the minimum allowed size.").
			with("MinSizeAllowed", strconv.FormatInt(limits.min, 10))
	}
	m.ETag, m.CRC64 = st.etag(), st.crc
	old, now, err := s.store.commit(req.bucket, req.key, st, m, s.guard(req.bucket, permit))
	if err != nil {
		return metadata{}, err
	}
	s.emit(req, "ObjectCreated:PostObject", req.key, now, sizeDelta(old, now))
	return now, nil
}

type postResponse struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Bucket   string   `xml:"Bucket"`
	ETag     string   `xml:"ETag"`
	Key      string   `xml:"Key"`
	Location string   `xml:"Location"`
}

func (s *Server) answerForm(w http.ResponseWriter, req *request, f form, now metadata) error {
	h := w.Header()
	setStored(h, now)
	location := "http://" + req.Host + "/" + req.bucket + "/" + percentEncode(req.key, "/")
	h.Set("Location", location)
	switch f.fields["success_action_status"] {
	case "200":
		w.WriteHeader(http.StatusOK)
	case "201":
		body, err := xml.MarshalIndent(postResponse{Bucket: req.bucket, ETag: now.ETag, Key: req.key, Location: location}, "", "  ")
		if err != nil {
			return err
		}
		h.Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusCreated)
		// The answer is under way; a client that went away is no fault of the server.
		_, _ = w.Write(append([]byte(xml.Header), body...))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}
