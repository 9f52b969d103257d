package ossfake

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testBucket = "cards"

var testKey = Credentials{AccessKeyID: "LTAI-test", AccessKeySecret: "test-secret"}

// watched is a server whose folder is watched.
type watched struct {
	*Server
	t      *testing.T
	folder string
	events chan Event
	log    *bytes.Buffer
	stop   func()
}

// watch starts a server over dir and its Watch; both end with the test or with stop, whichever is first.
func watch(t *testing.T, dir string, change ...func(*Server)) *watched {
	w := &watched{t: t, folder: filepath.Join(dir, testBucket), events: make(chan Event, 100), log: &bytes.Buffer{}}
	server, err := New(Config{
		Dir: dir, Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testKey),
		OnEvent: func(e Event) { w.events <- e }, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	require.NoError(t, err)
	w.Server = server
	for _, c := range change {
		c(server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Watch(ctx) }()
	stopped := false
	w.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			assert.NoError(t, <-done)
			assert.NoError(t, server.Close())
		}
	}
	t.Cleanup(w.stop)
	return w
}

// next waits for the next event.
func (w *watched) next() Event {
	select {
	case e := <-w.events:
		return e
	case <-time.After(20 * time.Second):
		require.FailNow(w.t, "no event")
		return Event{}
	}
}

// expect waits for events and compares them, in any order, with "created <key>" and "removed <key>".
func (w *watched) expect(want ...string) {
	w.t.Helper()
	var got []string
	for range want {
		e := w.next()
		assert.Equal(w.t, testBucket, e.Bucket)
		got = append(got, strings.NewReplacer("ObjectCreated:PutObject", "created", "ObjectRemoved:DeleteObject", "removed").Replace(e.Name)+" "+e.Key)
	}
	assert.ElementsMatch(w.t, want, got)
}

