package backfill

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// compactEvery is after how many lines, or images dealt with, the file is written anew.
const compactEvery = 1000

// Identity is what makes two runs the same job. A checkpoint of another job is refused.
type Identity struct {
	Bucket   string      `json:"bucket"`
	Prefix   string      `json:"prefix"`
	Function string      `json:"function"`
	Since    string      `json:"since"` // as the caller wrote it: "48h" is the same job tomorrow
	Retry    string      `json:"retryFailed"`
	Keys     result.Keys `json:"names"`
	Reuse    bool        `json:"reuse,omitempty"` // images were passed over that another run would submit
}

// Identity returns that of the job's options, with Since as it was written. Rate, limits and the like may differ from run to run.
func (o Options) Identity(since string) Identity {
	return Identity{Bucket: o.Bucket, Prefix: o.Prefix, Function: o.Function, Since: since, Retry: o.Retry.String(), Keys: o.Keys, Reuse: o.Reuse}
}

// FileName is the name of the job's checkpoint if none is given.
func (i Identity) FileName() string {
	text, _ := json.Marshal(i) // strings and a time only
	sum := sha256.Sum256(text)
	return "backfill-" + i.Bucket + "-" + hex.EncodeToString(sum[:6]) + ".jsonl"
}

// header is the first line of the file.
type header struct {
	Version   int                `json:"checkpoint"` // 1
	Job       Identity           `json:"job"`
	Position  inventory.Position `json:"position"`  // everything up to it is dealt with
	Submitted int64              `json:"submitted"` // images, up to the position
	Charges   int64              `json:"charges"`   // paid calls of them
}

// entry is any other line: an image beyond the position that was submitted already.
type entry struct {
	Key     string `json:"key"`
	Charged bool   `json:"charged"`
}

// Checkpoint is the memory of a job between runs: a file of JSON lines. Each submission is noted as soon as FC has taken it, so a
// process that is killed forgets at most those whose answer it had not seen. It holds object keys, and is readable by its
// owner only.
type Checkpoint struct {
	path string

	mu        sync.Mutex
	header    header
	submitted map[string]entry
	file      *os.File
	lines     int // since the file was written anew
}

// New begins a checkpoint. It reads and writes no file before the first entry.
func New(path string, job Identity) *Checkpoint {
	return &Checkpoint{path: path, header: header{Version: 1, Job: job}, submitted: make(map[string]entry)}
}

// Open reads the checkpoint of a job, or begins one.
func Open(path string, job Identity) (*Checkpoint, error) {
	c := New(path, job)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, message.Errorf("the checkpoint cannot be read: %w", err)
	}
	lines := bufio.NewReader(bytes.NewReader(text))
	first, err := lines.ReadBytes('\n')
	var found header
	if err != nil || json.Unmarshal(first, &found) != nil || found.Version != 1 {
		return nil, message.Errorf("%s is no checkpoint of a backfill; name another file with --checkpoint, or remove it", path)
	}
	if !same(found.Job, job) {
		return nil, message.Errorf("%s is the checkpoint of another backfill (other bucket, prefix, function, suffixes, --since, --retry-failed or --reuse); name another file with --checkpoint, or remove it", path)
	}
	c.header = found
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // also a line that a kill cut off: its image is submitted once more
			return c, nil
		}
		var n entry
		if json.Unmarshal(line, &n) != nil {
			return nil, message.Errorf("%s is damaged; remove it to begin anew: what has its document is skipped anyway", path)
		}
		c.submitted[n.Key] = n
	}
}

func same(a, b Identity) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// Job is what the checkpoint belongs to.
func (c *Checkpoint) Job() Identity { return c.header.Job }

// Path is the file's.
func (c *Checkpoint) Path() string { return c.path }

// Position is where the job goes on.
func (c *Checkpoint) Position() inventory.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return inventory.Position{After: c.header.Position.After, Pending: append([]inventory.Entry(nil), c.header.Position.Pending...)}
}

// After is the last key that was dealt with; empty at the start.
func (c *Checkpoint) After() string { return c.Position().After }

// Submitted returns how many images all runs have submitted, and how many paid calls these need.
func (c *Checkpoint) Submitted() (images, charges int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	images, charges = c.header.Submitted, c.header.Charges
	for _, n := range c.submitted {
		images++
		if n.Charged {
			charges++
		}
	}
	return images, charges
}

// IsSubmitted reports whether the image was submitted although it lies beyond the position.
func (c *Checkpoint) IsSubmitted(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.submitted[key]
	return ok
}

// Record remembers that the image was submitted.
func (c *Checkpoint) Record(key string, charged bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := entry{key, charged}
	c.submitted[key] = n
	if c.file == nil || c.lines >= compactEvery {
		return c.save()
	}
	return c.append(n)
}

// Advance says that everything up to the position is dealt with, key last of all.
func (c *Checkpoint) Advance(key string, to inventory.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header.Position = to
	if n, ok := c.submitted[key]; ok {
		delete(c.submitted, key)
		c.header.Submitted++
		if n.Charged {
			c.header.Charges++
		}
	}
	c.lines++
	if c.lines > compactEvery {
		return c.save()
	}
	return nil
}

// Save writes the whole state and closes the file. The error is ErrCheckpoint.
func (c *Checkpoint) Save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.save(), c.close())
}

// Finish removes the file: the job is done.
func (c *Checkpoint) Finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.close()
	if removeErr := os.Remove(c.path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return err
}

func (c *Checkpoint) close() error {
	if c.file == nil {
		return nil
	}
	file := c.file
	c.file = nil
	return file.Close()
}

// ErrCheckpoint is in the errors of a checkpoint that cannot be written. What it remembered before stays.
var ErrCheckpoint = message.Error("the checkpoint cannot be written")

func unwritable(err error) error {
	return message.Errorf("%w: %w; make room, or name a file elsewhere with --checkpoint. Images that it does not hold are submitted again by the next run, and paid once all the same", ErrCheckpoint, err)
}

// save writes the file anew, beside the old one and then in its place.
func (c *Checkpoint) save() error {
	if err := c.replace(); err != nil {
		os.Remove(c.path + ".new") //nolint:errcheck // the first error is returned
		return unwritable(err)
	}
	return nil
}

func (c *Checkpoint) replace() error {
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(c.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	text := bufio.NewWriter(file)
	lines := json.NewEncoder(text)
	err = lines.Encode(c.header)
	for _, n := range c.submitted {
		err = errors.Join(err, lines.Encode(n))
	}
	if err = errors.Join(err, text.Flush(), c.close()); err == nil {
		err = os.Rename(c.path+".new", c.path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	c.file, c.lines = file, 0
	return nil
}

// append adds a line to the file. If that fails, the file may end in half a line, to which nothing may be added: the next
// write is a new file.
func (c *Checkpoint) append(n entry) error {
	if err := json.NewEncoder(c.file).Encode(n); err != nil {
		return unwritable(errors.Join(err, c.close()))
	}
	c.lines++
	return nil
}
