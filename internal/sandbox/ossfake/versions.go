package ossfake

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	versioningEnabled   = "Enabled"
	versioningSuspended = "Suspended"
	// nullVersion is the version of what was written while versioning was not enabled.
	nullVersion = "null"
)

// errNoSuchVersion: there are objects of that key, but not this version.
var errNoSuchVersion = errors.New("ossfake: no such version")

// errDeleteMarker: the version is a delete marker, which has no content.
type errDeleteMarker struct{ metadata }

func (errDeleteMarker) Error() string { return "ossfake: the version is a delete marker" }

// versionID is how clients name the version.
func (m metadata) versionID() string { return cmp.Or(m.VersionID, nullVersion) }

// versionDir holds the versions of a key that are not current, and delete markers: <version> with <version>.json beside it. The
// current object is where it would be without versioning.
func versionDir(bucket, key string) string { return versionsDir + "/" + bucket + "/" + keyHash(key) }

func versionPath(bucket string, m metadata) string {
	return versionDir(bucket, m.Key) + "/" + m.versionID()
}

func newVersionID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return "CAEQ" + strings.ToUpper(hex.EncodeToString(b[:]))
}

// nextSequence numbers what is written, so that versions of the same second have an order.
func (st *store) nextSequence() int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sequence = max(st.sequence+1, st.now().UnixNano())
	return st.sequence
}

// olderVersions returns the versions in the key's folder, newest first. The caller holds the key's lock.
func (st *store) olderVersions(bucket, key string) ([]metadata, error) {
	return st.readVersions(versionDir(bucket, key))
}

