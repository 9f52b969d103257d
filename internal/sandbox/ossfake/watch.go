package ossfake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"fc-idcard-ocr/internal/idnumber"
	"fc-idcard-ocr/internal/message"
)

// settleTime is for how long size and time of a file must stay the same until it counts as completely copied.
const settleTime = 300 * time.Millisecond

// pollTime is how often the folders are searched that the system cannot watch.
const pollTime = 2 * time.Second

// retryTime is when a file that could not be reported, for want of room on the disk say, is tried again.
const retryTime = 5 * time.Second

// Watch notices what is done by hand in the folders of the buckets until ctx ends, and then returns nil. A file that was copied
// in, also into a sub-folder, is reported as ObjectCreated:PutObject once it has not changed for 0.3 seconds (10 if it is a picture
// whose end is missing); one that was finished elsewhere (renamed from an unfinished name, or moved in with its older time) at once. A file that was removed is
// reported as ObjectRemoved:DeleteObject. What requests to the server do is not reported again. At the start, every file
// is reported that never was, and every removal since the last run.
//
// An event may come twice if the process ends while it is reported, as the service's may. A file that is replaced by one of
// the same size and the same modification time (to the nanosecond) goes unnoticed, and so do removals from hidden folders
// until the next start.
//
// A file that cannot be reported, because the disk is full or the file must not be read, is tried again every five seconds.
//
// If the system cannot watch the folders, mostly because other programs have used up its limits of watches, they are searched every two
// seconds instead.
//
// An error means that nothing is noticed any more: the folder itself was removed or renamed.
func (s *Server) Watch(ctx context.Context) error {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("ossfake: the folder cannot be watched: %w", err)
	}
	w := &watcher{
		server: s, store: s.store, dir: dir, now: time.Now, folders: map[string]struct{}{}, changing: map[string]change{}, ignored: map[string]struct{}{},
	}
	if w.notifier, err = s.newNotifier(); err != nil {
		w.poll(err)
	}
	defer w.closeNotifier()
	if err := w.rescan(); err != nil {
		return err
	}
	return w.run(ctx)
}

// watcher is one run of Watch. Paths are those of the store: "<bucket>/<key>".
type watcher struct {
	server *Server
	store  *store
	// notifier is nil if the folders are searched instead, and then polled is when they were.
	notifier *fsnotify.Watcher
	polled   time.Time
	dir      string
	// now is the clock of the disk, which Config.Now need not be.
	now func() time.Time
	// folders are those being watched.
	folders map[string]struct{}
	// changing are files that may still be written to.
	changing map[string]change
	// ignored are the files that were reported not to be taken, if the folders are searched.
	ignored map[string]struct{}
	// renamed says that the last event took away the name of a file that was not complete by that name.
	renamed bool
}

// change is what a file looked like when it was last looked at, and since when it has looked like that.
type change struct {
	size  int64
	time  time.Time
	since time.Time
}

func (w *watcher) run(ctx context.Context) error {
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	for {
		var events <-chan fsnotify.Event
		var failures <-chan error
		if w.notifier != nil {
			events, failures = w.notifier.Events, w.notifier.Errors
		}
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			if !ok {
				return errors.New("ossfake: the system stopped to report changes of the folder")
			}
			if err := w.handle(event); err != nil {
				return err
			}
		case err, ok := <-failures:
			if !ok {
				return errors.New("ossfake: the system stopped to report changes of the folder")
			}
			w.server.cfg.Log.Warn("changes of the folder were missed and are looked for", "reason", withoutPath(err))
			if err := w.rescan(); err != nil {
				return err
			}
		case <-timer.C:
			// The system does not tell of the removal of a folder that is open, as the store has it.
			if err := w.still(); err != nil {
				return err
			}
			if w.notifier == nil && w.now().Sub(w.polled) >= pollTime {
				if err := w.rescan(); err != nil {
					return err
				}
			}
			timer.Reset(w.settle())
		}
	}
}

// poll searches the folders from now on, because the system cannot watch them.
func (w *watcher) poll(reason error) {
	w.server.cfg.Log.Warn("the system cannot watch the folder, so it is searched every two seconds", "reason", withoutPath(reason),
		"fix", "on Linux, raise fs.inotify.max_user_instances and fs.inotify.max_user_watches")
	w.closeNotifier()
}

func (w *watcher) closeNotifier() {
	if w.notifier != nil {
		w.notifier.Close() //nolint:errcheck // it is not used any more
	}
	w.notifier = nil
}

