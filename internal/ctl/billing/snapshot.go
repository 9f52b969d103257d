package billing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"fc-idcard-ocr/internal/ctl/marketclient"
	"fc-idcard-ocr/internal/message"
)

// Snapshot is what the provider's meter said at a time.
type Snapshot struct {
	At time.Time `json:"at"` // UTC
	marketclient.Meter
}

// ReadSnapshots reads a file of snapshots, oldest first. A file that is not there has none.
func ReadSnapshots(path string) (list []Snapshot, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, message.Errorf("the meter's snapshots cannot be read: %w", err)
	}
	for line := range bytes.Lines(text) {
		var s Snapshot
		switch {
		case json.Unmarshal(line, &s) == nil && !s.At.IsZero():
			list = append(list, s)
		case line[len(line)-1] == '\n': // else the end of a write that broke off
			return nil, message.Errorf("%s is no file of meter snapshots; name another file with --snapshots, or remove it", path)
		}
	}
	return list, nil
}

// AppendSnapshot adds a snapshot to the file.
func AppendSnapshot(path string, s Snapshot) (err error) {
	defer func() {
		if err != nil {
			err = message.Errorf("the meter's snapshot cannot be written: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	list, err := ReadSnapshots(path)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	for _, known := range append(list, s) {
		if err := lines.Encode(known); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path+".new", text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Before returns the last snapshot of the list that is not after the time, else the first. With a zero time it is the last one.
func Before(list []Snapshot, t time.Time) (Snapshot, bool) {
	if len(list) == 0 {
		return Snapshot{}, false
	}
	chosen := list[0]
	for _, s := range list {
		if t.IsZero() || !s.At.After(t) {
			chosen = s
		}
	}
	return chosen, true
}