// put copies a file into the bucket's folder as a program would that writes it where it shall be.
func (w *watched) put(key, content string) {
	p := filepath.Join(w.folder, filepath.FromSlash(key))
	require.NoError(w.t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(w.t, os.WriteFile(p, []byte(content), 0o644))
}

func (w *watched) path(key string) string { return filepath.Join(w.folder, filepath.FromSlash(key)) }

func TestFilesCopiedInAreReportedWithTheirMetadata(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	w.put("身份证 1.jpg", "front")
	e := w.next()
	assert.Equal(t, "ObjectCreated:PutObject", e.Name)
	assert.Equal(t, "身份证 1.jpg", e.Key)
	assert.EqualValues(t, 5, e.Size)
	assert.EqualValues(t, 5, e.DeltaSize)
	assert.Equal(t, "image/jpeg", e.ContentType)
	assert.Equal(t, "E6EC529BA185279AA0ADCF93E645C7CD", e.ETag, "the MD5 of the content")
	assert.Equal(t, "cn-hangzhou", e.Region)
	assert.NotEmpty(t, e.RequestID)

	w.put("身份证 1.jpg", "other side")
	e = w.next()
	assert.EqualValues(t, 10, e.Size)
	assert.EqualValues(t, 5, e.DeltaSize, "by how much it grew")

	require.NoError(t, os.Remove(w.path("身份证 1.jpg")))
	e = w.next()
	assert.Equal(t, "ObjectRemoved:DeleteObject", e.Name)
	assert.EqualValues(t, -10, e.DeltaSize)
	assert.Empty(t, e.ETag)
}

func TestFoldersMadeLaterAreWatchedWithAllBelow(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	w.put("2026/11/a.jpg", "a")
	w.expect("created 2026/11/a.jpg")
	w.put("2026/11/b.jpg", "b")
	w.put("2026/12/c.jpg", "c")
	w.expect("created 2026/11/b.jpg", "created 2026/12/c.jpg")

	require.NoError(t, os.Rename(w.path("2026"), w.path("old")))
	w.expect("removed 2026/11/a.jpg", "removed 2026/11/b.jpg", "removed 2026/12/c.jpg",
		"created old/11/a.jpg", "created old/11/b.jpg", "created old/12/c.jpg")
	w.put("old/11/d.jpg", "d")
	w.expect("created old/11/d.jpg")
	require.NoError(t, os.RemoveAll(w.path("old/11")))
	w.expect("removed old/11/a.jpg", "removed old/11/b.jpg", "removed old/11/d.jpg")
	w.put("old/11/e.jpg", "e")
	w.expect("created old/11/e.jpg")
}

func TestFoldersMovedInFromElsewhereAreReported(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w := watch(t, filepath.Join(root, "oss"))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "pictures/deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "pictures/deep/a.jpg"), []byte("a"), 0o644))
	require.NoError(t, os.Rename(filepath.Join(root, "pictures"), w.path("pictures")))
	w.expect("created pictures/deep/a.jpg")
	require.NoError(t, os.Rename(w.path("pictures"), filepath.Join(root, "pictures")))
	w.expect("removed pictures/deep/a.jpg")
}

// byHand is a watcher that learns of changes from the test, at times that the test sets.
type byHand struct {
	*watched
	*watcher
	clock time.Time
}

func newByHand(t *testing.T) *byHand {
	h := &byHand{watched: &watched{t: t, events: make(chan Event, 100)}, clock: time.Now()}
	dir := t.TempDir()
	h.folder = filepath.Join(dir, testBucket)
	server, err := New(Config{
		Dir: dir, Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testKey), OnEvent: func(e Event) { h.events <- e },
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	h.watcher = &watcher{
		server: server, store: server.store, dir: dir, now: func() time.Time { return h.clock },
		folders: map[string]struct{}{}, changing: map[string]change{}, ignored: map[string]struct{}{},
	}
	return h
}

// write adds to a file at the time of the clock, as the disk sees it.
func (h *byHand) write(key, content string) {
	f, err := os.OpenFile(h.path(key), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(h.t, err)
	_, err = f.WriteString(content)
	require.NoError(h.t, err)
	require.NoError(h.t, f.Close())
	require.NoError(h.t, os.Chtimes(h.path(key), h.clock, h.clock))
}

// tell passes on an event of the system.
func (h *byHand) tell(key string, op fsnotify.Op) {
	require.NoError(h.t, h.handle(fsnotify.Event{Name: h.path(key), Op: op}))
}

// sizes returns the sizes in the events so far.
func (h *byHand) sizes() []int64 {
	var sizes []int64
	for len(h.events) > 0 {
		sizes = append(sizes, h.next().Size)
	}
	return sizes
}

func TestAFileIsReportedOnceItHasSettled(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	h.write("slow.jpg", "0123456789")
	h.tell("slow.jpg", fsnotify.Create)
	for range 10 {
		h.clock = h.clock.Add(settleTime - time.Millisecond)
		assert.LessOrEqual(t, h.settle(), settleTime)
		require.Empty(t, h.sizes(), "it is still being written")
		h.write("slow.jpg", "0123456789")
		h.tell("slow.jpg", fsnotify.Write)
	}
	// The system need not tell of every write.
	h.clock = h.clock.Add(settleTime)
	h.write("slow.jpg", "0123456789")
	h.settle()
	require.Empty(t, h.sizes())
	h.clock = h.clock.Add(settleTime)
	h.settle()
	assert.Equal(t, []int64{120}, h.sizes())
	h.clock = h.clock.Add(time.Hour)
	h.tell("slow.jpg", fsnotify.Chmod)
	h.settle()
	assert.Empty(t, h.sizes(), "nothing has changed since")
	assert.Empty(t, h.changing)
}

func TestAFinishedFileIsReportedWithoutWaiting(t *testing.T) {
	t.Parallel()
	for name, arrive := range map[string]func(*byHand){
		"renamed from an unfinished name": func(h *byHand) {
			h.write("card.jpg.part", "picture")
			h.tell("card.jpg.part", fsnotify.Create)
			require.NoError(h.t, os.Rename(h.path("card.jpg.part"), h.path("card.jpg")))
			h.tell("card.jpg.part", fsnotify.Rename)
		},
		"renamed from a hidden name that was never seen": func(h *byHand) {
			h.write("card.jpg", "picture")
			h.tell(".card.jpg.x7Fq", fsnotify.Rename)
		},
		"moved in from another folder": func(h *byHand) {
			h.write("card.jpg", "picture")
			h.clock = h.clock.Add(time.Hour)
		},
	} {
		h := newByHand(t)
		arrive(h)
		h.tell("card.jpg", fsnotify.Create)
		assert.Equal(t, []int64{7}, h.sizes(), name)
		h.clock = h.clock.Add(time.Hour)
		h.settle()
		assert.Empty(t, h.sizes(), name)
	}
	for name, arrive := range map[string]func(*byHand){
		"a new file":                      func(h *byHand) { h.write("card.jpg", "pic") },
		"after the rename of another one": func(h *byHand) { h.write("card.jpg", "pic"); h.tell("old.jpg", fsnotify.Rename) },
		"still empty":                     func(h *byHand) { h.write("card.jpg", ""); h.clock = h.clock.Add(time.Hour) },
	} {
		h := newByHand(t)
		arrive(h)
		h.tell("card.jpg", fsnotify.Create)
		assert.Empty(t, h.sizes(), name)
	}
}

func TestAFileThatCannotBeTakenYetIsReportedLater(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	// No folder for metadata on their way: what a full disk comes to, also for root.
	temp := filepath.Join(h.dir, tempDir)
	require.NoError(t, os.RemoveAll(temp))
	require.NoError(t, os.WriteFile(temp, nil, 0o600))
	h.write("card.jpg", "picture")
	h.tell("card.jpg", fsnotify.Create)
	for range 3 {
		h.clock = h.clock.Add(retryTime)
		h.settle()
		require.Empty(t, h.sizes())
	}
	require.NoError(t, os.Remove(temp))
	require.NoError(t, os.Mkdir(temp, 0o755))
	h.clock = h.clock.Add(settleTime)
	h.settle()
	require.Empty(t, h.sizes(), "it is not tried at each tick")
	h.clock = h.clock.Add(retryTime)
	h.settle()
	assert.Equal(t, []int64{7}, h.sizes())
	assert.Empty(t, h.changing)
}

func TestMissedChangesAreFoundByStartingOver(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	notifier, err := fsnotify.NewWatcher()
	require.NoError(t, err)
	defer notifier.Close()
	h.notifier = notifier
	h.put("2026/a.jpg", "a")
	require.NoError(t, h.rescan())
	h.clock = h.clock.Add(time.Hour)
	h.settle()
	h.expect("created 2026/a.jpg")
	h.put("2026/b.jpg", "b")
	require.NoError(t, os.Remove(h.path("2026/a.jpg")))
	require.NoError(t, h.rescan())
	h.expect("removed 2026/a.jpg", "created 2026/b.jpg")
}

func TestFoldersThatTheSystemCannotWatchAreSearched(t *testing.T) {
	t.Parallel()
	for limit, newNotifier := range map[string]func() (*fsnotify.Watcher, error){
		"max_user_instances": func() (*fsnotify.Watcher, error) { return nil, os.NewSyscallError("inotify_init1", syscall.EMFILE) },
		"max_user_watches": func() (*fsnotify.Watcher, error) { // one that takes no folder
			notifier, err := fsnotify.NewWatcher()
			return notifier, errors.Join(err, notifier.Close())
		},
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			ignored := make(chan string, 100)
			w := watch(t, t.TempDir(), func(s *Server) {
				s.newNotifier = newNotifier
				s.cfg.OnIgnored = func(_, key, _ string) { ignored <- key }
			})
			w.put(".hidden.jpg", "x")
			w.put("a.jpg", "a")
			w.put("2026/b.jpg", "b")
			w.expect("created a.jpg", "created 2026/b.jpg")
			require.NoError(t, os.RemoveAll(w.path("2026")))
			require.NoError(t, os.Remove(w.path("a.jpg")))
			w.put("c.jpg", "c")
			w.expect("removed a.jpg", "removed 2026/b.jpg", "created c.jpg")
			w.stop()
			assert.Equal(t, 1, strings.Count(w.log.String(), "raise fs.inotify.max_user_instances"), w.log.String())
			assert.Len(t, ignored, 1, "a file that is not taken is told once")
			assert.Empty(t, w.events)
		})
	}
}

func TestADownloadIsReportedByItsFinalName(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	w.put("card.jpg.crdownload", "picture")
	require.NoError(t, os.Rename(w.path("card.jpg.crdownload"), w.path("card.jpg")))
	w.expect("created card.jpg")
}

func TestUnfinishedFilesAreNoObjects(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	for _, key := range []string{"a.jpg.part", "b.crdownload", ".hidden.jpg", "c.tmp", "d.jpg~", ".git/e.jpg", "sub/.f.jpg", "g.swp", "h.partial"} {
		w.put(key, "x")
	}
	w.put("i.jpg", "x")
	w.expect("created i.jpg")
	require.NoError(t, os.RemoveAll(w.path("sub")))
	require.NoError(t, os.Remove(w.path("c.tmp")))
	require.NoError(t, os.Remove(w.path("i.jpg")))
	w.expect("removed i.jpg")
}

func TestLinksAreNoObjectsAndHideNone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := filepath.Join(root, "secret.jpg")
	require.NoError(t, os.WriteFile(outside, []byte("x"), 0o644))
	w := watch(t, filepath.Join(root, "oss"))
	require.NoError(t, os.Symlink(outside, w.path("link.jpg")))
	require.NoError(t, os.Symlink(root, w.path("linked")))
	w.put("real.jpg", "x")
	w.expect("created real.jpg")
	page, err := w.list(testBucket, "", "", "", 100)
	require.NoError(t, err)
	require.Len(t, page.objects, 1)
	assert.Equal(t, "real.jpg", page.objects[0].Key)
}

