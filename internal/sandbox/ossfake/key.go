package ossfake

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

func (st *store) setEscaped(bucket, key string, on bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !on {
		delete(st.escaped[bucket], key)
		return
	}
	if st.escaped[bucket] == nil {
		st.escaped[bucket] = map[string]struct{}{}
	}
	st.escaped[bucket][key] = struct{}{}
}

func (st *store) isEscaped(bucket, key string) bool {
	st.mu.RLock()
	defer st.mu.RUnlock()
	_, ok := st.escaped[bucket][key]
	return ok
}

// escapedKeys returns the escaped keys of a bucket that start with prefix, in order.
func (st *store) escapedKeys(bucket, prefix string) []string {
	st.mu.RLock()
	defer st.mu.RUnlock()
	var keys []string
	for k := range st.escaped[bucket] {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// isPlainKey reports whether a key can be a path in the bucket's folder on every usual file system.
func isPlainKey(key string) bool {
	if key == "" || !utf8.ValidString(key) {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." || len(segment) > 255 {
			return false
		}
	}
	// Windows reserves names such as NUL; filepath knows them there.
	return filepath.IsLocal(filepath.FromSlash(key))
}

// isUnfinished reports whether a file without a sidecar is no object: hidden, or a download that is still under way.
func isUnfinished(key string) bool {
	for segment := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(segment, ".") {
			return true
		}
	}
	if strings.HasSuffix(key, "~") {
		return true
	}
	switch strings.ToLower(path.Ext(key)) {
	case ".part", ".partial", ".crdownload", ".tmp", ".swp":
		return true
	}
	return false
}

func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func escapedPath(bucket, key string) string { return escapedDir + "/" + bucket + "/" + keyHash(key) }
