package export

import (
	"errors"
	"fmt"
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

// Resume opens a file that an export has begun, cuts off what is not complete, and returns the image key after which to go
// on, empty if there is nothing yet. A file of another kind is an error and stays as it is.
func Resume(path string, format Format) (file *os.File, after string, err error) {
	file, err = os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return file, "", err
	}
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			file.Close()
			file = nil
		}
	}()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return file, "", err
	}
	var end int64
	switch format {
	case CSV:
		after, end, err = lastCSV(file)
	case JSONLines:
		after, end, err = lastJSON(file)
	default:
		err = fmt.Errorf("a table cannot be resumed; use csv or jsonl")
	}
	if err != nil {
		return file, "", err
	}
	if err = file.Truncate(end); err != nil {
		return file, "", err
	}
	_, err = file.Seek(end, io.SeekStart)
	return file, after, err
}
