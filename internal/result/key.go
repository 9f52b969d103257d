package result

import (
	"path"
	"slices"
	"strings"
)

// CreateEvents are the OSS events after which a whole new object is there. ObjectCreated:* would hold more: uploads of single
// parts and appends, for which there is nothing to recognise yet. Native events come without the "oss:" prefix, which a
// trigger's configuration has.
var CreateEvents = []string{
	"ObjectCreated:PutObject",
	"ObjectCreated:PostObject",
	"ObjectCreated:CompleteMultipartUpload",
	"ObjectCreated:CopyObject",
}

// RemoveEvents are the OSS events after which an object is gone, unless another one of its key came since.
var RemoveEvents = []string{"ObjectRemoved:DeleteObject", "ObjectRemoved:DeleteObjects"}

// Keys distinguishes the keys of images, documents and claims. Package config refuses suffixes that overlap, so a key is one
// of them at most.
type Keys struct {
	ImageSuffixes []string // compared without regard to case
	ImageExclude  []string // likewise: suffixes, or globs over the whole key if there is one of "*?[" in them
	ResultSuffix  string   // appended to the whole key of the image
	ClaimSuffix   string   // likewise
}

// IsImage reports whether an object of this key is to be recognised. Below OwnPrefix there is none, whatever its suffix.
func (k Keys) IsImage(key string) bool {
	if strings.HasPrefix(key, OwnPrefix) {
		return false
	}
	key = strings.ToLower(key)
	matches := func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		if !strings.ContainsAny(pattern, "*?[") {
			return strings.HasSuffix(key, pattern)
		}
		return matchGlob(pattern, key)
	}
	return slices.ContainsFunc(k.ImageSuffixes, func(suffix string) bool { return strings.HasSuffix(key, strings.ToLower(suffix)) }) &&
		!slices.ContainsFunc(k.ImageExclude, matches)
}

// matchGlob reports whether a key matches a pattern of path.Match, in which "*" and "?" stand for slashes, too.
// Package config refuses bad patterns.
func matchGlob(pattern, key string) bool {
	const slash = "\x00" // no key holds it
	matched, _ := path.Match(strings.ReplaceAll(pattern, "/", slash), strings.ReplaceAll(key, "/", slash))
	return matched
}

// Result returns the key of the document beside an image.
func (k Keys) Result(image string) string { return image + k.ResultSuffix }

// Claim returns the key of the claim on an image.
func (k Keys) Claim(image string) string { return image + k.ClaimSuffix }
