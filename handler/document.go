package handler

import (
	"bytes"
	"encoding/json"
	"time"
)

// Status is how an image ended.
type Status string

// The three statuses of a document.
const (
	Recognized   Status = "recognized"   // there is a card
	Unrecognized Status = "unrecognized" // the provider answered and found no ID number
	Failed       Status = "failed"       // there is no answer
)

const documentType = "application/json; charset=utf-8"

// Document is the result document. Field order and names are a published format: docs/result.schema.json.
type Document struct {
	SchemaVersion int             `json:"schemaVersion"`
	Status        Status          `json:"status"`
	Image         Image           `json:"image"`
	Card          *Card           `json:"card,omitempty"`       // of recognised images only
	Validation    *Validation     `json:"validation,omitempty"` // likewise
	OCR           OCR             `json:"ocr"`
	Error         *DocumentError  `json:"error,omitempty"` // unless recognised
	Raw           json.RawMessage `json:"raw,omitempty"`   // showapi_res_body as it came, unless it is unreasonably large
	RequestID     string          `json:"requestId"`
	CompletedAt   time.Time       `json:"completedAt"`
}

// Image is the version of the object that the document is about. A picture sent by HTTP has a size only.
type Image struct {
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	ETag   string `json:"etag,omitempty"` // upper case, without quotes
	Size   int64  `json:"size"`           // bytes
}

// Card is what was read; fields that were not read are empty.
type Card struct {
	Name      string `json:"name"`
	Sex       string `json:"sex"`
	Ethnicity string `json:"ethnicity"`
	BirthDate string `json:"birthDate"` // ISO date if it can be read as one, else as printed
	Address   string `json:"address"`
	IDNumber  string `json:"idNumber"`
}

// OCR tells of the calls. Charged is about the answer used; PossibleExtraCharges counts the other calls of this image that
// may have been charged because their answers never came.
type OCR struct {
	RequestID            string `json:"requestId"` // showapi_res_id
	Charged              bool   `json:"charged"`
	Message              string `json:"message"`     // the provider's
	ImageSource          Source `json:"imageSource"` // of the last call; empty if there was none
	Details              bool   `json:"details"`     // of the last call
	Attempts             int    `json:"attempts"`    // calls of this invocation
	PossibleExtraCharges int    `json:"possibleExtraCharges"`
}

// DocumentError says why there is no card. An image whose document has Retryable true is not done.
type DocumentError struct {
	Code      Code   `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// final reports that the document settles its image: a redelivery of the event changes nothing.
func (d *Document) final() bool { return d.Error == nil || !d.Error.Retryable }

func (d *Document) fail(e *Error) {
	d.Status = Failed
	d.Error = &DocumentError{Code: e.Code, Message: e.Message, Retryable: e.Retryable}
}

// encode writes the document with the same bytes for the same content. Text stays readable: < > & are not escaped.
func (d *Document) encode() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil { // raw that is not JSON after all: never lose the rest for it
		d.Raw = nil
		b.Reset()
		encoder.Encode(d)
	}
	return b.Bytes()
}

// metadata is what a HEAD of the document tells.
func (d *Document) metadata() map[string]string {
	return map[string]string{"source-etag": d.Image.ETag, "status": string(d.Status)}
}

func (d *Document) stamp(requestID string) {
	d.SchemaVersion = 1
	d.RequestID = requestID
	d.CompletedAt = time.Now().UTC().Truncate(time.Second)
}
