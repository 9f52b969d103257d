package processor_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/processor/ocrtest"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// duringCall has something happen during the first call, two seconds after it was sent, so that OSS tells another time.
func duringCall(f *ocrtest.Fixture, act func()) {
	check, done := f.OCR.OnCall, false
	f.OCR.OnCall = func(r ocrclient.Request) {
		check(r)
		if !done {
			done = true
			time.Sleep(2 * time.Second) // virtual
			act()
		}
	}
}

// The provider fetches what is at the key when it likes.
func TestADocumentIsAboutTheVersionThatWasRead(t *testing.T) {
	for name, replace := range map[string]func(f *ocrtest.Fixture){
		"replaced":                       func(f *ocrtest.Fixture) { f.Upload("version 2") },
		"replaced, and put back":         func(f *ocrtest.Fixture) { f.Upload("version 2"); f.Upload("version 1") },
		"the same bytes, uploaded again": func(f *ocrtest.Fixture) { f.Upload("version 1") },
	} {
		for answered, test := range map[string]struct {
			plan  []ocrtest.Outcome
			calls int // 1 if omitted
			extra int // possible extra charges; else the call is known to be charged
		}{
			"recognized":          {},
			"unrecognized":        {plan: []ocrtest.Outcome{ocrtest.PaidNotRecognized}},
			"a paid failure":      {plan: []ocrtest.Outcome{ocrtest.PaidFailure}},
			"not understood":      {plan: []ocrtest.Outcome{ocrtest.Garbled}, extra: 1},
			"broken off, parking": {plan: []ocrtest.Outcome{ocrtest.BrokenOff}, calls: 2, extra: 1},
		} {
			t.Run(name+", "+answered, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := ocrtest.NewFixture(t, test.plan...)
					f.Options.OnLostAnswer = config.Park
					before := f.ETag()
					duringCall(f, func() {
						replace(f)
						f.OCR.OnCall = nil // a second call is for the version before
					})
					o := f.Process(ocrtest.First("r1"))
					require.True(t, o.Retry())
					d := f.Document()
					require.NotNil(t, d)
					assert.Equal(t, result.ImageReplaced, d.Error.Code)
					assert.True(t, d.Error.Retryable)
					assert.Equal(t, before, d.Image.ETag)
					assert.Nil(t, d.Card, "nothing is claimed about either version")
					assert.Nil(t, d.Raw)
					assert.Empty(t, d.OCR.RequestID)
					assert.Empty(t, d.OCR.Message)
					assert.Empty(t, d.RawText)
					assert.Equal(t, test.extra == 0, d.OCR.Charged, "and the call is told")
					assert.Equal(t, test.extra, d.OCR.PossibleExtraCharges)
					assert.Equal(t, max(test.calls, 1), d.OCR.Attempts)

					o = f.Process(ocrtest.First("r2"))
					require.False(t, o.Retry(), o.Err)
					assert.Equal(t, f.ETag(), f.Document().Image.ETag)
					assert.True(t, f.Version().LastModified.Equal(f.Document().Image.LastModified))
					assert.Equal(t, result.Recognized, f.Document().Status)
					assert.Equal(t, 2, f.OCR.Charged(), "the new version has its own call")
					assert.Equal(t, strings.Repeat("1", max(test.calls, 1))+"2", f.OCR.Nonces())
					assert.Equal(t, test.extra, f.Document().OCR.PossibleExtraCharges)
					assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
				})
			})
		}
	}
}

// OSS refuses the bytes that are there, which need not be those that were inspected.
func TestARefusedPictureIsTheVersionThatWasInspected(t *testing.T) {
	for name, kind := range map[string]error{"refused": bucket.ErrInvalid, "too large": bucket.ErrTooLarge} {
		t.Run(name, func(t *testing.T) {
			f := ocrtest.NewFixture(t)
			f.Options.ImageSource = config.Data
			whenRead(f, func(n int) error {
				if n > 1 {
					return nil
				}
				f.Upload("version 2")
				return fmt.Errorf("memory: %w", kind)
			})
			o := f.Process(ocrtest.First("r1"))
			require.False(t, o.Retry(), o.Err)
			assert.Equal(t, result.Recognized, f.Document().Status)
			assert.Equal(t, f.ETag(), f.Document().Image.ETag)
			assert.Equal(t, 1, f.OCR.Charged())
		})
	}
}

