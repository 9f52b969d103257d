package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// ImageSuffixes are the key endings (in any letter case) for which the trigger calls the function.
var ImageSuffixes = []string{".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic"}

// IsImage tells whether the trigger calls the function for an object of this key.
func IsImage(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(ImageSuffixes, func(suffix string) bool { return strings.HasSuffix(key, suffix) })
}

// notify is the bucket's event notification.
func (c *Cloud) notify(options Options, event ossfake.Event) {
	if options.OnObject != nil {
		options.OnObject(event)
	}
	if strings.HasSuffix(event.Key, ResultSuffix) {
		c.broadcast()
	}
	if event.Bucket != c.Bucket || !slices.Contains(result.CreateEvents, event.Name) || !IsImage(event.Key) {
		return
	}
	c.mu.Lock()
	delete(c.failed, event.Key)
	c.mu.Unlock()
	options.Deliver(event, c.invoke)
}

// invoke hands an event to the function, asynchronously.
func (c *Cloud) invoke(event ossfake.Event) {
	if _, err := c.Runtime.InvokeAsync(event.JSON(), fcfake.Options{}); err != nil && !errors.Is(err, fcfake.ErrClosed) {
		c.log.Error("an event is lost", "reason", err)
	}
}

// fileFailure is the failure destination: a message in the queue and a file for each event that was given up.
func (c *Cloud) fileFailure(destination fcfake.Destination) {
	message, err := json.Marshal(destination)
	if err == nil {
		err = c.Failures.Send(FailureQueue, string(message))
	}
	if err != nil {
		c.log.Error("the failure queue takes no message", "reason", err)
	}
	content, err := json.MarshalIndent(destination, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(c.FailureDir, destination.RequestContext.RequestID+".json"), content, 0o600)
	}
	if err != nil {
		c.log.Error("the failure destination cannot be written", "reason", err)
	}
	var event struct {
		Events []struct {
			OSS struct {
				Object struct {
					Key string `json:"key"`
				} `json:"object"`
			} `json:"oss"`
		} `json:"events"`
	}
	if err := json.Unmarshal([]byte(destination.RequestPayload), &event); err != nil {
		return // an event of somebody else's making
	}
	c.mu.Lock()
	for _, record := range event.Events {
		c.failed[record.OSS.Object.Key] = destination.ResponsePayload
	}
	c.mu.Unlock()
	c.broadcast()
}

// broadcast wakes those who wait for a result.
func (c *Cloud) broadcast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}
