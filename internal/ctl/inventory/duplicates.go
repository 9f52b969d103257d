package inventory

import (
	"encoding/hex"

	"fc-idcard-ocr/internal/ctl/ossclient"
)

// Content stands for the bytes of an object that was uploaded at once: their MD5, which is the ETag of such an object, and their
// number. Equal bytes have equal Contents; the other way round only where nobody makes MD5 collisions.
type Content struct {
	md5  [16]byte
	size int64
}

// ContentOf returns the Content of an object, false if its ETag is no MD5 of its bytes: that of a multipart upload has a dash.
func ContentOf(o *ossclient.Object) (c Content, ok bool) {
	if o == nil || o.Size <= 0 || len(o.ETag) != hex.EncodedLen(len(c.md5)) {
		return c, false
	}
	_, err := hex.Decode(c.md5[:], []byte(o.ETag))
	c.size = o.Size
	return c, err == nil
}

// Duplicates counts images of equal bytes. It holds some 60 bytes for each image of its own bytes. The zero value is ready for use.
type Duplicates struct {
	seen           map[Content]uint32
	images, groups int64
}

// Add counts an image, and returns how many images so far have the bytes of another one, and of how many different bytes they are.
func (d *Duplicates) Add(image *ossclient.Object) (images, groups int64) {
	if c, ok := ContentOf(image); ok {
		if d.seen == nil {
			d.seen = map[Content]uint32{}
		}
		d.seen[c]++
		switch d.seen[c] {
		case 1:
		case 2:
			d.groups++
			d.images += 2
		default:
			d.images++
		}
	}
	return d.images, d.groups
}

// Repeated reports whether images of these bytes were added more than once.
func (d *Duplicates) Repeated(c Content) bool { return d.seen[c] > 1 }
