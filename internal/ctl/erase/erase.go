// Package erase removes everything that the function and its users keep of an image in a bucket: the picture, the document, the
// review, the claim, all their versions, and the index entry of OCR_REUSE that names the image. It never removes anything while another
// invocation is at work on the image, and its receipt holds hashes only.
package erase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// claimBytes is the most that a claim can hold.
const claimBytes = 4 << 20

// fenceLife is the lease of the claim that erasing takes. It is far longer than erasing one image takes.
const fenceLife = 10 * time.Minute

// Eraser erases images of one bucket.
type Eraser struct {
	Bucket *ossclient.Bucket
	Keys   result.Keys
	// Wait waits for invocations that are at work; else their images are left, and BusyError says until when.
	Wait func(ctx context.Context, until time.Time) error

	claims   claim.Store // nil takes no claim
	claimKey claim.Key
	index    map[string][]string // index entries by the image that they name; nil until it was read
}

// FenceWith has Erase take the claim of each image, with the function's AppSecret or AppCode. Without it an invocation that begins
// while an image is erased is only found out by its claim.
func (e *Eraser) FenceWith(claims claim.Store, secret string) {
	e.claims, e.claimKey = claims, claim.NewKey(secret)
}

// Found is what is in the bucket of one image.
type Found struct {
	Key                                string
	image, document, review, claim     []ossclient.Version
	IndexEntries                       []string
	Images, Documents, Reviews, Claims int // versions with content
	Markers                            int
	DocumentSHA256                     []string // of all versions that could be read
}

// Objects is how many versions, delete markers and index entries there are.
func (f Found) Objects() int {
	return len(f.image) + len(f.document) + len(f.review) + len(f.claim) + len(f.IndexEntries)
}

// Receipt is what may be kept of an erased image.
type Receipt struct {
	KeySHA256       string   `json:"keySha256"`
	DocumentsSHA256 []string `json:"documentsSha256,omitempty"`
	Objects         int      `json:"objects"` // versions, delete markers and index entries that were removed
	Fenced          bool     `json:"fenced"`  // the claim was held meanwhile
}

// BusyError says that an invocation is at work on the image.
type BusyError struct {
	Until        time.Time
	ImageRemoved bool // the picture is gone; document and claim are left
}

// Error says until when.
func (e *BusyError) Error() string {
	until := e.Until.UTC().Format(time.RFC3339)
	if e.ImageRemoved {
		return message.Sprintf("an invocation may be at work on the image until %s; its picture is erased, its document and claim are not: run the command again then, or with --wait", until)
	}
	return message.Sprintf("an invocation may be at work on the image until %s; nothing of it was erased: run the command again then, or with --wait", until)
}

// Find lists what there is of an image.
func (e *Eraser) Find(ctx context.Context, key string) (Found, error) {
	f := Found{Key: key}
	if err := e.readIndex(ctx); err != nil {
		return f, err
	}
	f.IndexEntries = e.index[key]
	own := map[string]struct {
		versions *[]ossclient.Version
		count    *int
	}{key: {&f.image, &f.Images}, e.Keys.Result(key): {&f.document, &f.Documents}, e.Keys.Claim(key): {&f.claim, &f.Claims}, key + result.ReviewSuffix: {&f.review, &f.Reviews}}
	for v, err := range e.Bucket.Versions(ctx, key) {
		if err != nil {
			return f, err
		}
		to, mine := own[v.Key]
		switch {
		case !mine:
			continue
		case v.Marker:
			f.Markers++
		default:
			*to.count++
		}
		*to.versions = append(*to.versions, v)
	}
	for _, v := range f.document {
		if v.Marker {
			continue
		}
		body, err := e.Bucket.ReadVersion(ctx, v, result.MaxBytes)
		if err == nil {
			f.DocumentSHA256 = append(f.DocumentSHA256, sum(body))
		} else if !ossclient.OfObject(err) && !ossclient.TooLarge(err) {
			return f, err
		}
	}
	return f, nil
}

// readIndex reads which index entries name which image.
func (e *Eraser) readIndex(ctx context.Context) error {
	if e.index != nil {
		return nil
	}
	index := make(map[string][]string)
	for o, err := range e.Bucket.List(ctx, result.IndexPrefix, "") {
		if err != nil {
			return err
		}
		body, err := e.Bucket.Read(ctx, o.Key, 64<<10)
		if err != nil && !ossclient.NotFound(err) {
			return err
		}
		var entry result.IndexEntry
		if err == nil && json.Unmarshal(body, &entry) == nil {
			index[entry.Key] = append(index[entry.Key], o.Key)
		}
	}
	e.index = index
	return nil
}

func sum(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}

