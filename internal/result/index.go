package result

const (
	// OwnPrefix is where the program's objects are that lie beside no image. Nothing below it is ever an image.
	OwnPrefix = ".fc-idcard-ocr/"
	// IndexPrefix is where the index of paid pictures (OCR_REUSE) is, one object for each SHA-256.
	IndexPrefix = OwnPrefix + "sha256/"
)

// IndexEntry names the image with the document that was paid for a picture. It holds nothing that was read.
type IndexEntry struct {
	Key  string `json:"key"`
	ETag string `json:"etag"`
	// Answer is the document's ocr.requestId, and Kept what is kept of that answer (Retention.Kept). Without them, what a document
	// lacks may have been dropped.
	Answer string   `json:"answer,omitempty"`
	Kept   []string `json:"kept,omitempty"`
}

// Index returns the key of the index entry for a picture's SHA-256. It ends like a result, which no image does.
func (k Keys) Index(sum string) string { return k.Result(IndexPrefix + sum) }
