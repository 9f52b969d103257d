package ossfake

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fsnotify/fsnotify"

	"fc-idcard-ocr/internal/idnumber"
)

// Config says what the local OSS serves.
type Config struct {
	// Dir is the folder that holds the buckets; it is made if missing. Folders in it with a valid bucket name are buckets.
	Dir string
	// Region is the general region ID, such as "cn-hangzhou" (without "oss-"). V4 signatures must be made for it.
	Region string
	// Buckets are created at the start if they do not exist.
	Buckets []string
	// Keys knows who may sign.
	Keys Keyring
	// OnEvent is called for every change, after the object is in place and before the caller gets its answer. It must
	// return soon and may be called by several requests at once. It gets every event OSS knows, also those of
	// AppendObject, UploadPart and removals: filter by name as a trigger does.
	OnEvent func(Event)
	// OnIgnored, if set, is called for files in a bucket's folder that Watch does not take, and why.
	OnIgnored func(bucket, key, why string)
	// DecodeHEIC makes an upright JPEG of a HEIC picture for x-oss-process; nil: such pictures are refused.
	DecodeHEIC func(ctx context.Context, heic []byte) ([]byte, error)
	// Log gets one line per request, without query string, signature or token, and one per fault of the disk.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Policy restricts callers with STS credentials; nil allows everything.
	Policy *Policy
	// Versioning switches the versioning of every bucket on in which it is not suspended.
	Versioning bool
	// AllowPublicAccess switches Block Public Access off for buckets without settings of their own.
	AllowPublicAccess bool
}

// Server is the local OSS. It serves http itself; Watch is optional.
type Server struct {
	cfg   Config
	store *store
	// images limits how many pictures are decoded at once: each may take maxDecodedBytes several times.
	images chan struct{}
	// newNotifier is fsnotify.NewWatcher but in tests.
	newNotifier func() (*fsnotify.Watcher, error)

	mu       sync.RWMutex
	settings map[string]BucketSettings // of the buckets that were asked for
}

func (s *Server) ignored(bucket, key, why string) {
	if s.cfg.OnIgnored != nil {
		s.cfg.OnIgnored(bucket, key, why)
	}
}

// New opens the folder and creates the buckets. It fails if the configuration is incomplete or the folder cannot be
// written.
func New(cfg Config) (*Server, error) {
	var problems []error
	if cfg.Dir == "" {
		problems = append(problems, errors.New("ossfake: Config.Dir is empty: name the folder that shall hold the buckets"))
	}
	if cfg.Region == "" || strings.HasPrefix(cfg.Region, "oss-") {
		problems = append(problems, fmt.Errorf("ossfake: Config.Region is %q: give a region ID such as cn-hangzhou, without oss-", cfg.Region))
	}
	if cfg.Keys == nil {
		problems = append(problems, errors.New("ossfake: Config.Keys is nil: without credentials every request would be refused"))
	}
	for _, b := range cfg.Buckets {
		if !isBucketName(b) {
			problems = append(problems, fmt.Errorf("ossfake: %q is no bucket name: 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends", b))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	s := &Server{cfg: cfg, images: make(chan struct{}, 2), newNotifier: fsnotify.NewWatcher, settings: map[string]BucketSettings{}}
	st, err := openStore(cfg.Dir, cfg.Log, cfg.Now, func(bucket string) string { return s.Bucket(bucket).Versioning })
	if err != nil {
		return nil, err
	}
	s.store = st
	for _, b := range cfg.Buckets {
		if err := s.store.root.MkdirAll(b, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("ossfake: cannot make the folder of bucket %s in %s: %w; a file of that name has to go, or another folder be chosen", b, cfg.Dir, err), st.close())
		}
	}
	return s, nil
}

// Close releases the folder. No request may be under way.
func (s *Server) Close() error { return s.store.close() }

// request is one request with what every operation needs of it.
type request struct {
	*http.Request
	id     string
	now    time.Time
	bucket string
	key    string
	query  parameters
	caller Credentials
}

// ServeHTTP implements http.Handler. It must be mounted without http.ServeMux in front of it, which would rewrite keys
// such as "a//b".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, id: newRequestID(), now: s.cfg.Now()}
	w.Header().Set("Server", "AliyunOSS")
	w.Header().Set("x-oss-request-id", req.id)
	rec := &responseRecorder{ResponseWriter: w}
	op, err := s.serve(rec, req)
	code := ""
	if err != nil {
		ae := s.asAPIError(req, op, err)
		code = ae.code
		if rec.status == 0 {
			ae.write(rec, r, req.id)
		}
	}
	s.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("requestId", req.id), slog.String("operation", op), slog.String("bucket", req.bucket),
		slog.String("key", idnumber.MaskDigits(req.key)), slog.Int("status", rec.status), slog.String("code", code),
		slog.Duration("duration", s.cfg.Now().Sub(req.now)))
}