// rescan starts over: it watches all folders and compares all files and all metadata with each other.
func (w *watcher) rescan() error {
	w.polled = w.now()
	clear(w.folders)
	w.watch(".")
	if err := w.still(); err != nil {
		return err
	}
	buckets, err := w.server.bucketNames()
	if err != nil {
		return fmt.Errorf("ossfake: the folder cannot be watched: %w", err)
	}
	for _, bucket := range buckets {
		w.enter(bucket)
		w.removed(bucket, "")
	}
	return nil
}

// still returns an error if the folder that the store has open is not where it was.
func (w *watcher) still() error {
	opened, err := w.store.root.Stat(".")
	if err != nil {
		return fmt.Errorf("ossfake: the folder of the objects cannot be looked at: %s", withoutPath(err))
	}
	if now, err := os.Stat(w.dir); err == nil && os.SameFile(opened, now) {
		return nil
	}
	return errors.New("ossfake: the folder of the objects was removed or renamed, and nothing can be stored any more; stop and start again")
}

func (w *watcher) watch(folder string) {
	if w.notifier == nil {
		return
	}
	if err := w.notifier.Add(filepath.Join(w.dir, filepath.FromSlash(folder))); err != nil && !isAbsent(err) {
		w.poll(err)
	}
}

// enter watches a folder with all below and looks at the files that are there already.
func (w *watcher) enter(folder string) {
	w.folders[folder] = struct{}{}
	w.watch(folder)
	entries, err := w.store.readDir(folder)
	if err != nil {
		// It is gone again, which is another event, or must not be read.
		if !isAbsent(err) {
			w.warn("a folder in a bucket cannot be read", err)
		}
		return
	}
	for _, e := range entries {
		w.look(path.Join(folder, e.Name()))
	}
}

func (w *watcher) handle(event fsnotify.Event) error {
	relative, err := filepath.Rel(w.dir, event.Name)
	if err != nil {
		return fmt.Errorf("ossfake: the system reports a change elsewhere: %w", err)
	}
	p := filepath.ToSlash(relative)
	if bucket, key, _ := strings.Cut(p, "/"); !isBucketName(bucket) || w.isHiddenFolder(key) {
		return nil
	}
	// The new name of a file is the event after the one for its old name.
	defer func() { w.renamed = event.Has(fsnotify.Rename) && isUnfinished(p) }()
	if event.Has(fsnotify.Rename) || event.Has(fsnotify.Remove) {
		w.leave(p)
	}
	// Whatever the event was, what counts is what is there now.
	w.look(p)
	return nil
}

// isHiddenFolder reports whether a key is below a folder that is not looked into, such as ".git".
func (w *watcher) isHiddenFolder(key string) bool {
	folder, _ := path.Split(key)
	return strings.HasPrefix(folder, ".") || strings.Contains(folder, "/.")
}

// leave forgets a path that is not what it was, and reports the objects that went with it.
func (w *watcher) leave(p string) {
	delete(w.changing, p)
	bucket, key, _ := strings.Cut(p, "/")
	if _, ok := w.folders[p]; !ok {
		w.reportRemoval(bucket, key)
		return
	}
	for folder := range w.folders {
		if folder == p || strings.HasPrefix(folder, p+"/") {
			delete(w.folders, folder)
			if w.notifier != nil { // the system has usually done this itself
				_ = w.notifier.Remove(filepath.Join(w.dir, filepath.FromSlash(folder)))
			}
		}
	}
	if key != "" {
		key += "/"
	} else {
		w.server.cfg.Log.Warn("the folder of a bucket is gone: requests are answered NoSuchBucket until it is there again", "bucket", bucket)
	}
	w.removed(bucket, key)
}

// removed reports all objects with a prefix whose files are gone.
func (w *watcher) removed(bucket, prefix string) {
	var keys []string
	err := w.store.sidecars(bucket, func(m metadata) {
		if strings.HasPrefix(m.Key, prefix) {
			keys = append(keys, m.Key)
		}
	})
	if err != nil {
		w.warn("removed files cannot be looked for", err)
	}
	for _, key := range keys {
		w.reportRemoval(bucket, key)
	}
}

// look records the current state of a path.
func (w *watcher) look(p string) {
	bucket, key, inBucket := strings.Cut(p, "/")
	if !isBucketName(bucket) {
		return
	}
	info, err := w.store.root.Lstat(p)
	switch {
	case err != nil && !isAbsent(err):
		w.warn("a file in a bucket cannot be looked at", err)
	case err != nil:
		// Its removal is an event of its own.
	case info.IsDir():
		if _, ok := w.folders[p]; !ok && !strings.HasPrefix(path.Base(p), ".") {
			w.enter(p)
		}
	case info.Mode().IsRegular() && inBucket:
		w.lookAtFile(bucket, key, info)
	case inBucket:
		w.ignore(bucket, key, message.Text("it is a link or another special file; copy the file itself"))
	}
}

