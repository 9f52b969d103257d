package processor_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What OSS refuses says something about the bucket. Once it is mended, every image can be recognised.
func TestARefusingBucketIsNotTheImagesFault(t *testing.T) {
	for name, requests := range map[string]func(op, key string) bool{
		"claim":             ocrtest.Op("APPEND"),
		"document":          ocrtest.Op("PUT"),
		"claim, document":   func(op, _ string) bool { return op == "APPEND" || op == "PUT" },
		"look at the image": func(op, key string) bool { return op == "HEAD" && key == ocrtest.ImageKey },
		"look at the document": func(op, key string) bool {
			return op == "HEAD" && key == ocrtest.ResultKey
		},
	} {
		for kindName, kind := range map[string]error{"refused": bucket.ErrInvalid, "archived": bucket.ErrArchived} {
			t.Run(name+", "+kindName, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := ocrtest.NewFixture(t)
					f.Fail(kind, requests)
					o := f.Process(ocrtest.First("r1"))
					require.True(t, o.Retry(), "it can be mended")
					assert.Equal(t, result.StorageRefused, o.Err.Code)
					assert.Contains(t, o.Err.Message, "check the bucket's encryption, storage class, retention and region")
					if d := f.Document(); d != nil {
						assert.Equal(t, result.StorageRefused, d.Error.Code)
						assert.True(t, d.Error.Retryable)
					}
					charged := f.OCR.Charged()
					f.Bucket.Fail = nil
					o = f.Process(ocrtest.First("r2"))
					require.False(t, o.Retry(), o.Err)
					assert.Equal(t, result.Recognized, f.Document().Status)
					assert.Equal(t, 1, f.OCR.Charged())
					assert.LessOrEqual(t, charged, 1)
				})
			})
		}
	}
}

// A claim that froze in an archive class locks the image as long as it is frozen, and is nobody's in-progress.
func TestAClaimThatFrozeIsTheBucketsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Fail(bucket.ErrUnavailable, ocrtest.Op("PUT"))
		require.True(t, f.Process(ocrtest.First("r1")).Retry())
		f.Bucket.Fail = nil
		f.Bucket.Change(ocrtest.ClaimKey, func(o *bucket.Object) { o.StorageClass = "Archive" })
		o := f.Process(ocrtest.First("r2"))
		require.True(t, o.Retry())
		assert.Equal(t, result.StorageRefused, o.Err.Code)
		assert.Equal(t, 1, f.OCR.Accepted())
		f.Bucket.Change(ocrtest.ClaimKey, func(o *bucket.Object) { o.StorageClass = "Standard" })
		o = f.Process(ocrtest.First("r3"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 1, f.OCR.Accepted(), "the paid answer was in it")
	})
}

// An image in an archive class can be recognised once it is restored.
func TestAnArchivedImageWaitsForItsRestoration(t *testing.T) {
	for _, source := range []config.ImageSource{config.URL, config.Auto, config.Data} {
		for _, class := range []string{"Archive", "ColdArchive", "DeepColdArchive"} {
			t.Run(string(source)+", "+class, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := ocrtest.NewFixture(t)
					f.Options.ImageSource = source
					f.Bucket.Change(ocrtest.ImageKey, func(o *bucket.Object) { o.StorageClass = class })
					o := f.Process(ocrtest.First("r1"))
					require.True(t, o.Retry())
					assert.Equal(t, result.ImageArchived, f.Document().Error.Code)
					assert.True(t, f.Document().Error.Retryable)
					assert.Contains(t, f.Document().Error.Message, "restore it")
					assert.Empty(t, f.OCR.Requests(), "the provider could not fetch it")
					assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())

					f.Bucket.Change(ocrtest.ImageKey, func(o *bucket.Object) {
						o.Restore = `ongoing-request="false", expiry-date="Wed, 02 Dec 2026 00:00:00 GMT"`
					})
					o = f.Process(ocrtest.First("r2"))
					require.False(t, o.Retry(), o.Err)
					assert.Equal(t, result.Recognized, f.Document().Status)
					assert.Equal(t, source != config.Data, f.OCR.Requests()[0].ImageURL != "")
				})
			})
		}
	}
}

// Some buckets let archived objects be read at once; only the attempt tells.
func TestAnArchivedImageThatCanBeReadAtOnceIsRecognised(t *testing.T) {
	f := ocrtest.NewFixture(t)
	f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
		return realTimeArchive{f.Bucket}, nil
	}
	o := f.Process(ocrtest.First("r1"))
	require.False(t, o.Retry(), o.Err)
	assert.Equal(t, result.Recognized, f.Document().Status)
	assert.Equal(t, config.Data, f.Document().OCR.ImageSource)
}

type realTimeArchive struct{ processor.Bucket }

func (b realTimeArchive) Head(ctx context.Context, key string) (bucket.Object, error) {
	o, err := b.Bucket.Head(ctx, key)
	o.StorageClass = "Archive"
	return o, err
}

// OSS's word on the picture's own bytes is about the picture.
func TestAPictureThatOSSRefusesIsTheImagesFault(t *testing.T) {
	for name, test := range map[string]struct {
		kind      error
		code      result.Code
		retryable bool
	}{
		"refused":       {bucket.ErrInvalid, result.ImageUnsupported, false},
		"too large":     {bucket.ErrTooLarge, result.ImageTooLarge, false},
		"archived":      {bucket.ErrArchived, result.ImageArchived, true},
		"storage down":  {bucket.ErrUnavailable, result.Unavailable, true},
		"no permission": {bucket.ErrAccessDenied, result.AccessDenied, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			f.Options.ImageSource = config.Data
			f.Fail(test.kind, func(op, key string) bool { return op == "GET" && key == ocrtest.ImageKey })
			o := f.Process(ocrtest.First("r1"))
			assert.Equal(t, test.retryable, o.Retry())
			assert.Equal(t, test.code, f.Document().Error.Code)
			assert.Equal(t, test.retryable, f.Document().Error.Retryable)
			assert.Empty(t, f.OCR.Requests())
		})
	}
}

func TestNothingIsPaidForAnImageThatCannotBeClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Fail(bucket.ErrInvalid, ocrtest.Op("APPEND"))
		for i := range 3 {
			o := f.Process(ocrtest.Retry("r1", i))
			require.True(t, o.Retry())
			time.Sleep(time.Minute)
		}
		assert.Empty(t, f.OCR.Requests())
		assert.Equal(t, result.StorageRefused, f.Document().Error.Code)
	})
}