func TestWhatTheServerDoesIsNotReportedTwice(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	client := newClient(t, w.Server, testKey)
	w.put("by-hand.jpg", "x")
	w.expect("created by-hand.jpg")
	for range 5 {
		require.NoError(t, client.PutObject("2026/by-request.jpg", strings.NewReader("x")))
		w.expect("created 2026/by-request.jpg")
		require.NoError(t, client.DeleteObject("2026/by-request.jpg"))
		w.expect("removed 2026/by-request.jpg")
	}
	require.NoError(t, client.PutObject("by-hand.jpg", strings.NewReader("over it")))
	w.expect("created by-hand.jpg")
	// Read before it was reported: it still is.
	w.put("read.jpg", "x")
	_, err := client.GetObjectDetailedMeta("read.jpg")
	require.NoError(t, err)
	w.expect("created read.jpg")
	require.NoError(t, os.Remove(w.path("by-hand.jpg")))
	w.expect("removed by-hand.jpg")
	w.put("last.jpg", "x")
	w.expect("created last.jpg")
	assert.Empty(t, w.events)
}

func TestWhatHappenedWhileNobodyWatchedIsReportedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watch(t, dir)
	w.put("kept.jpg", "x")
	w.put("2026/gone.jpg", "x")
	w.expect("created kept.jpg", "created 2026/gone.jpg")
	require.NoError(t, newClient(t, w.Server, testKey).PutObject("put.jpg", strings.NewReader("x")))
	w.expect("created put.jpg")
	w.stop()

	require.NoError(t, os.RemoveAll(w.path("2026")))
	w.put("new/copied.jpg", "x")
	w.put("kept.jpg", "changed")
	w = watch(t, dir)
	w.expect("removed 2026/gone.jpg", "created new/copied.jpg", "created kept.jpg")
	w.stop()

	w = watch(t, dir)
	w.put("last.jpg", "x")
	w.expect("created last.jpg")
	assert.Empty(t, w.events, "nothing is reported again")
}

func TestABucketMadeLaterIsWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watch(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "more-cards"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "No_Bucket"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "No_Bucket", "a.jpg"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stray.jpg"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more-cards", "a.jpg"), []byte("x"), 0o644))
	e := w.next()
	assert.Equal(t, "more-cards", e.Bucket)
	assert.Equal(t, "a.jpg", e.Key)
}

func TestABucketWhoseFolderIsRemovedIsWatchedAgainOnceItIsBack(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	w.put("a.jpg", "x")
	w.expect("created a.jpg")
	require.NoError(t, os.RemoveAll(w.folder))
	w.expect("removed a.jpg")
	w.put("b.jpg", "x")
	w.expect("created b.jpg")
	w.stop()
	assert.Contains(t, w.log.String(), "the folder of a bucket is gone")
}

func TestWatchEndsIfTheFolderOfTheObjectsIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "oss")
	server, err := New(Config{Dir: dir, Region: "cn-hangzhou", Buckets: []string{testBucket}, Keys: NewKeyring(testKey)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	ended := make(chan error, 1)
	go func() { ended <- server.Watch(t.Context()) }()
	// Watch may not have begun yet, but then it finds no folder.
	require.NoError(t, os.RemoveAll(dir))
	select {
	case err := <-ended:
		assert.Error(t, err)
	case <-time.After(20 * time.Second):
		require.Fail(t, "it goes on without a folder")
	}
}

func TestWatchLogsNoCitizenNumber(t *testing.T) {
	t.Parallel()
	w := watch(t, t.TempDir())
	w.put("张三 11010519491231002X.jpg", "x")
	w.expect("created 张三 11010519491231002X.jpg")
	w.stop()
	assert.Contains(t, w.log.String(), "a file changed in the folder")
	assert.NotContains(t, w.log.String(), "11010519491231002")
}

func TestAPictureThatIsCopiedSlowlyIsReportedOnce(t *testing.T) {
	w := watch(t, t.TempDir())
	picture, err := os.ReadFile("../../../testdata/cards/scan-01.jpg")
	require.NoError(t, err)
	file, err := os.Create(filepath.Join(w.folder, "slow.jpg"))
	require.NoError(t, err)
	_, err = file.Write(picture[:len(picture)/2])
	require.NoError(t, err)
	// The copying program pauses longer than settleTime: what came later and is complete is reported meanwhile.
	require.NoError(t, os.WriteFile(filepath.Join(w.folder, "whole.jpg"), picture, 0o600))
	w.expect("created whole.jpg")
	_, err = file.Write(picture[len(picture)/2:])
	require.NoError(t, err)
	require.NoError(t, file.Close())
	e := w.next()
	assert.Equal(t, "slow.jpg", e.Key)
	assert.EqualValues(t, len(picture), e.Size)
}

func TestPicturesWithoutTheirEndAreKnown(t *testing.T) {
	w := watch(t, t.TempDir())
	jpeg, err := os.ReadFile("../../../testdata/cards/scan-01.jpg")
	require.NoError(t, err)
	webp := "RIFF\x10\x00\x00\x00WEBPVP8 1234567"
	bmp := "BM\x20\x00\x00\x00" + strings.Repeat("x", 26)
	for content, cut := range map[string]bool{
		string(jpeg): false, string(jpeg[:len(jpeg)-2000]): true, "\x89PNG\r\n\x1a\n12345": true, "\x89PNG\r\n\x1a\n12345IEND": false,
		webp + "8": false, webp: true, bmp: false, bmp[:20]: true, "some text of any length": false, "": false,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(w.folder, "a.part"), []byte(content), 0o600))
		assert.Equal(t, cut, w.store.isCutOff(testBucket, "a.part"), "%.30q", content)
	}
}
