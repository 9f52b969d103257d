package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/management"
)

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
	c.mu.Lock()
	for _, key := range keysOf(destination.RequestPayload) {
		c.failed[key] = destination.ResponsePayload
	}
	c.mu.Unlock()
	c.broadcast()
}

// keysOf are the keys of an event; none if it is of somebody else's making.
func keysOf(payload string) (keys []string) {
	var event struct {
		Events []struct {
			OSS struct {
				Object struct {
					Key string `json:"key"`
				} `json:"object"`
			} `json:"oss"`
		} `json:"events"`
	}
	if json.Unmarshal([]byte(payload), &event) != nil {
		return nil
	}
	for _, record := range event.Events {
		keys = append(keys, record.OSS.Object.Key)
	}
	return keys
}

// failures lists the failure folder.
func (c *Cloud) failures() ([]management.Failure, error) {
	files, err := filepath.Glob(filepath.Join(c.FailureDir, "*.json"))
	if err != nil {
		return nil, err
	}
	var failures []management.Failure
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var destination fcfake.Destination
		if json.Unmarshal(content, &destination) != nil {
			continue // somebody else's file
		}
		failures = append(failures, management.Failure{File: filepath.Base(file), Key: strings.Join(keysOf(destination.RequestPayload), ", "), Error: destination.RequestContext.Condition})
	}
	return failures, nil
}
