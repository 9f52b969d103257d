package ossfake

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// BucketSettings are the properties of a bucket that change how requests for its objects are answered. The zero value is a new
// bucket: private, Standard, without versioning, default encryption, retention and lifecycle rules.
type BucketSettings struct {
	// Versioning is "Enabled", "Suspended", or "" for never enabled.
	Versioning string `json:"versioning"`
	// StorageClass is the class of objects that are uploaded without x-oss-storage-class: "Standard" (or ""), "IA", "Archive",
	// "ColdArchive" or "DeepColdArchive".
	StorageClass string `json:"storageClass"`
	// Redundancy is "LRS" (or "") or "ZRS".
	Redundancy string `json:"redundancy,omitempty"`
	// ACL is "private" (or ""), "public-read" or "public-read-write".
	ACL string `json:"acl"`
	// AllowPublicAccess switches Block Public Access off, without which no ACL can be public.
	AllowPublicAccess bool `json:"allowPublicAccess"`
	// Encryption is the default encryption of objects that are uploaded without x-oss-server-side-encryption.
	Encryption Encryption `json:"encryption"`
	// RetentionDays is for how many days after its last change an object can be neither changed nor removed; 0 means no retention
	// policy. It is in force at once.
	RetentionDays int `json:"retentionDays"`
	// Worm is what the API knows of the retention policy; it may be empty.
	Worm Worm `json:"worm,omitzero"`
	// Tags are the bucket's tags.
	Tags map[string]string `json:"tags,omitempty"`
	// PublicPolicy says that the bucket policy lets everybody in. It is only reported: bucket policies are not implemented.
	PublicPolicy bool `json:"publicPolicy"`
	// LogBucket receives the access log; it is only reported. Empty means that there is no log.
	LogBucket string `json:"logBucket"`
	// Lifecycle are the bucket's lifecycle rules. Server.ApplyLifecycle carries them out.
	Lifecycle []LifecycleRule `json:"lifecycle,omitempty"`
	// RestoreSeconds is how long the restoration of an archived object takes; 0 means as long as the service documents it: a minute
	// for Archive, hours for the colder classes.
	RestoreSeconds int `json:"restoreSeconds"`
	// HideMissing answers 403 AccessDenied instead of 404 NoSuchKey if a caller asks for a missing object and must not list the
	// bucket. What the service does is not documented.
	HideMissing bool `json:"hideMissing"`
}

var redundancies = []string{"LRS", "ZRS"}

// Encryption is a server-side encryption.
type Encryption struct {
	// Algorithm is "AES256", "KMS", "SM4", or "" for none.
	Algorithm string `json:"algorithm"`
	// KMSKeyID is the ID of an own key (CMK), with "KMS" only; empty means the key that OSS manages.
	KMSKeyID string `json:"kmsKeyId"`
	// DataAlgorithm is "SM4", with "KMS" only, or "".
	DataAlgorithm string `json:"dataAlgorithm,omitempty"`
}

// oneOf returns an error that names what is accepted, unless value is among them.
func oneOf(name, value string, accepted ...string) error {
	if slices.Contains(accepted, value) {
		return nil
	}
	return fmt.Errorf("ossfake: %s is %q; accepted are %s", name, value, strings.Join(accepted, ", "))
}

// check completes the settings with the defaults and returns every problem.
func (b *BucketSettings) check() error {
	if b.StorageClass == "" {
		b.StorageClass = classStandard
	}
	if b.ACL == "" {
		b.ACL = aclPrivate
	}
	problems := []error{
		oneOf("redundancy", cmp.Or(b.Redundancy, redundancies[0]), redundancies...),
		oneOf("storageClass", b.StorageClass, storageClasses...),
		oneOf("acl", b.ACL, bucketACLs...),
	}
	if b.Versioning != "" {
		problems = append(problems, oneOf("versioning", b.Versioning, versioningEnabled, versioningSuspended))
	}
	if b.Encryption.Algorithm != "" {
		problems = append(problems, oneOf("encryption.algorithm", b.Encryption.Algorithm, encryptionAlgorithms...))
	}
	if (b.Encryption.KMSKeyID != "" || b.Encryption.DataAlgorithm != "") && b.Encryption.Algorithm != "KMS" {
		problems = append(problems, errors.New("ossfake: encryption.kmsKeyId and dataAlgorithm need the algorithm KMS"))
	}
	if b.ACL != aclPrivate && !b.AllowPublicAccess {
		problems = append(problems, fmt.Errorf("ossfake: acl %s needs allowPublicAccess", b.ACL))
	}
	if b.RetentionDays < 0 || b.RestoreSeconds < 0 {
		problems = append(problems, errors.New("ossfake: retentionDays and restoreSeconds must not be negative"))
	}
	for n, rule := range b.Lifecycle {
		if err := rule.check(); err != nil {
			problems = append(problems, fmt.Errorf("ossfake: lifecycle rule %d: %w", n+1, err))
		}
	}
	return errors.Join(problems...)
}

func settingsPath(bucket string) string { return bucketDir + "/" + bucket + ".json" }

// Bucket returns the settings of a bucket.
func (s *Server) Bucket(bucket string) BucketSettings {
	s.mu.RLock()
	settings, known := s.settings[bucket]
	s.mu.RUnlock()
	if known {
		return settings
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loadSettings(bucket)
}

// loadSettings reads the settings of a bucket once. The caller holds the lock.
func (s *Server) loadSettings(bucket string) BucketSettings {
	if settings, known := s.settings[bucket]; known {
		return settings
	}
	settings := BucketSettings{AllowPublicAccess: s.cfg.AllowPublicAccess}
	err := s.store.readJSON(settingsPath(bucket), &settings)
	if settings.Versioning == "" && s.cfg.Versioning {
		settings.Versioning = versioningEnabled
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = settings.check()
	}
	if err != nil {
		s.cfg.Log.Warn("the settings of a bucket cannot be read; the defaults are used", "bucket", bucket, "error", withoutPath(err))
		settings = BucketSettings{StorageClass: classStandard, ACL: aclPrivate}
	}
	s.settings[bucket] = settings
	return settings
}

// ChangeBucket changes the settings of a bucket; they outlive the server. Nothing is changed if the settings are not accepted.
func (s *Server) ChangeBucket(bucket string, change func(*BucketSettings)) error {
	if err := s.requireBucket(bucket); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := s.loadSettings(bucket)
	settings.Lifecycle = slices.Clone(settings.Lifecycle)
	change(&settings)
	if err := settings.check(); err != nil {
		return err
	}
	if err := s.store.writeJSON(settingsPath(bucket), settings); err != nil {
		return err
	}
	s.settings[bucket] = settings
	return nil
}

// SetVersioning switches the versioning of a bucket: "Enabled", "Suspended", or "" for never enabled, to which the service offers
// no way back. Versions that are there stay readable.
func (s *Server) SetVersioning(bucket, status string) error {
	return s.ChangeBucket(bucket, func(b *BucketSettings) { b.Versioning = status })
}

func (s *Server) forgetSettings(bucket string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.settings, bucket)
	if err := s.store.root.Remove(settingsPath(bucket)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
