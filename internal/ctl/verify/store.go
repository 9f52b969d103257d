package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"sync"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/message"
)

// racers is how many appends are sent at once.
const racers = 8

var crcTable = crc64.MakeTable(crc64.ECMA)

// race sends appends of different lines at one position at once, and returns how many succeeded, what the winner was told, and
// what went wrong beside refusals for the position.
func (r *run) race(ctx context.Context, key string, position int64) (won int, last bucket.Appended, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range racers {
		group.Go(func() {
			done, failed := r.Store.Append(ctx, key, position, fmt.Appendf(nil, "%02d racer\n", i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case failed == nil:
				won, last = won+1, done
			case !errors.Is(failed, bucket.ErrPositionMismatch):
				err = failed
			}
		})
	}
	group.Wait()
	return won, last, err
}

// store tries what the claim rests on. Scratch keys end like no image, so no trigger and no function sees them.
func (r *run) store(ctx context.Context) {
	key := r.scratch + "appends"
	won, told, err := r.race(ctx, key, 0)
	if err != nil && won == 0 {
		r.refusedAppends(err)
		return
	}
	r.judge("append-creates-once", won == 1 && err == nil, "%d of %d appends at position 0 succeeded%s", won, racers, because(err))
	length := told.Length
	won, told, err = r.race(ctx, key, length)
	_, wrong := r.Store.Append(ctx, key, length+1000, []byte("x\n"))
	if wrong == nil {
		r.fails("append-continues-once", "%d of %d appends at the length succeeded, and one beyond it%s", won, racers, because(err))
	} else {
		r.judge("append-continues-once", won == 1 && err == nil && errors.Is(wrong, bucket.ErrPositionMismatch), "%d of %d appends at the length succeeded, and none beyond it%s", won, racers, because(err))
	}
	body, _, err := r.Store.Read(ctx, key, bucket.ReadOptions{Limit: 1 << 16})
	switch {
	case err != nil:
		r.fails("append-crc", "%v", err)
	case !told.HasCRC:
		r.fails("append-crc", "the answer has no x-oss-hash-crc64ecma")
	default:
		r.judge("append-crc", told.CRC64 == crc64.Checksum(body, crcTable), "the answer's CRC-64 compared with that of the object as read")
	}
	r.versioned(ctx, key)
	switch setup := r.report.Setup; {
	case r.Config.ResultEncryption != "":
		r.holds("append-encrypted", "with RESULT_ENCRYPTION %s", encryptionKind(r.Config.ResultEncryption))
	case setup.encrypted():
		r.holds("append-encrypted", "under the bucket's default encryption %s", setup.Encryption)
	default:
		r.skip("append-encrypted", "the bucket has no default encryption (%s), and RESULT_ENCRYPTION is empty", Word(setup.Encryption))
	}
	if class := r.report.Setup.StorageClass; class == "Standard" || class == "IA" || class == string(unknown) {
		r.skip("append-archive", "the bucket's class is %s", Word(class))
	} else {
		r.judge("append-archive", len(body) > 0, "in a bucket of class %s, %d bytes were read", class, len(body))
	}
	r.objects(ctx)
}

// refusedAppends: the bucket takes no append at all.
func (r *run) refusedAppends(err error) {
	id := "append-creates-once"
	switch setup := r.report.Setup; {
	case setup.StorageClass != "Standard" && setup.StorageClass != "IA" && setup.StorageClass != string(unknown):
		id = "append-archive"
	case r.Config.ResultEncryption != "" || setup.encrypted():
		id = "append-encrypted"
	}
	for _, each := range []string{"append-creates-once", "append-continues-once", "append-crc", "append-versioned", "append-encrypted", "append-archive", "class-standard", "etag-changes", "delete-missing"} {
		if each == id {
			r.fails(each, "the bucket takes no append: %v", err)
		} else {
			r.skip(each, "the bucket takes no append")
		}
	}
}

func encryptionKind(text string) string {
	if len(text) > 3 && text[:3] == "KMS" {
		return message.Text("KMS with a key of one's own")
	}
	return text
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return message.Sprintf("; another failed: %v", err)
}

// versioned appends to an object that was deleted before: behind it is a delete marker now.
func (r *run) versioned(ctx context.Context, key string) {
	if state := r.report.Setup.Versioning; state == string(off) || state == string(unknown) {
		r.skip("append-versioned", "versioning is %s", Word(state))
		return
	}
	if err := r.Store.Delete(ctx, key); err != nil {
		r.fails("append-versioned", "%v", err)
		return
	}
	won, _, err := r.race(ctx, key, 0)
	r.judge("append-versioned", won == 1 && err == nil, "versioning is %s; %d of %d appends at position 0 succeeded behind a delete marker%s", r.report.Setup.Versioning, won, racers, because(err))
}

// objects tries writing, looking and deleting.
func (r *run) objects(ctx context.Context) {
	key, meta := r.scratch+"object", map[string]string{"verify": "one"}
	put := func(content string) (bucket.Object, error) {
		if err := r.Store.Put(ctx, key, []byte(content), bucket.PutOptions{ContentType: "text/plain", Meta: meta}); err != nil {
			return bucket.Object{}, err
		}
		return r.Store.Head(ctx, key)
	}
	first, err := put("first")
	second, err2 := put("second")
	if err = errors.Join(err, err2); err != nil {
		r.fails("class-standard", "%v", err)
		r.fails("etag-changes", "%v", err)
	} else {
		r.judge("class-standard", second.StorageClass == "Standard", "the class is %s", or(second.StorageClass, message.Text("not told")))
		r.judge("etag-changes", first.ETag != "" && second.ETag != "" && first.ETag != second.ETag && second.Meta["verify"] == "one", "%s; %s",
			message.Text(map[bool]message.Key{true: "two contents, two ETags", false: "two contents, one ETag"}[first.ETag != second.ETag]),
			message.Text(map[bool]message.Key{true: "metadata came back", false: "metadata did not come back"}[second.Meta["verify"] == "one"]))
	}
	err = r.Store.Delete(ctx, r.scratch+"nothing")
	r.judge("delete-missing", err == nil, "%s", told(err, "it succeeded"))
}

// heads looks for what is not there.
func (r *run) heads(ctx context.Context) {
	_, err := r.Store.Head(ctx, r.scratch+"nothing")
	r.judge("head-missing", errors.Is(err, bucket.ErrNotFound), "%s", told(err, "an object was found"))
	if r.Function == nil {
		r.skip("head-missing-role", "no function was named")
		return
	}
	answer, err := r.invoke(ctx, "nothing"+r.suffix())
	if err != nil {
		r.fails("head-missing-role", "%v", err)
		return
	}
	r.judge("head-missing-role", answer.status() == "missing", "the function says %q of an image that is not there", or(answer.status(), message.Text("nothing")))
}

// urls fetches signed URLs without credentials.
func (r *run) urls(ctx context.Context) {
	key := r.scratch + "picture"
	if err := r.Store.Put(ctx, key, r.Picture, bucket.PutOptions{ContentType: "image/jpeg"}); err != nil {
		r.fails("signed-url", "%v", err)
		r.skip("signed-process", "no picture could be written")
		return
	}
	if r.Config.ImageSource == "data" {
		r.skip("signed-url", "OCR_IMAGE_SOURCE is data")
		r.skip("signed-process", "OCR_IMAGE_SOURCE is data")
		return
	}
	body, err := r.fetch(ctx, key, "")
	if err != nil {
		r.fails("signed-url", "%v", err)
	} else {
		r.judge("signed-url", bytes.Equal(body, r.Picture), "%d of %d bytes came", len(body), len(r.Picture))
	}
	body, err = r.fetch(ctx, key, "image/resize,l_64/format,jpg")
	if err != nil {
		r.fails("signed-process", "%v", err)
	} else {
		r.judge("signed-process", bytes.HasPrefix(body, []byte("\xff\xd8")) && len(body) < len(r.Picture), "%d bytes came of %d", len(body), len(r.Picture))
	}
}

func (r *run) fetch(ctx context.Context, key, process string) ([]byte, error) {
	signed, err := r.Store.SignURL(key, process, "", 5*time.Minute)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, signed, nil)
	if err != nil {
		return nil, message.Errorf("no request can be made of the signed URL")
	}
	response, err := r.HTTP.Do(request)
	if err != nil {
		return nil, message.Errorf("the address of signed URLs does not answer")
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, message.Errorf("the signed URL was answered with status %d", response.StatusCode)
	}
	return body, nil
}
