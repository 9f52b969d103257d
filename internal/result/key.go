package result

import "strings"

// CreateEvents are the OSS events after which a whole new object is there. ObjectCreated:* would hold more: uploads of single
// parts and appends, for which there is nothing to recognise yet. Native events come without the "oss:" prefix, which a
// trigger's configuration has.
var CreateEvents = []string{
	"ObjectCreated:PutObject",
	"ObjectCreated:PostObject",
	"ObjectCreated:CompleteMultipartUpload",
	"ObjectCreated:CopyObject",
}

// Keys tells the keys of images, documents and claims apart. Package config refuses suffixes that overlap, so a key is one
// of them at most.
type Keys struct {
	ImageSuffixes []string // compared without regard to case
	ResultSuffix  string   // appended to the whole key of the image
	ClaimSuffix   string   // likewise
}

// IsImage reports whether an object of this key is to be recognised.
func (k Keys) IsImage(key string) bool {
	key = strings.ToLower(key)
	for _, suffix := range k.ImageSuffixes {
		if strings.HasSuffix(key, strings.ToLower(suffix)) {
			return true
		}
	}
	return false
}

// Result returns the key of the document beside an image.
func (k Keys) Result(image string) string { return image + k.ResultSuffix }

// Claim returns the key of the claim on an image.
func (k Keys) Claim(image string) string { return image + k.ClaimSuffix }