// Erase erases an image. The picture goes first: an invocation that begins later finds none, pays nothing and writes nothing. The
// claim goes last.
func (e *Eraser) Erase(ctx context.Context, key string) (Receipt, error) {
	receipt := Receipt{KeySHA256: sum([]byte(key))}
	if err := e.untilIdle(ctx, key, false); err != nil {
		return receipt, err
	}
	held, err := e.fence(ctx, key)
	if err != nil {
		return receipt, err
	}
	receipt.Fenced = held != nil && !held.Replaced
	if err := e.eraseObjects(ctx, key, &receipt); err != nil {
		if held != nil { // or it would keep the next try, and the function, waiting
			err = errors.Join(err, held.Return(context.WithoutCancel(ctx)))
		}
		return receipt, err
	}
	left, err := e.Find(ctx, key)
	if err == nil && left.Objects() > 0 {
		err = message.Errorf("%d objects or versions of the image are there again: somebody writes them; run the command again", left.Objects())
	}
	return receipt, err
}

func (e *Eraser) eraseObjects(ctx context.Context, key string, receipt *Receipt) error {
	found, err := e.Find(ctx, key)
	if err != nil {
		return err
	}
	if err := e.remove(ctx, receipt, found.image); err != nil {
		return err
	}
	if !receipt.Fenced { // an invocation may have begun between the check of the claim and the removal of the image
		if err := e.untilIdle(ctx, key, true); err != nil {
			return err
		}
	}
	if found, err = e.Find(ctx, key); err != nil {
		return err
	}
	receipt.DocumentsSHA256 = found.DocumentSHA256
	for _, entry := range found.IndexEntries {
		if err := e.removeEntry(ctx, receipt, entry); err != nil {
			return err
		}
	}
	delete(e.index, key)
	for _, versions := range [][]ossclient.Version{found.image, found.document, found.review, found.claim} {
		if err := e.remove(ctx, receipt, versions); err != nil {
			return err
		}
	}
	return nil
}

// removeEntry removes all versions of an index entry.
func (e *Eraser) removeEntry(ctx context.Context, receipt *Receipt, key string) error {
	var versions []ossclient.Version
	for v, err := range e.Bucket.Versions(ctx, key) {
		if err != nil {
			return err
		}
		if v.Key == key {
			versions = append(versions, v)
		}
	}
	return e.remove(ctx, receipt, versions)
}

func (e *Eraser) remove(ctx context.Context, receipt *Receipt, versions []ossclient.Version) error {
	for _, v := range versions {
		if err := e.Bucket.RemoveVersion(ctx, v); err != nil {
			return err
		}
		receipt.Objects++
	}
	return nil
}

// untilIdle makes sure that no invocation holds the claim.
func (e *Eraser) untilIdle(ctx context.Context, key string, imageRemoved bool) error {
	for {
		body, err := e.Bucket.Read(ctx, e.Keys.Claim(key), claimBytes)
		switch {
		case ossclient.NotFound(err) || ossclient.TooLarge(err):
			return nil
		case err != nil:
			return err
		}
		until := claim.LeaseEnd(body, time.Now())
		switch {
		case until.IsZero():
			return nil
		case e.Wait == nil:
			return &BusyError{Until: until, ImageRemoved: imageRemoved}
		}
		if err := e.Wait(ctx, until); err != nil {
			return err
		}
	}
}

// fence takes the claim, so that no invocation begins while the image is erased. It returns nil if that cannot be done, and a claim
// that says Replaced if the key is not the function's.
func (e *Eraser) fence(ctx context.Context, key string) (*claim.Claim, error) {
	if e.claims == nil {
		return nil, nil
	}
	object := claim.Object{Store: e.claims, Key: e.Keys.Claim(key), Image: e.Bucket.Name() + "/" + key, Auth: e.claimKey}
	for {
		held, err := claim.Acquire(ctx, object, claim.Holder{LeaseEnd: time.Now().Add(fenceLife)})
		switch {
		case err == nil:
			return held, nil
		case errors.Is(err, claim.ErrForeign) || errors.Is(err, claim.ErrTooLarge):
			return nil, nil
		case !errors.Is(err, claim.ErrHeld):
			return nil, err
		}
		if err := e.untilIdle(ctx, key, false); err != nil {
			return nil, err
		}
	}
}

// ImageOf returns the key of the image that an object of this key belongs to; false if it is none of an image's.
func ImageOf(k result.Keys, key string) (string, bool) {
	if strings.HasPrefix(key, result.OwnPrefix) {
		return "", false
	}
	for _, suffix := range []string{result.ReviewSuffix, k.ResultSuffix, k.ClaimSuffix} {
		if image, own := strings.CutSuffix(key, suffix); own && image != "" {
			return image, true
		}
	}
	return key, k.IsImage(key)
}

// UnderPrefix returns the keys of all images below a prefix of which there is anything, in order.
func (e *Eraser) UnderPrefix(ctx context.Context, prefix string) ([]string, error) {
	found := make(map[string]bool)
	for v, err := range e.Bucket.Versions(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if image, ok := ImageOf(e.Keys, v.Key); ok {
			found[image] = true
		}
	}
	return sorted(found), nil
}

func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
