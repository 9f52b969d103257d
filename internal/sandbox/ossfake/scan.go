package ossfake

import (
	"slices"
	"strings"
)

// scan calls visit for the keys of a bucket in order of their bytes, starting with from. visit returns the key to go on
// from, and false to stop. Keys that visit skips over are not looked at, nor are folders without a key of interest.
func (st *store) scan(bucket, prefix, from string, visit func(key string) (next string, more bool)) error {
	s := &scanner{store: st, bucket: bucket, prefix: prefix, from: max(from, prefix), visit: visit, extra: st.escapedKeys(bucket, prefix)}
	// The deepest folder that holds every key with the prefix.
	dir := ""
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i+1]
	}
	if dir == "" || isPlainKey(strings.TrimSuffix(dir, "/")) {
		if err := s.folder(dir); err != nil {
			return err
		}
	}
	for !s.done && len(s.extra) > 0 {
		s.offerExtra()
	}
	return nil
}

type scanner struct {
	store                *store
	bucket, prefix, from string
	visit                func(string) (string, bool)
	extra                []string
	done                 bool
}

func (s *scanner) offer(key string) {
	if s.done || key < s.from {
		return
	}
	next, more := s.visit(key)
	s.from, s.done = max(s.from, next), !more
}

func (s *scanner) offerExtra() {
	key := s.extra[0]
	s.extra = s.extra[1:]
	s.offer(key)
}

// folder visits the files below a folder of the bucket; dir is "" or ends in "/".
func (s *scanner) folder(dir string) error {
	entries, err := s.store.readDir(strings.TrimSuffix(s.bucket+"/"+dir, "/"))
	if err != nil {
		if isAbsent(err) {
			return nil
		}
		return err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			// A folder sorts as the keys in it do.
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if s.done {
			return nil
		}
		key := dir + name
		if strings.HasSuffix(name, "/") {
			inPrefix := strings.HasPrefix(key, s.prefix) || strings.HasPrefix(s.prefix, key)
			passed := key < s.from && !strings.HasPrefix(s.from, key)
			if inPrefix && !passed {
				if err := s.folder(key); err != nil {
					return err
				}
			}
			continue
		}
		if !strings.HasPrefix(key, s.prefix) || key < s.from || !isPlainKey(key) || s.store.isEscaped(s.bucket, key) {
			continue
		}
		for !s.done && len(s.extra) > 0 && s.extra[0] < key {
			s.offerExtra()
		}
		s.offer(key)
	}
	return nil
}