func (s *Server) serve(w http.ResponseWriter, req *request) (string, error) {
	var err error
	if req.bucket, req.key, err = splitPath(req.URL); err != nil {
		return "", err
	}
	if req.query, err = parseQuery(req.URL.RawQuery); err != nil {
		return "", err
	}
	if isPostObject(req) {
		// The form carries the signature.
		return "PostObject", s.postObject(w, req)
	}
	if req.Header.Get("x-oss-callback") != "" || req.query.has("callback") {
		return "", errNotImplemented("x-oss-callback")
	}
	if err := checkTrafficLimit(req); err != nil {
		return "", err
	}
	if req.caller, err = s.authenticate(req); err != nil {
		if ae := (*apiError)(nil); errors.As(err, &ae) && ae.code == "InvalidAccessKeyId" && req.bucket != "" {
			// The service looks for the bucket first.
			err = cmp.Or(s.requireBucket(req.bucket), err)
		}
		return "", err
	}
	op, err := s.route(req)
	if req.caller.AccessKeyID == "" && (err != nil || !s.anonymousMay(op, req)) {
		return op.name, errorf(http.StatusForbidden, "AccessDenied", "0003-00000001", "You have no right to access this object because of bucket acl.")
	}
	if err != nil {
		return "", err
	}
	if req.query.has("versionId") {
		op.action = versionAction(op.action)
	}
	if err := s.authorize(req, op.action, req.bucket, req.key); err != nil {
		return op.name, err
	}
	if req.bucket != "" && op.name != "PutBucket" && op.name != "PutBucketAcl" {
		if err := s.requireBucket(req.bucket); err != nil {
			return op.name, err
		}
	}
	if req.key != "" {
		if err := checkKey(req.key); err != nil {
			return op.name, err
		}
	}
	return op.name, op.run(s, w, req)
}

// checkTrafficLimit refuses a speed limit that is not one (https://help.aliyun.com/zh/oss/developer-reference/single-connection-bandwidth-throttling-5).
// Nothing is slowed down, and the documented range (819,200 to 838,860,800) is not enforced: ali-oss' own tests leave it.
func checkTrafficLimit(req *request) error {
	for _, text := range append(req.Header.Values("x-oss-traffic-limit"), req.query.get("x-oss-traffic-limit")) {
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n <= 0) {
			return errInvalidArgument("x-oss-traffic-limit", text, "The traffic limit must be a number of bits per second.")
		}
	}
	return nil
}

// versionAction is the action of an operation on a named version
// (https://help.aliyun.com/zh/oss/user-guide/ram-policy).
func versionAction(action string) string {
	switch action {
	case "oss:GetObject", "oss:GetObjectAcl", "oss:PutObjectAcl", "oss:DeleteObject", "oss:RestoreObject":
		return strings.Replace(action, "Object", "ObjectVersion", 1)
	case "oss:GetObjectTagging", "oss:PutObjectTagging", "oss:DeleteObjectTagging":
		return strings.Replace(action, "Object", "ObjectVersion", 1)
	}
	return action
}

// splitPath takes bucket and key out of a path-style URL without interpreting the key.
func splitPath(u *url.URL) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	b, err1 := url.PathUnescape(bucket)
	k, err2 := url.PathUnescape(key)
	if err1 != nil || err2 != nil {
		return "", "", errorf(http.StatusBadRequest, "InvalidURI", "", "The path of the request cannot be decoded.")
	}
	return b, k, nil
}

// checkKey enforces the naming rules for objects (https://help.aliyun.com/zh/oss/user-guide/object-naming-conventions),
// but lets a key start with "/", which the service's documentation rules out and its API accepts.
func checkKey(key string) error {
	if len(key) > 1023 || !utf8.ValidString(key) {
		return errorf(http.StatusBadRequest, "InvalidObjectName", "",
			"The specified object is not valid: a key is 1 to 1023 bytes of UTF-8.")
	}
	return nil
}

