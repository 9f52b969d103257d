package backfill

import (
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
)

// UploadEvent returns the event with which an image is handed to the function outside of a Job.
func UploadEvent(bucket, region string, image ossclient.Object, now time.Time) []byte {
	return uploadEvent(bucket, region, image, now)
}
