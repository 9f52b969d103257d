package backfill

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"fc-idcard-ocr/internal/message"

	"github.com/gofrs/flock"
)

// holder is the holder of a checkpoint, from its lock file.
type holder struct {
	Process int       `json:"process"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
}

// LockedError says that another run is at work with the checkpoint.
type LockedError struct {
	Path   string // the checkpoint's
	holder holder // empty if that cannot be read
}

// Error names the holder of the checkpoint and the remedy.
func (e *LockedError) Error() string {
	if e.holder.Process == 0 {
		return message.Sprintf("another ocrctl is at work with the checkpoint %s; wait for it or stop it, or name another file with --checkpoint", e.Path)
	}
	return message.Sprintf("another ocrctl (process %d on %s, since %s) is at work with the checkpoint %s; wait for it or stop it, or name another file with --checkpoint",
		e.holder.Process, e.holder.Host, e.holder.Since.Format(time.DateTime), e.Path)
}

// Lock keeps other runs from working with the checkpoint at path until unlock is called or the process ends, however it ends. It
// comes before Open: what another run writes after that would be lost. The error is a *LockedError if somebody else has it.
func Lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(err)
	}
	name := path + ".lock"
	for {
		lock := flock.New(name, flock.SetPermissions(0o600))
		locked, err := lock.TryLock()
		switch {
		case err != nil:
			return nil, unwritable(err)
		case !locked:
			e := &LockedError{Path: path}
			if text, err := os.ReadFile(name); err == nil {
				json.Unmarshal(text, &e.holder) //nolint:errcheck // then nobody is named
			}
			return nil, errors.Join(e, lock.Close())
		}
		if !sameFile(lock, name) { // who had it before has removed the file in the meantime
			lock.Close() //nolint:errcheck // it locks nothing
			continue
		}
		host, _ := os.Hostname()                                                                   //nolint:errcheck // then it is not named
		text, _ := json.Marshal(holder{os.Getpid(), host, time.Now().UTC().Truncate(time.Second)}) //nolint:errcheck // plain values
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return nil, errors.Join(unwritable(err), lock.Close())
		}
		return func() {
			os.Remove(name) //nolint:errcheck // a file that is left locks nothing
			lock.Close()    //nolint:errcheck // likewise
		}, nil
	}
}

// sameFile reports whether the lock is on the file that has the name now.
func sameFile(lock *flock.Flock, name string) bool {
	mine, err := lock.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(name)
	return err == nil && os.SameFile(mine, now)
}
