package ossfake

import (
	"encoding/xml"
	"net/http"
	"time"
)

// Worm is a retention policy as the API makes it: in progress, in which state it can be aborted, until it is locked. It protects
// objects in both states.
type Worm struct {
	ID      string    `json:"id"`
	Locked  bool      `json:"locked"`
	Created time.Time `json:"created"`
}

// maxRetentionDays is 70 years.
const maxRetentionDays = 25550

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

type wormConfiguration struct {
	XMLName xml.Name
	ID      string `xml:"WormId,omitempty"`
	State   string `xml:"State,omitempty"`
	Days    int    `xml:"RetentionPeriodInDays"`
	Created string `xml:"CreationDate,omitempty"`
}

// readDays reads the number of days of InitiateBucketWorm and ExtendBucketWorm.
func readDays(w http.ResponseWriter, req *request) (int, error) {
	var in wormConfiguration
	if err := readXML(w, req, &in); err != nil {
		return 0, err
	}
	if in.Days < 1 || in.Days > maxRetentionDays {
		return 0, errMalformedXML()
	}
	return in.Days, nil
}

func (s *Server) getBucketWorm(w http.ResponseWriter, req *request) error {
	settings := s.Bucket(req.bucket)
	if settings.RetentionDays == 0 {
		return errNoWorm()
	}
	state := "InProgress"
	if settings.Worm.Locked || settings.Worm.ID == "" {
		state = "Locked"
	}
	return writeXML(w, wormConfiguration{
		XMLName: xml.Name{Local: "WormConfiguration"}, ID: settings.Worm.ID, State: state, Days: settings.RetentionDays, Created: isoMillis(settings.Worm.Created),
	})
}

func errNoWorm() *apiError {
	return errorf(http.StatusNotFound, "NoSuchWORMConfiguration", "", "The WORM Configuration does not exist.")
}

func errWormState() *apiError {
	return errorf(http.StatusConflict, "WORMConfigurationLocked", "", "The WORM Configuration is locked, or of another state than the operation needs.")
}

func (s *Server) initiateBucketWorm(w http.ResponseWriter, req *request) error {
	days, err := readDays(w, req)
	if err != nil {
		return err
	}
	if settings := s.Bucket(req.bucket); settings.RetentionDays > 0 {
		return errWormState()
	}
	worm := Worm{ID: newUploadID(), Created: req.now.UTC()}
	w.Header().Set("x-oss-worm-id", worm.ID)
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.RetentionDays, b.Worm = days, worm })
}

// changeBucketWorm serves CompleteBucketWorm and ExtendBucketWorm.
func (s *Server) changeBucketWorm(w http.ResponseWriter, req *request) error {
	settings := s.Bucket(req.bucket)
	if settings.RetentionDays == 0 || settings.Worm.ID != req.query.get("wormId") {
		return errNoWorm()
	}
	if !req.query.has("wormExtend") {
		return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.Worm.Locked = true })
	}
	days, err := readDays(w, req)
	if err != nil {
		return err
	}
	if !settings.Worm.Locked || days < settings.RetentionDays {
		return errWormState()
	}
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.RetentionDays = days })
}

func (s *Server) abortBucketWorm(w http.ResponseWriter, req *request) error {
	settings := s.Bucket(req.bucket)
	switch {
	case settings.RetentionDays == 0:
		return errNoWorm()
	case settings.Worm.Locked || settings.Worm.ID == "":
		return errWormState()
	}
	return s.changeBucket(w, req, http.StatusNoContent, func(b *BucketSettings) { b.RetentionDays, b.Worm = 0, Worm{} })
}