func TestAVersionedBucketsVersionIsNamedInTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Bucket.Versioned = true
		f.Upload("version 1")
		v := f.Version()
		duringCall(f, func() { f.Upload("version 2") })
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Contains(t, f.OCR.Requests()[0].ImageURL, "versionId="+v.VersionID+"&")
		assert.Equal(t, v.ETag, f.Document().Image.ETag, "whatever replaces it")
		assert.Equal(t, v.VersionID, f.Document().Image.VersionID)

		f.Bucket.Requests()
		o = f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		assert.Len(t, f.Bucket.Requests(), 5, "claim, two HEADs, document, release: no HEAD after the call")
		assert.Equal(t, f.Version().VersionID, f.Document().Image.VersionID)
		assert.Equal(t, 2, f.OCR.Charged())
	})
}

func TestAVersionedBucketsVersionIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Bucket.Versioned = true
		f.Upload("version 1")
		v := f.Version()
		f.Options.ImageSource = config.Data
		f.OCR.OnCall = nil // it looks for the nonce of the version that is there by then
		whenRead(f, func(n int) error { f.Upload("version 2"); return nil })
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, "version 1", string(f.OCR.Requests()[0].Image))
		assert.Equal(t, v.VersionID, f.Document().Image.VersionID)
	})
}

func TestAFailureIsNotMadeAnotherByAReplacedImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.QuotaExhausted)
		duringCall(f, func() { f.Upload("version 2") })
		before := f.ETag()
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, result.QuotaExhausted, f.Document().Error.Code)
		assert.Equal(t, before, f.Document().Image.ETag)
	})
}

// whenRead has something happen before the picture is read for the nth time.
func whenRead(f *ocrtest.Fixture, act func(n int) error) {
	n := 0
	f.Bucket.Fail = func(op, key string) error {
		if op == "GET" && key == ocrtest.ImageKey {
			n++
			return act(n)
		}
		return nil
	}
}

func TestAPictureThatIsReadIsTheVersionThatWasInspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.ImageSource = config.Data
		whenRead(f, func(n int) error {
			if n == 1 {
				f.Upload("version 2")
			}
			return nil
		})
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 1, f.OCR.Accepted(), "nothing was sent of the version before")
		assert.Equal(t, "version 2", string(f.OCR.Requests()[0].Image))
		assert.Equal(t, f.ETag(), f.Document().Image.ETag)
		assert.EqualValues(t, len("version 2"), f.Document().Image.Size)
	})
}

// The same bytes are uploaded again during the inspection: the version that was read counts.
func TestAPictureThatIsReadIsComparedByItsTimeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.ImageSource = config.Data
		whenRead(f, func(n int) error {
			if n == 1 {
				time.Sleep(2 * time.Second)
				f.Upload("version 1")
			}
			return nil
		})
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.True(t, f.Version().LastModified.Equal(f.Document().Image.LastModified))
		assert.Equal(t, 1, f.OCR.Accepted())
	})
}

func TestAnImageThatIsReplacedAgainAndAgainCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		f.Options.ImageSource = config.Data
		reads := 0
		whenRead(f, func(n int) error {
			reads = n
			f.Upload(strings.Repeat("x", n))
			return nil
		})
		o := f.Process(ocrtest.First("r1"))
		require.True(t, o.Retry())
		assert.Equal(t, 3, reads)
		assert.Empty(t, f.OCR.Requests())
		assert.Equal(t, result.ImageReplaced, f.Document().Error.Code)
		assert.Equal(t, ocrtest.ClaimReleased, f.ClaimState())
		f.Bucket.Fail = nil
		o = f.Process(ocrtest.First("r2"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, 1, f.OCR.Charged())
	})
}

