package ossfake

import (
	"encoding/json"
	"time"
)

// The account every bucket of the emulation belongs to. The real service puts the owner's numeric UID here.
const ownerID = "1000000000000001"

// Event is one change of an object, as the event notification of OSS reports it.
type Event struct {
	// Name is the event without the "oss:" that trigger configurations put before it, such as
	// "ObjectCreated:PutObject" or "ObjectRemoved:DeleteObject".
	Name   string
	Bucket string
	// Key is the object's name as it is; OSS does not URL-encode it.
	Key string
	// ETag is upper-case and without quotes; empty for removals.
	ETag string
	// Size is the object's size in bytes after the change.
	Size int64
	// DeltaSize is by how many bytes the change made the object larger; it may be negative.
	DeltaSize int64
	// ContentType is the object's MIME type, if it has one.
	ContentType string
	Time        time.Time
	Region      string
	RequestID   string
	// SourceIP is the caller's address; empty for changes made in the folder.
	SourceIP string
}

type eventDocument struct {
	Events []eventRecord `json:"events"`
}

type eventRecord struct {
	EventName    string `json:"eventName"`
	EventSource  string `json:"eventSource"`
	EventTime    string `json:"eventTime"`
	EventVersion string `json:"eventVersion"`
	OSS          struct {
		Bucket struct {
			ARN           string `json:"arn"`
			Name          string `json:"name"`
			OwnerIdentity string `json:"ownerIdentity"`
			VirtualBucket string `json:"virtualBucket"`
		} `json:"bucket"`
		Object struct {
			DeltaSize  int64             `json:"deltaSize"`
			ETag       string            `json:"eTag"`
			Key        string            `json:"key"`
			ObjectMeta map[string]string `json:"objectMeta,omitempty"`
			Size       int64             `json:"size"`
		} `json:"object"`
		SchemaVersion string `json:"ossSchemaVersion"`
		RuleID        string `json:"ruleId"`
	} `json:"oss"`
	Region            string `json:"region"`
	RequestParameters struct {
		SourceIPAddress string `json:"sourceIPAddress"`
	} `json:"requestParameters"`
	ResponseElements struct {
		RequestID string `json:"requestId"`
	} `json:"responseElements"`
	UserIdentity struct {
		PrincipalID string `json:"principalId"`
	} `json:"userIdentity"`
}

// JSON returns the event as a function with a native OSS trigger receives it: {"events":[…]} with one record.
func (e Event) JSON() []byte {
	var r eventRecord
	r.EventName = e.Name
	r.EventSource = "acs:oss"
	r.EventTime = e.Time.UTC().Format("2006-01-02T15:04:05.000Z")
	r.EventVersion = "1.0"
	r.OSS.Bucket.ARN = "acs:oss:" + e.Region + ":" + ownerID + ":" + e.Bucket
	r.OSS.Bucket.Name = e.Bucket
	r.OSS.Bucket.OwnerIdentity = ownerID
	r.OSS.Object.DeltaSize = e.DeltaSize
	r.OSS.Object.ETag = e.ETag
	r.OSS.Object.Key = e.Key
	if e.ContentType != "" {
		r.OSS.Object.ObjectMeta = map[string]string{"mimeType": e.ContentType}
	}
	r.OSS.Object.Size = e.Size
	r.OSS.SchemaVersion = "1.0"
	r.OSS.RuleID = "sandbox"
	r.Region = e.Region
	r.RequestParameters.SourceIPAddress = e.SourceIP
	r.ResponseElements.RequestID = e.RequestID
	r.UserIdentity.PrincipalID = ownerID
	out, err := json.Marshal(eventDocument{Events: []eventRecord{r}})
	if err != nil {
		// Strings, integers and maps of strings always marshal.
		return nil
	}
	return out
}
