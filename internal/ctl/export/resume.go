package export

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Format is how an export is written.
type Format string

// The formats.
const (
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
	Table     Format = "table"
)

// New returns the writer of a format. headed says that the header, if the format has one, is there already.
func New(format Format, w io.Writer, headed bool) Writer {
	switch format {
	case JSONLines:
		return NewJSONLines(w)
	case Table:
		return NewTable(w)
	}
	return NewCSV(w, headed)
}

// File is the file of an export. It is readable by its owner only.
type File struct {
	// After is the image key after which to go on, empty for the beginning.
	After string
	// Headed says that the file has its header.
	Headed bool

	file   *os.File
	replay int64 // how much of the file is compared with what is written, before anything is
}

// Create makes a file that is not there yet.
func Create(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return &File{file: file}, err
}

// Resume opens a file that an export has begun. What is not complete at its end is cut off, and After is the key of what is. A
// file whose rows do not contain their keys, which are tables and masked exports, is written from the beginning instead: as long
// as what is written is what the file holds, it stays, and from where it differs it is written anew. A file of another kind is
// an error and stays as it is.
func Resume(path string, format Format, masked bool) (f *File, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Create(path)
	}
	if err != nil {
		return nil, err
	}
	f = &File{file: file}
	defer func() {
		if err != nil {
			file.Close() //nolint:errcheck // the first error is returned
		}
	}()
	var end int64
	switch {
	case format == Table || masked:
		return f, f.checkBeginning(map[Format][]string{CSV: {csvHeader}, JSONLines: {beginning}, Table: tableHeaders()}[format])
	case format == CSV:
		f.After, end, err = lastCSV(file)
		f.Headed = end > 0
	default:
		f.After, end, err = lastJSON(file)
	}
	if err != nil {
		return nil, err
	}
	if err = file.Truncate(end); err != nil {
		return nil, err
	}
	_, err = file.Seek(end, io.SeekStart)
	return f, err
}

// checkBeginning makes ready for the replay of a file, if it begins in one of the accepted ways.
func (f *File) checkBeginning(accepted []string) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	for _, want := range accepted {
		got := make([]byte, min(info.Size(), int64(len(want))))
		if _, err := f.file.ReadAt(got, 0); err != nil {
			return err
		}
		if string(got) == want[:len(got)] {
			f.replay = info.Size()
			return nil
		}
	}
	return errForeign
}

// Write writes p, or finds that it is there already.
func (f *File) Write(p []byte) (int, error) {
	same := 0
	if f.replay > 0 {
		at, err := f.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		there := make([]byte, min(int64(len(p)), f.replay-at))
		if _, err := io.ReadFull(f.file, there); err != nil {
			return 0, err
		}
		for same < len(there) && there[same] == p[same] {
			same++
		}
		if same == len(p) {
			return same, nil
		}
		f.replay = 0 // from here on the file differs, or ends
		if err := f.file.Truncate(at + int64(same)); err != nil {
			return 0, err
		}
		if _, err := f.file.Seek(at+int64(same), io.SeekStart); err != nil {
			return 0, err
		}
	}
	n, err := f.file.Write(p[same:])
	return same + n, err
}

// Close closes the file. complete says that everything was written: what a replay has not come to, rows of documents that are
// gone since, is cut off.
func (f *File) Close(complete bool) (err error) {
	if complete && f.replay > 0 {
		var at int64
		if at, err = f.file.Seek(0, io.SeekCurrent); err == nil {
			err = f.file.Truncate(at)
		}
	}
	return errors.Join(err, f.file.Close())
}
