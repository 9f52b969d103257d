package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/ocrclient"
)

// ReviewSuffix is appended to an image's key for its review. The review is a file of its own: the document, which was paid for, stays
// as it is.
const ReviewSuffix = config.ReviewSuffix

// Decision is what a person found.
type Decision string

// The decisions.
const (
	Confirmed Decision = "confirmed" // the document is right
	Corrected Decision = "corrected" // After replaces what was read
)

// Review is what a person found when they compared a picture with its document. Field order and names are a published format:
// docs/review.schema.json.
type Review struct {
	SchemaVersion int        `json:"schemaVersion"`
	Decision      Decision   `json:"decision"`
	Image         Image      `json:"image"`    // the version that was reviewed
	Document      Reviewed   `json:"document"` // the document that was reviewed
	Before        Card       `json:"before"`   // empty fields if nothing was recognised
	After         Card       `json:"after"`
	Validation    Validation `json:"validation"` // of After
	ReviewedBy    string     `json:"reviewedBy"`
	ReviewedAt    time.Time  `json:"reviewedAt"`
}

// Reviewed names a document.
type Reviewed struct {
	Status      Status    `json:"status"`
	RequestID   string    `json:"requestId"`
	CompletedAt time.Time `json:"completedAt"`
}

// NewReview reviews a document. card is what the picture shows, in any form that a document may have printed; it is brought into normal
// form. A card equal to the document's confirms it.
func NewReview(d *Document, card Card, by string, now time.Time) *Review {
	after := Document{}
	after.ApplyResponse(&ocrclient.Response{Recognized: true, Card: ocrclient.Card{IDNumber: card.IDNumber, Name: card.Name, Sex: card.Sex,
		Ethnicity: card.Ethnicity, BirthDate: card.BirthDate, Address: card.Address}}, now)
	r := &Review{SchemaVersion: 1, Decision: Confirmed, Image: d.Image, Document: Reviewed{d.Status, d.RequestID, d.CompletedAt},
		After: *after.Card, Validation: *after.Validation, ReviewedBy: by, ReviewedAt: now.UTC().Truncate(time.Second)}
	if d.Card != nil {
		r.Before = *d.Card
	}
	if r.After != r.Before {
		r.Decision = Corrected
	}
	return r
}

// About reports whether the review is about this document, and so about the image that this document is of: the images of one event
// have documents of one request ID, and often of one second.
func (r *Review) About(d *Document) bool {
	return r.Image.Bucket == d.Image.Bucket && r.Image.Key == d.Image.Key && r.Image.ETag == d.Image.ETag &&
		r.Document.RequestID == d.RequestID && r.Document.CompletedAt.Equal(d.CompletedAt)
}

// Apply returns the document as the review leaves it: with the card and validation that a person confirmed, recognised.
func (r *Review) Apply(d Document) Document {
	card, validation := r.After, r.Validation
	d.Status, d.Card, d.Validation, d.Error = Recognized, &card, &validation, nil
	return d
}

// Mask returns the review masked, as Document.Mask does.
func (r Review) Mask() Review {
	r.Before, r.After, r.Image.Key = r.Before.Mask(), r.After.Mask(), MaskKey(r.Image.Key)
	return r
}

// Encode returns the same bytes for the same review.
func (r *Review) Encode() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	encoder.Encode(r) //nolint:errcheck // strings, numbers and times only
	return b.Bytes()
}

// ErrForeignReview is returned by ParseReview for an object that is named like a review and is none.
var ErrForeignReview = errors.New("result: the object beside the image is no review")

// ParseReview decodes a stored review.
func ParseReview(body []byte) (*Review, error) {
	var r Review
	if json.Unmarshal(body, &r) != nil || r.SchemaVersion == 0 || (r.Decision != Confirmed && r.Decision != Corrected) {
		return nil, ErrForeignReview
	}
	return &r, nil
}