func (st *store) readVersions(dir string) ([]metadata, error) {
	entries, err := st.readDir(dir)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var versions []metadata
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		m, err := st.readSidecar(dir + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		versions = append(versions, m)
	}
	slices.SortFunc(versions, func(a, b metadata) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return versions, nil
}

// hasVersions reports whether a bucket has versions that are not current, or delete markers.
func (st *store) hasVersions(bucket string) bool {
	entries, err := st.readDir(versionsDir + "/" + bucket)
	return err == nil && len(entries) > 0
}

// versionedKeys returns the keys of a bucket that have versions besides the current one, in order.
func (st *store) versionedKeys(bucket string) ([]string, error) {
	dir := versionsDir + "/" + bucket
	entries, err := st.readDir(dir)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, e := range entries {
		versions, err := st.readVersions(dir + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		if len(versions) > 0 {
			keys = append(keys, versions[0].Key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// allVersions returns all versions of a key, the current one first.
func (st *store) allVersions(bucket, key string) ([]metadata, error) {
	l := st.lock(bucket, key)
	l.RLock()
	defer l.RUnlock()
	versions, err := st.olderVersions(bucket, key)
	if err != nil {
		return nil, err
	}
	_, current, err := st.locate(bucket, key)
	if errors.Is(err, errNotFound) {
		return versions, nil
	}
	return append([]metadata{current}, versions...), err
}

// find returns a version's file and metadata; an empty id means the current one. The caller holds the key's lock.
func (st *store) find(bucket, key, id string) (string, metadata, error) {
	p, current, err := st.locate(bucket, key)
	if err != nil && !errors.Is(err, errNotFound) {
		return "", metadata{}, err
	}
	if err == nil && (id == "" || id == current.versionID()) {
		return p, current, nil
	}
	versions, listErr := st.olderVersions(bucket, key)
	if listErr != nil {
		return "", metadata{}, listErr
	}
	if id == "" {
		if len(versions) > 0 && versions[0].DeleteMarker {
			return "", versions[0], errors.Join(errNotFound, errDeleteMarker{versions[0]})
		}
		return "", metadata{}, errNotFound
	}
	for _, m := range versions {
		if m.versionID() == id {
			if m.DeleteMarker {
				return "", m, errDeleteMarker{m}
			}
			return versionPath(bucket, m), m, nil
		}
	}
	return "", metadata{}, errNoSuchVersion
}

// keepCurrent makes the current object an older version, so that what follows may replace or remove its file. The current name
// stays for readers: the file gets a second one. The caller holds the key's lock.
func (st *store) keepCurrent(bucket, p string, m metadata) error {
	to := versionPath(bucket, m)
	if err := st.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if err := st.root.Link(p, to); err != nil {
		whole, err := st.join(p) // a file system without links
		if err != nil {
			return err
		}
		m.FileTime = whole.fileTime
		if err := st.rename(whole.path, to); err != nil {
			return err
		}
	}
	return st.writeSidecar(to+".json", m)
}

// dropVersion removes a version that is not current. The caller holds the key's lock.
func (st *store) dropVersion(bucket string, m metadata) error {
	p := versionPath(bucket, m)
	for _, file := range []string{p + ".json", p} {
		if err := st.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The folders go with the last version; others keep them.
	_ = st.root.Remove(path.Dir(p))
	_ = st.root.Remove(path.Dir(path.Dir(p)))
	return nil
}

// dropNullVersion makes room for a new null version. The caller holds the key's lock.
func (st *store) dropNullVersion(bucket, key string) error {
	versions, err := st.olderVersions(bucket, key)
	if err != nil {
		return err
	}
	for _, m := range versions {
		if m.versionID() == nullVersion {
			return st.dropVersion(bucket, m)
		}
	}
	return nil
}

// makeRoom prepares a write or removal in a bucket with versioning: old is the current object at p, if there is one. It returns
// the version of what is to be written. The caller holds the key's lock.
func (st *store) makeRoom(bucket, key, p string, old *metadata) (versionID string, err error) {
	switch st.versioning(bucket) {
	case versioningEnabled:
		if old != nil {
			err = st.keepCurrent(bucket, p, *old)
		}
		return newVersionID(), err
	case versioningSuspended:
		if old != nil && old.versionID() != nullVersion {
			err = st.keepCurrent(bucket, p, *old)
		}
		return nullVersion, errors.Join(err, st.dropNullVersion(bucket, key))
	}
	return "", nil
}

// removal is what a removal did.
type removal struct {
	// removed is the object or delete marker that is not there any more, or not the current one.
	removed *metadata
	// marker is the delete marker that was made.
	marker *metadata
}

// remove removes the current object: it deletes it, or makes a delete marker if the bucket has versioning. permit may refuse it.
func (st *store) remove(bucket, key string, permit func(*metadata) error) (removal, error) {
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, m, err := st.locate(bucket, key)
	if err != nil && !errors.Is(err, errNotFound) {
		return removal{}, err
	}
	var done removal
	if err == nil {
		done.removed = &m
	}
	if err := permit(done.removed); err != nil {
		return removal{}, err
	}
	if state := st.versioning(bucket); state != "" {
		id, err := st.makeRoom(bucket, key, p, done.removed)
		if err != nil {
			return removal{}, err
		}
		marker := metadata{Key: key, VersionID: id, DeleteMarker: true, Sequence: st.nextSequence(), LastModified: st.time()}
		if err := st.writeSidecar(versionPath(bucket, marker)+".json", marker); err != nil {
			return removal{}, err
		}
		done.marker = &marker
	}
	if done.removed == nil {
		return done, nil
	}
	return done, st.removeFile(bucket, key, p)
}

// removeFile removes the file and metadata of the current object. The caller holds the key's lock.
func (st *store) removeFile(bucket, key, p string) error {
	if err := st.root.Remove(p); err != nil {
		return err
	}
	if st.isEscaped(bucket, key) {
		st.setEscaped(bucket, key, false)
	} else {
		st.prune(bucket, path.Dir(p))
	}
	return st.dropSidecar(bucket, key)
}

// removeVersion deletes one version for good. If it was the current one, the newest of the others becomes it.
func (st *store) removeVersion(bucket, key, id string, permit func(*metadata) error) (removal, error) {
	l := st.lock(bucket, key)
	l.Lock()
	defer l.Unlock()
	p, m, err := st.find(bucket, key, id)
	var marker errDeleteMarker
	if err != nil && !errors.As(err, &marker) {
		return removal{}, err
	}
	if err := permit(&m); err != nil {
		return removal{}, err
	}
	if p == "" || p == versionPath(bucket, m) {
		err = st.dropVersion(bucket, m)
	} else {
		err = st.removeFile(bucket, key, p)
	}
	if err != nil {
		return removal{}, err
	}
	return removal{removed: &m}, st.promote(bucket, key)
}

// promote makes the newest version the current object if there is none. The caller holds the key's lock.
func (st *store) promote(bucket, key string) error {
	if _, _, err := st.locate(bucket, key); !errors.Is(err, errNotFound) {
		return err
	}
	versions, err := st.olderVersions(bucket, key)
	if err != nil || len(versions) == 0 || versions[0].DeleteMarker {
		return err
	}
	m := versions[0]
	if err := st.writeSidecar(sidecarPath(bucket, key)+pendingSuffix, m); err != nil {
		return err
	}
	if err := st.moveIn(bucket, key, versionPath(bucket, m)); err != nil {
		return err
	}
	if err := st.root.Rename(sidecarPath(bucket, key)+pendingSuffix, sidecarPath(bucket, key)); err != nil {
		return err
	}
	return st.dropVersion(bucket, m)
}