// A picture that OSS processes need not come with the ETag of its source.
func TestAProcessedPictureIsOfTheVersionThatIsThereBeforeAndAfter(t *testing.T) {
	for name, test := range map[string]struct {
		replace  func(f *ocrtest.Fixture)
		kind     error // of the HEAD afterwards
		requests []string

		status   result.Status
		code     result.Code
		accepted int
		sent     string
	}{
		"the same":          {status: result.Recognized, accepted: 1, sent: "version 1"},
		"replaced":          {replace: func(f *ocrtest.Fixture) { f.Upload("version 2") }, status: result.Recognized, accepted: 1, sent: "version 2"},
		"gone":              {kind: bucket.ErrNotFound, status: processor.Missing},
		"cannot be checked": {kind: bucket.ErrUnavailable, status: result.Failed, code: result.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				f.Options.ImageSource = config.Data
				f.Options.Open = func(string, string, bucket.Credentials, *slog.Logger) (processor.Bucket, error) {
					return processing{f.Bucket}, nil
				}
				read := false
				whenRead(f, func(n int) error {
					if n == 1 {
						if test.replace != nil {
							test.replace(f)
						}
						read = true
					}
					return nil
				})
				before := f.Bucket.Fail
				f.Bucket.Fail = func(op, key string) error {
					if op == "HEAD" && key == ocrtest.ImageKey && read && test.kind != nil {
						return test.kind
					}
					return before(op, key)
				}
				o := f.Process(ocrtest.First("r1"))
				assert.Equal(t, test.status, o.Status)
				assert.Equal(t, test.accepted, f.OCR.Accepted())
				if test.code != "" {
					assert.Equal(t, test.code, o.Err.Code)
				}
				if name == "the same" {
					assert.Equal(t, 2, heads(f.Bucket.Requests()), "with the one before; none is needed after the call")
				}
				if test.sent != "" {
					assert.Equal(t, test.sent, string(f.OCR.Requests()[0].Image))
					assert.Equal(t, f.ETag(), f.Document().Image.ETag)
				}
			})
		})
	}
}

func heads(requests []string) (n int) {
	for _, r := range requests {
		if r == "HEAD "+ocrtest.ImageKey {
			n++
		}
	}
	return n
}

// processing is a bucket that processes every picture, and tells the ETag of the result.
type processing struct{ processor.Bucket }

func (p processing) Head(ctx context.Context, key string) (bucket.Object, error) {
	o, err := p.Bucket.Head(ctx, key)
	if key == ocrtest.ImageKey {
		o.Size += 2_000_000
	}
	return o, err
}

func (p processing) Read(ctx context.Context, key string, options bucket.ReadOptions) ([]byte, bucket.Object, error) {
	body, o, err := p.Bucket.Read(ctx, key, options)
	if options.Process != "" {
		o.ETag, o.LastModified = "OF THE RESULT", time.Time{}
	}
	return body, o, err
}

func TestACallForTheURLThatCostNothingIsRepeatedForTheVersionThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t, ocrtest.Rejected)
		duringCall(f, func() { f.Upload("version 2") })
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, f.ETag(), f.Document().Image.ETag)
		assert.Equal(t, 1, f.OCR.Charged())
		assert.Equal(t, 2, f.Document().OCR.Attempts, "those of both versions, as they are bounded together")
	})
}

// Whether an answer is about the image's version cannot be known: it is paid, and kept until it can.
func TestAnAnswerThatCannotBeCheckedWaitsInTheClaim(t *testing.T) {
	for name, test := range map[string]struct {
		plan     []ocrtest.Outcome
		replaced bool
		charged  int
		status   result.Status
	}{
		"the same version":                  {charged: 1, status: result.Recognized},
		"another version":                   {replaced: true, charged: 2, status: result.Recognized},
		"not understood, the same version":  {plan: []ocrtest.Outcome{ocrtest.Garbled}, charged: 1, status: result.Failed},
		"not understood, another version":   {plan: []ocrtest.Outcome{ocrtest.Garbled}, replaced: true, charged: 2, status: result.Recognized},
		"a paid failure, the same version":  {plan: []ocrtest.Outcome{ocrtest.PaidFailure}, charged: 1, status: result.Failed},
		"an answer for now, the same image": {plan: []ocrtest.Outcome{ocrtest.Busy, ocrtest.Busy, ocrtest.Busy}, charged: 1, status: result.Recognized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t, test.plan...)
				f.Fail(bucket.ErrUnavailable, func(op, key string) bool {
					return op == "HEAD" && key == ocrtest.ImageKey && f.OCR.Accepted() > 0
				})
				o := f.Process(ocrtest.First("r1"))
				require.True(t, o.Retry())
				assert.Equal(t, result.Unavailable, o.Err.Code)
				require.NotNil(t, f.Document(), "an image is never without a word")
				assert.Equal(t, o.Err, f.Document().Error)
				assert.Equal(t, len(f.OCR.Requests()), f.Document().OCR.Attempts)
				if test.plan == nil {
					assert.True(t, f.Document().OCR.Charged)
					assert.Equal(t, true, f.LogLine("image done")["charged"])
				}
				f.Bucket.Fail = nil
				if test.replaced {
					time.Sleep(2 * time.Second)
					f.Upload("version 1")
				}
				o = f.Process(ocrtest.Retry("r1", 1))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.charged, f.OCR.Charged())
				assert.Equal(t, test.status, f.Document().Status)
				assert.True(t, f.Version().LastModified.Equal(f.Document().Image.LastModified))
			})
		})
	}
}

