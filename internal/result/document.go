// Package result is the result document that is written beside each image: its types and codes, what an answer of the
// provider becomes in it, its encoding, and how it is masked. It makes no request and logs nothing.
package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"fc-idcard-ocr/internal/config"
)

// Status is how an image ended.
type Status string

// The three statuses of a document.
const (
	Recognized   Status = "recognized"   // there is a card
	Unrecognized Status = "unrecognized" // the provider answered and found no ID number
	Failed       Status = "failed"       // there is no answer
)

const (
	// ContentType is a document's Content-Type.
	ContentType = "application/json; charset=utf-8"
	// MaxBytes is the most that is read of a document. The raw answer in it is bounded, so more is something else.
	MaxBytes = 4 << 20
)

// Document is the result document. Field order and names are a published format: docs/result.schema.json.
type Document struct {
	SchemaVersion int             `json:"schemaVersion"`
	Status        Status          `json:"status"`
	Image         Image           `json:"image"`
	Card          *Card           `json:"card,omitempty"`       // of recognised images only
	Validation    *Validation     `json:"validation,omitempty"` // likewise
	OCR           OCR             `json:"ocr"`
	Error         *Error          `json:"error,omitempty"`   // unless recognised
	Raw           json.RawMessage `json:"raw,omitempty"`     // showapi_res_body as it came, unless it is unreasonably large
	RawText       string          `json:"rawText,omitempty"` // what came, if it was no JSON: see KeepAnswer
	RequestID     string          `json:"requestId"`
	CompletedAt   time.Time       `json:"completedAt"`
}

// Image is the version of the object that the document is about. A picture sent by HTTP has a size only.
type Image struct {
	Bucket       string    `json:"bucket,omitempty"`
	Key          string    `json:"key,omitempty"`
	ETag         string    `json:"etag,omitempty"`        // upper case, without quotes
	Size         int64     `json:"size"`                  // bytes
	VersionID    string    `json:"versionId,omitempty"`   // of buckets with versions only
	LastModified time.Time `json:"lastModified,omitzero"` // UTC, whole seconds, as returned by OSS
}

// Card is what was read, in normal form: without line breaks, control characters and other characters that are not seen. Fields
// that were not read are empty.
type Card struct {
	Name      string `json:"name"`      // U+00B7 between its parts
	Sex       string `json:"sex"`       // 男 or 女 if it can be read as one, else as printed
	Ethnicity string `json:"ethnicity"` // without 族
	BirthDate string `json:"birthDate"` // ISO date if it can be read as one, else as printed
	Address   string `json:"address"`
	IDNumber  string `json:"idNumber"` // digits and X if it is made of them, else as printed
}

// OCR describes the calls. Charged is about the response used; PossibleExtraCharges counts the other calls of this image that
// may have been charged because their responses never came.
type OCR struct {
	RequestID            string             `json:"requestId"` // showapi_res_id
	Charged              bool               `json:"charged"`
	Message              string             `json:"message"`     // the provider's
	ImageSource          config.ImageSource `json:"imageSource"` // url or data, of the last call; empty if there was none
	Details              bool               `json:"details"`     // of the last call
	Attempts             int                `json:"attempts"`    // calls of this invocation
	PossibleExtraCharges int                `json:"possibleExtraCharges"`
	ReusedFrom           string             `json:"reusedFrom,omitempty"` // key of the image with equal bytes whose answer this is
}

// Final reports that the document settles its image: a redelivery of the event changes nothing.
func (d *Document) Final() bool { return d.Error == nil || !d.Error.Retryable }

// Fail makes the document one of a failure.
func (d *Document) Fail(e *Error) { d.Status, d.Error = Failed, e }

// Stamp sets what differs between two documents of the same content.
func (d *Document) Stamp(requestID string, now time.Time) {
	d.SchemaVersion = 1
	d.RequestID = requestID
	d.CompletedAt = now.UTC().Truncate(time.Second)
}

// Encode returns the same bytes for the same content, which are valid UTF-8. Text stays readable: < > & are not escaped.
func (d *Document) Encode() []byte {
	if !utf8.Valid(d.Raw) { // encoding/json passes it on as it is
		d.Raw = bytes.ToValidUTF8(d.Raw, []byte("\ufffd"))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil { // raw is no JSON after all; the rest must not be lost with it
		d.Raw = nil
		b.Reset()
		encoder.Encode(d)
	}
	return b.Bytes()
}

// Metadata is the metadata of the document, which HEAD returns (x-oss-meta-*).
func (d *Document) Metadata() map[string]string {
	return map[string]string{metaSourceETag: d.Image.ETag, metaStatus: string(d.Status)}
}

const (
	metaSourceETag = "source-etag"
	metaStatus     = "status"
)

// FromMetadata returns the image's ETag as written (not normalised) and the status in the metadata of a document, both empty
// if there are none.
func FromMetadata(meta map[string]string) (etag string, status Status) {
	return meta[metaSourceETag], Status(meta[metaStatus])
}

// ErrForeign is returned by Parse for an object that is named like a document and is none of this program.
var ErrForeign = errors.New("result: the object beside the image is no result document")

// Parse decodes a stored document.
func Parse(body []byte) (*Document, error) {
	var d Document
	if json.Unmarshal(body, &d) != nil || d.SchemaVersion == 0 {
		return nil, ErrForeign
	}
	switch d.Status {
	case Recognized, Unrecognized, Failed:
		return &d, nil
	}
	return nil, ErrForeign
}