// ignore reports that a file is not taken; once, if the folders are searched again and again.
func (w *watcher) ignore(bucket, key, why string) {
	if p := bucket + "/" + key; w.notifier == nil {
		if _, ok := w.ignored[p]; ok {
			return
		}
		w.ignored[p] = struct{}{}
	}
	w.server.ignored(bucket, key, why)
}

func (w *watcher) lookAtFile(bucket, key string, info fs.FileInfo) {
	p := bucket + "/" + key
	if w.store.isReported(bucket, key) {
		delete(w.changing, p)
		return
	}
	if isUnfinished(key) {
		if strings.HasPrefix(path.Base(key), ".") {
			w.ignore(bucket, key, message.Text("it is hidden: its name begins with a dot"))
		}
		return
	}
	now := w.now()
	// Programs that keep a file's time set it when all is written.
	isOld := now.Sub(info.ModTime()) >= settleTime
	if info.Size() > 0 && (w.renamed || isOld) {
		w.report(bucket, key, info)
		return
	}
	last, ok := w.changing[p]
	if !ok || last.size != info.Size() || !last.time.Equal(info.ModTime()) {
		w.changing[p] = change{info.Size(), info.ModTime(), now}
	}
}

// settle reports the files that have not changed for long enough, and returns when to look again.
func (w *watcher) settle() time.Duration {
	now := w.now()
	next := settleTime
	for p, last := range w.changing {
		if wait := settleTime - now.Sub(last.since); wait > 0 {
			next = min(next, wait)
			continue
		}
		bucket, key, _ := strings.Cut(p, "/")
		info, err := w.store.root.Lstat(p)
		switch {
		case err != nil || !info.Mode().IsRegular():
			delete(w.changing, p)
		case info.Size() != last.size || !info.ModTime().Equal(last.time):
			w.changing[p] = change{info.Size(), info.ModTime(), now}
		case now.Sub(last.since) < patience && w.store.isCutOff(bucket, key):
			next = min(next, settleTime)
		default:
			w.report(bucket, key, info)
		}
	}
	return next
}

// report reports a file that does not change any more, now or later.
func (w *watcher) report(bucket, key string, info fs.FileInfo) {
	p := bucket + "/" + key
	delete(w.changing, p)
	if err := w.reportCreation(bucket, key); err != nil {
		w.warn("a file in a bucket cannot be taken for an object yet; it is tried again", err)
		w.changing[p] = change{info.Size(), info.ModTime(), w.now().Add(retryTime - settleTime)}
	}
}

// reportCreation reports a file unless it is an object that was reported before, or is gone.
func (w *watcher) reportCreation(bucket, key string) error {
	m, err := w.store.stat(bucket, key)
	switch {
	case errors.Is(err, errNotFound):
		return nil
	case err != nil:
		return err
	case !m.Unreported:
		return nil
	}
	w.emit("ObjectCreated:PutObject", bucket, m, m.Size-m.ReportedSize)
	if err := w.store.markReported(bucket, m); err != nil {
		w.warn("it cannot be noted that a file was reported, so it will be again", err)
	}
	return nil
}

// reportRemoval reports that an object's file is gone, if it is and the server did not do it.
func (w *watcher) reportRemoval(bucket, key string) {
	m, err := w.store.forget(bucket, key)
	if err != nil {
		if !errors.Is(err, errNotFound) {
			w.warn("a removed file's metadata cannot be removed", err)
		}
		return
	}
	size := m.Size
	if m.Unreported {
		size = m.ReportedSize
	}
	if m.Unreported && size == 0 {
		// Nobody was told that there was such an object.
		return
	}
	w.emit("ObjectRemoved:DeleteObject", bucket, metadata{Key: key}, -size)
}

func (w *watcher) emit(name, bucket string, m metadata, delta int64) {
	s := w.server
	id := newRequestID()
	s.cfg.Log.Info("a file changed in the folder", slog.String("requestId", id), slog.String("event", name),
		slog.String("bucket", bucket), slog.String("key", idnumber.MaskDigits(m.Key)))
	s.cfg.OnEvent(Event{
		Name: name, Bucket: bucket, Key: m.Key, ETag: m.ETag, Size: m.Size, DeltaSize: delta, ContentType: m.ContentType,
		Time: s.cfg.Now(), Region: s.cfg.Region, RequestID: id,
	})
}

func (w *watcher) warn(message string, err error) {
	w.server.cfg.Log.Warn(message, "error", withoutPath(err), "fix", diskAdvice(err))
}
