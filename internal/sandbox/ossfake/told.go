package ossfake

import (
	"encoding/xml"
	"net/http"
)

type bucketLoggingStatus struct {
	XMLName xml.Name `xml:"BucketLoggingStatus"`
	Target  string   `xml:"LoggingEnabled>TargetBucket,omitempty"`
}

// getBucketLogging returns where the access log is written (https://help.aliyun.com/zh/oss/developer-reference/getbucketlogging).
func (s *Server) getBucketLogging(w http.ResponseWriter, req *request) error {
	return writeXML(w, bucketLoggingStatus{Target: s.Bucket(req.bucket).LogBucket})
}
