package ossfake

import (
	"bytes"
	"encoding/binary"
	"io"
	"time"
)

// patience is for how long a picture that is cut off may stay as it is until it counts as copied all the same: some programs and
// networks pause longer than settleTime.
const patience = 10 * time.Second

// SettleLimit is how long it takes at most until Watch reports a file that does not change any more, unless it cannot be read.
const SettleLimit = pollTime + patience + time.Second

// isCutOff reports whether a file begins like a JPEG, PNG, BMP or WebP and lacks its end. Of other files it knows nothing.
func (st *store) isCutOff(bucket, key string) bool {
	file, err := st.root.Open(bucket + "/" + key)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false
	}
	head, tail := make([]byte, 12), make([]byte, min(info.Size(), 4096))
	n, _ := io.ReadFull(file, head) // a shorter file is none of these
	if head = head[:n]; n < 12 {
		return false
	}
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && err != io.EOF {
		return false
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return !bytes.Contains(tail, []byte("\xff\xd9"))
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return !bytes.Contains(tail, []byte("IEND"))
	case bytes.HasPrefix(head, []byte("RIFF")) && bytes.HasSuffix(head, []byte("WEBP")):
		return info.Size() < 8+int64(binary.LittleEndian.Uint32(head[4:8]))
	case bytes.HasPrefix(head, []byte("BM")):
		return info.Size() < int64(binary.LittleEndian.Uint32(head[2:6]))
	}
	return false
}