func TestAnImageThatIsGoneAfterItsCallLeavesNothingButTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ocrtest.NewFixture(t)
		duringCall(f, func() { require.NoError(t, f.Bucket.Delete(t.Context(), ocrtest.ImageKey)) })
		o := f.Process(ocrtest.First("r1"))
		require.False(t, o.Retry(), o.Err)
		assert.Equal(t, processor.Missing, o.Status)
		assert.Nil(t, f.Document())
		assert.Equal(t, ocrtest.NoClaim, f.ClaimState())
		assert.Equal(t, true, f.LogLine("image done")["charged"])
	})
}

func TestADocumentThatLostItsMetadataSettlesItsVersion(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(f *ocrtest.Fixture, document string) (meta map[string]string, body string)
		charged int
	}{
		"a final document": {func(_ *ocrtest.Fixture, d string) (map[string]string, string) { return nil, d }, 1},
		"with other metadata": {func(_ *ocrtest.Fixture, d string) (map[string]string, string) {
			return map[string]string{"owner": "backup"}, d
		}, 1},
		"with a status only": {func(_ *ocrtest.Fixture, d string) (map[string]string, string) {
			return map[string]string{"status": "recognized"}, d
		}, 1},
		"with the ETag only": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return map[string]string{"source-etag": f.ETag()}, d
		}, 1},
		"with the ETag in quotes and lower case": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return map[string]string{"source-etag": `"` + strings.ToLower(f.ETag()) + `"`, "status": "recognized"}, d
		}, 1},
		"of another version": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return nil, strings.Replace(d, f.ETag(), "0CC175B9C0F1B6A831C399E269772661", 1)
		}, 2},
		"of a failure that is not final": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return nil, `{"schemaVersion":1,"status":"failed","image":{"etag":"` + f.ETag() + `"},"error":{"code":"Timeout","retryable":true}}`
		}, 2},
		"of a final failure": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return nil, `{"schemaVersion":1,"status":"failed","image":{"etag":"` + f.ETag() + `"},"error":{"code":"QuotaExhausted","retryable":false}}`
		}, 1},
		"no document": {func(*ocrtest.Fixture, string) (map[string]string, string) { return nil, "somebody's notes" }, 2},
		"too large to be one": {func(f *ocrtest.Fixture, d string) (map[string]string, string) {
			return nil, d + strings.Repeat(" ", result.MaxBytes)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := ocrtest.NewFixture(t)
				o := f.Process(ocrtest.First("r1"))
				require.False(t, o.Retry(), o.Err)
				meta, body := test.change(f, string(f.Bucket.Content(ocrtest.ResultKey)))
				f.PutResult(meta, body)
				time.Sleep(20 * time.Minute) // so that the gateway would accept the version's nonce again
				o = f.Process(ocrtest.First("r2"))
				require.False(t, o.Retry(), o.Err)
				assert.Equal(t, test.charged, f.OCR.Charged())
				if test.charged == 1 {
					assert.Equal(t, processor.Unchanged, o.Status)
					assert.Equal(t, body, string(f.Bucket.Content(ocrtest.ResultKey)))
				}
			})
		})
	}
}
