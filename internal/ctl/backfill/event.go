package backfill

import (
	"encoding/json"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"
)

// uploadEvent returns the event that OSS would send for an upload of the image: the native form, with one record
// (help.aliyun.com/zh/oss/user-guide/overview-34). Several images in one event would be retried together.
func uploadEvent(bucket, region string, image ossclient.Object, now time.Time) []byte {
	type object struct {
		Key       string `json:"key"` // as it is: OSS does not encode it
		ETag      string `json:"eTag"`
		Size      int64  `json:"size"`
		DeltaSize int64  `json:"deltaSize"`
	}
	type record struct {
		EventName    string `json:"eventName"`
		EventSource  string `json:"eventSource"`
		EventTime    string `json:"eventTime"`
		EventVersion string `json:"eventVersion"`
		Region       string `json:"region"`
		OSS          struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object           object `json:"object"`
			OSSSchemaVersion string `json:"ossSchemaVersion"`
			RuleID           string `json:"ruleId"`
		} `json:"oss"`
	}
	r := record{EventName: "ObjectCreated:PutObject", EventSource: "acs:oss", EventTime: now.UTC().Format("2006-01-02T15:04:05.000Z"), EventVersion: "1.0", Region: region}
	r.OSS.Bucket.Name, r.OSS.OSSSchemaVersion, r.OSS.RuleID = bucket, "1.0", "ocrctl-backfill"
	r.OSS.Object = object{Key: image.Key, ETag: image.ETag, Size: image.Size, DeltaSize: image.Size}
	text, _ := json.Marshal(map[string][]record{"events": {r}}) // strings and numbers only
	return text
}
