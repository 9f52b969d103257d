package ossfake

import (
	"net/http"
	"time"
)

// checkRetention refuses to change or remove an object that the bucket's retention policy protects
// (https://help.aliyun.com/zh/oss/user-guide/oss-retention-policies).
func (s *Server) checkRetention(bucket string, m metadata) error {
	days := s.Bucket(bucket).RetentionDays
	if days == 0 || m.DeleteMarker || !s.cfg.Now().Before(m.LastModified.Add(time.Duration(days)*24*time.Hour)) {
		return nil
	}
	return errorf(http.StatusConflict, "FileImmutable", "", "The object you specified is immutable.").with("Key", m.Key)
}

// guard returns the check that store.commit and store.remove make of the object that is there. With versioning enabled they keep
// that object, so nothing is protected from them.
func (s *Server) guard(bucket string, further func(*metadata) error) func(*metadata) error {
	return func(existing *metadata) error {
		if existing != nil && s.Bucket(bucket).Versioning != versioningEnabled {
			if err := s.checkRetention(bucket, *existing); err != nil {
				return err
			}
		}
		if further != nil {
			return further(existing)
		}
		return nil
	}
}
