package main

import (
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// maxTroubles is how many documents are named that cannot be read; the others are counted.
const maxTroubles = 20

// troubles names the images that a pass could not deal with, while it goes on.
type troubles struct {
	s *settings
	n int
}

// unread names an image whose document cannot be read.
func (t *troubles) unread(key, cause string) {
	if t.n++; t.n <= maxTroubles {
		t.s.note("%s: its document cannot be read: %s", t.s.key(key), explain(cause))
	}
}

// unremoved names an image whose document cannot be removed.
func (t *troubles) unremoved(key, cause string) {
	if t.n++; t.n <= maxTroubles {
		t.s.note("%s: its document cannot be removed: %s", t.s.key(key), explain(cause))
	}
}

// err ends the command with a failure if there was any.
func (t *troubles) err() error {
	if t.n == 0 {
		return nil
	}
	if t.n > maxTroubles {
		t.s.note("... and %d more; `ocrctl status --list unreadable` names them all", t.n-maxTroubles)
	}
	return exitError{exitFailed, message.Sprintf("%d documents could not be read or removed; everything else is done", t.n)}
}

// explain says in words what is wrong with a document, and keeps the code by which it can be looked up.
func explain(cause string) string {
	text, ok := map[string]message.Key{
		inventory.NoDocument:       "it is none of this program",
		inventory.UnknownCode:      "its error code is none of this version; a newer ocrctl may know it",
		"InvalidObjectState":       "it is archived; restore it first (ossutil restore)",
		"AccessDenied":             "a permission is missing, oss:GetObject or that for its key",
		"FileImmutable":            "a retention policy protects it",
		"FileAlreadyExists":        "it may not be overwritten",
		"KmsServiceNotEnabled":     "it is encrypted with a key of KMS, which is not enabled",
		string(result.Unavailable): "OSS did not answer",
	}[cause]
	if !ok {
		return cause
	}
	return message.Sprintf("%s (%s)", message.Text(text), cause)
}