func (s *Server) requireBucket(bucket string) error {
	if !isBucketName(bucket) {
		return errInvalidBucketName(bucket)
	}
	info, err := s.store.root.Stat(bucket)
	if err != nil && isAbsent(err) || err == nil && !info.IsDir() {
		return errNoSuchBucket(bucket)
	}
	return err
}

// isBucketName checks the naming rules for buckets: 3 to 63 lower-case letters, digits and hyphens, no hyphen at the
// ends.
func isBucketName(name string) bool { return bucketName.MatchString(name) }

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// authorize applies the RAM policy to callers with STS credentials.
func (s *Server) authorize(req *request, action, bucket, key string) error {
	if s.cfg.Policy == nil || req.caller.SecurityToken == "" {
		return nil
	}
	if s.cfg.Policy.Allows(action, s.cfg.Region, bucket, key, conditionContext(req)) {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied", "0003-00000001", "You have no right to access this object.").
		with("AuthAction", action)
}

// authorizeKMS applies the RAM policy to the use of a KMS key.
func (s *Server) authorizeKMS(req *request, action, keyID string) error {
	if s.cfg.Policy == nil || req.caller.SecurityToken == "" || s.cfg.Policy.allows(action, "kms", s.cfg.Region, "key/"+keyID, conditionContext(req)) {
		return nil
	}
	return errorf(http.StatusForbidden, "AccessDenied", "", "This operation for KMS is forbidden by your kms role.").with("AuthAction", action)
}

// asAPIError turns any error into an answer; what is no answer yet is a fault of this server and logged.
func (s *Server) asAPIError(req *request, op string, err error) *apiError {
	var ae *apiError
	if errors.As(err, &ae) {
		return ae
	}
	var be *bodyError
	if errors.As(err, &be) {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return errorf(http.StatusBadRequest, "EntityTooLarge", "", "Your proposed upload exceeds the maximum allowed size.")
		}
		return errorf(http.StatusBadRequest, "RequestTimeout", "",
			"Your socket connection to the server was not read from or written to within the timeout period.")
	}
	if ae := s.notThere(req, err); ae != nil {
		return ae
	}
	if !errors.Is(err, context.Canceled) {
		s.cfg.Log.LogAttrs(req.Context(), slog.LevelError, "the folder of the local OSS cannot be used",
			slog.String("requestId", req.id), slog.String("operation", op), slog.String("bucket", req.bucket),
			slog.String("error", withoutPath(err)), slog.String("fix", diskAdvice(err)))
	}
	return errorf(http.StatusInternalServerError, "InternalError", "", "We encountered an internal error. Please try again.")
}

// notThere is the answer if an error says that an object or version does not exist, else nil.
func (s *Server) notThere(req *request, err error) *apiError {
	var marker errDeleteMarker
	isMarker := errors.As(err, &marker)
	var answer *apiError
	switch {
	case errors.Is(err, errNotFound):
		settings := s.Bucket(req.bucket)
		if settings.HideMissing && s.authorize(req, "oss:ListObjects", req.bucket, "") != nil {
			return errorf(http.StatusForbidden, "AccessDenied", "0003-00000001", "You have no right to access this object.")
		}
		answer = errNoSuchKey(req.key)
	case errors.Is(err, errNoSuchVersion):
		return errorf(http.StatusNotFound, "NoSuchVersion", "", "The specified version does not exist.").
			with("Key", req.key).with("VersionId", req.query.get("versionId"))
	case isMarker:
		answer = errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "", "The specified method is not allowed against this resource: the version is a delete marker.")
	}
	if isMarker {
		answer.header = map[string]string{"x-oss-delete-marker": "true", "x-oss-version-id": marker.versionID()}
	}
	return answer
}

func diskAdvice(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "make the folder writable for this user"
	}
	return "check that the disk has room and the folder is intact"
}

// newRequestID makes an ID of the service's form: 24 upper-case hexadecimal digits.
func newRequestID() string {
	var b [12]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// emit reports a change that a request made.
func (s *Server) emit(req *request, name, key string, m metadata, delta int64) {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		host = req.RemoteAddr
	}
	s.cfg.OnEvent(Event{
		Name: name, Bucket: req.bucket, Key: key, ETag: m.ETag, Size: m.Size, DeltaSize: delta, ContentType: m.ContentType,
		Time: s.cfg.Now(), Region: s.cfg.Region, RequestID: req.id, SourceIP: host,
	})
}

// responseRecorder remembers the status for the log.
type responseRecorder struct {
	http.ResponseWriter
	status int
}

func (r *responseRecorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *responseRecorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *responseRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
