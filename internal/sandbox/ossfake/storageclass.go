package ossfake

import (
	"encoding/xml"
	"net/http"
	"slices"
	"time"
)

const (
	classStandard        = "Standard"
	classIA              = "IA"
	classArchive         = "Archive"
	classColdArchive     = "ColdArchive"
	classDeepColdArchive = "DeepColdArchive"
)

var storageClasses = []string{classStandard, classIA, classArchive, classColdArchive, classDeepColdArchive}

// storageClass returns the class of a new object: that of the request, else the bucket's default.
func (s *Server) storageClass(bucket string, h http.Header) (string, error) {
	class := h.Get("x-oss-storage-class")
	if class == "" {
		return s.Bucket(bucket).StorageClass, nil
	}
	if !slices.Contains(storageClasses, class) {
		return "", errInvalidArgument("x-oss-storage-class", class, "The storage class must be Standard, IA, Archive, ColdArchive or DeepColdArchive.")
	}
	return class, nil
}

// isArchived reports whether an object's content cannot be read without restoring it first.
func (m metadata) isArchived() bool {
	return m.StorageClass == classArchive || m.StorageClass == classColdArchive || m.StorageClass == classDeepColdArchive
}

// isReadable reports whether the content can be read now.
func (m metadata) isReadable(now time.Time) bool {
	return !m.isArchived() || m.Restore != nil && !now.Before(m.Restore.Ready) && now.Before(m.Restore.Expires)
}

func errInvalidObjectState() *apiError {
	return errorf(http.StatusForbidden, "InvalidObjectState", "", "The operation is not valid for the object's state")
}

// restoration is a restored, or soon restored, copy of an archived object.
type restoration struct {
	Ready   time.Time `json:"ready"`
	Expires time.Time `json:"expires"`
}

// restoreHeader is the value of x-oss-restore, empty if there is none.
func (m metadata) restoreHeader(now time.Time) string {
	switch {
	case !m.isArchived() || m.Restore == nil || !now.Before(m.Restore.Expires):
		return ""
	case now.Before(m.Restore.Ready):
		return `ongoing-request="true"`
	default:
		return `ongoing-request="false", expiry-date="` + m.Restore.Expires.UTC().Format(http.TimeFormat) + `"`
	}
}

type restoreRequest struct {
	XMLName       xml.Name `xml:"RestoreRequest"`
	Days          int      `xml:"Days"`
	JobParameters struct {
		Tier string `xml:"Tier"`
	} `xml:"JobParameters"`
}

// restoreTimes are how long a restoration takes by storage class and tier, the longest that is documented
// (https://help.aliyun.com/zh/oss/developer-reference/restoreobject).
var restoreTimes = map[string]time.Duration{
	classArchive + " Standard":          time.Minute,
	classColdArchive + " Expedited":     time.Hour,
	classColdArchive + " Standard":      5 * time.Hour,
	classColdArchive + " Bulk":          12 * time.Hour,
	classDeepColdArchive + " Expedited": 12 * time.Hour,
	classDeepColdArchive + " Standard":  48 * time.Hour,
}

// maxRestoreDays is for how long a copy can be restored.
var maxRestoreDays = map[string]int{classArchive: 7, classColdArchive: 365, classDeepColdArchive: 365}

// restoreObject serves POST ?restore.
func (s *Server) restoreObject(w http.ResponseWriter, req *request) error {
	in := restoreRequest{Days: 1}
	if _, err := readOptionalXML(w, req, &in); err != nil {
		return err
	}
	hasTier := in.JobParameters.Tier != ""
	if in.JobParameters.Tier == "" {
		in.JobParameters.Tier = "Standard"
	}
	status := http.StatusAccepted
	m, err := s.store.update(req.bucket, req.key, req.query.get("versionId"), func(m *metadata) error {
		if !m.isArchived() {
			return errorf(http.StatusBadRequest, "OperationNotSupported", "", "The operation is not supported for this resource: only archived objects are restored.")
		}
		duration, ok := restoreTimes[m.StorageClass+" "+in.JobParameters.Tier]
		if !ok || hasTier && m.StorageClass == classArchive || in.Days < 1 || in.Days > maxRestoreDays[m.StorageClass] {
			return errMalformedXML()
		}
		if seconds := s.Bucket(req.bucket).RestoreSeconds; seconds > 0 {
			duration = time.Duration(seconds) * time.Second
		}
		life := time.Duration(in.Days) * 24 * time.Hour
		switch {
		case m.isReadable(req.now):
			// A copy that is there lives longer.
			status = http.StatusOK
			m.Restore = &restoration{m.Restore.Ready, req.now.Add(life)}
		case m.Restore != nil && req.now.Before(m.Restore.Ready):
			return errorf(http.StatusConflict, "RestoreAlreadyInProgress", "0016-00000701", "The restore operation is in progress.")
		default:
			ready := req.now.Add(duration)
			m.Restore = &restoration{ready, ready.Add(life)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	setVersion(w.Header(), m)
	if m.StorageClass != classArchive && status == http.StatusAccepted {
		w.Header().Set("x-oss-object-restore-priority", in.JobParameters.Tier)
	}
	w.WriteHeader(status)
	return nil
}
