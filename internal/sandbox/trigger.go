package sandbox

import (
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// ImageSuffixes are the key endings (in any letter case) for which the trigger calls the function.
var ImageSuffixes = []string{".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic"}

// IsImage reports whether the trigger calls the function for an object of this key.
func IsImage(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(ImageSuffixes, func(suffix string) bool { return strings.HasSuffix(key, suffix) })
}

// notify is the bucket's event notification.
func (c *Cloud) notify(options Options, event ossfake.Event) {
	if options.OnObject != nil {
		options.OnObject(event)
	}
	c.touch()
	if strings.HasSuffix(event.Key, ResultSuffix) {
		c.broadcast()
	}
	events := result.CreateEvents
	if options.removesWithImage() {
		events = slices.Concat(events, result.RemoveEvents)
	}
	if event.Bucket != c.Bucket || !slices.Contains(events, event.Name) {
		return
	}
	if why := untaken(event.Key); why != "" {
		if options.OnIgnored != nil && !isBeside(event.Key) {
			options.OnIgnored(event.Key, why)
		}
		if !IsImage(event.Key) {
			return
		}
	}
	c.mu.Lock()
	delete(c.failed, event.Key)
	c.mu.Unlock()
	options.Deliver(event, c.invoke)
}

// maxName is the longest name of a file that file systems take, in bytes.
const maxName = 255

// untaken says why nothing comes of an object; empty if its document will.
func untaken(key string) string {
	switch name := path.Base(key); {
	case !IsImage(key):
		return message.Sprintf("its name ends in none of %s", strings.Join(ImageSuffixes, ", "))
	case len(name)+len(ClaimSuffix) > maxName:
		return message.Sprintf("its name has %d bytes, and the file beside it would have more than %d; shorten it to %d", len(name), maxName, maxName-len(ClaimSuffix))
	}
	return ""
}

// isBeside recognises the objects that the function and reviewers write beside an image.
func isBeside(key string) bool {
	return slices.ContainsFunc([]string{ResultSuffix, ClaimSuffix, result.ReviewSuffix}, func(suffix string) bool { return strings.HasSuffix(key, suffix) })
}

// removesWithImage reports whether the function is to hear of removed images, as a deployment with REMOVE_WITH_IMAGE lets it.
func (o Options) removesWithImage() bool { return slices.Contains(o.Env, "REMOVE_WITH_IMAGE=true") }

// invoke hands an event to the function, asynchronously.
func (c *Cloud) invoke(event ossfake.Event) {
	if _, err := c.Runtime.InvokeAsync(event.JSON(), fcfake.Options{}); err != nil && !errors.Is(err, fcfake.ErrClosed) {
		c.log.Error("an event is lost", "reason", err)
	}
}

// gaveUp reports whether FC gave the last event of the object up.
func (c *Cloud) gaveUp(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, failed := c.failed[key]
	return failed
}

// touch notes that something happens in the sandbox.
func (c *Cloud) touch() {
	now := time.Now()
	c.active.Store(&now)
}

// broadcast wakes those who wait for a result.
func (c *Cloud) broadcast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}
