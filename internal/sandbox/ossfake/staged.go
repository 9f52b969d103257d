package ossfake

import (
	"crypto/md5" //nolint:gosec // The ETag of a normal object is its MD5 by definition.
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// staged is a body that has arrived completely and waits in a temporary file.
type staged struct {
	path     string
	size     int64
	fileTime int64
	md5      [md5.Size]byte
	crc      uint64
}

func (s *staged) contentMD5() string { return base64.StdEncoding.EncodeToString(s.md5[:]) }

func (s *staged) etag() string { return strings.ToUpper(hex.EncodeToString(s.md5[:])) }

// bodyError marks an error of the sender, as opposed to one of the disk.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "ossfake: reading the body: " + e.err.Error() }

func (e *bodyError) Unwrap() error { return e.err }

type bodyReader struct{ r io.Reader }

func (b bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

// temp makes a new file in the folder for files on their way.
func (st *store) temp() (*os.File, error) {
	return st.root.OpenFile(tempDir+"/"+rand.Text(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
}

func tempPath(f *os.File) string { return tempDir + "/" + filepath.Base(f.Name()) }

func (st *store) discard(p string) {
	if err := st.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		st.log.Warn("a temporary file could not be removed", "error", withoutPath(err))
	}
}

// stage writes a body to a temporary file. The caller passes it on to commit or discards it.
func (st *store) stage(body io.Reader) (*staged, error) {
	f, err := st.temp()
	if err != nil {
		return nil, err
	}
	sum, crc := md5.New(), crc64.New(crcTable)
	s := &staged{path: tempPath(f)}
	s.size, err = io.Copy(io.MultiWriter(f, sum, crc), bodyReader{body})
	if err == nil {
		s.fileTime, err = fileTime(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		st.discard(s.path)
		return nil, err
	}
	sum.Sum(s.md5[:0])
	s.crc = crc.Sum64()
	return s, nil
}

// join stages the files one after another.
func (st *store) join(paths ...string) (*staged, error) {
	var readers []io.Reader
	for _, p := range paths {
		f, err := st.root.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	return st.stage(io.MultiReader(readers...))
}

func fileTime(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixNano(), nil
}
