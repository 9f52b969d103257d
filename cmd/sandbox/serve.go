package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// serve runs the sandbox until ctx ends.
func (s *session) serve(ctx context.Context) error {
	var demo []byte
	if s.flags.demo != "" {
		if !sandbox.IsImage(s.flags.demo) {
			return usageError{message.Errorf("--demo %s: pictures end in one of %s", s.flags.demo, strings.Join(sandbox.ImageSuffixes, ", "))}
		}
		var err error
		if demo, err = os.ReadFile(s.flags.demo); err != nil {
			return usageError{err}
		}
	}
	// One goroutine prints the documents, so that lines do not mix; it receives keys.
	results, ignored := make(chan string, 1024), make(chan string, 1024)
	cloud, err := s.start(ctx, s.flags.dir, s.flags.port, func(o *sandbox.Options) {
		o.OnObject = func(event ossfake.Event) {
			image, isResult := strings.CutSuffix(event.Key, sandbox.ResultSuffix)
			if isResult && event.Name == "ObjectCreated:PutObject" {
				select {
				case results <- image:
				default: // a display that cannot follow shows less
				}
			}
		}
		o.OnIgnored = func(key, why string) {
			select {
			case ignored <- message.Sprintf("%s - %s is not taken: %s", time.Now().Format(time.TimeOnly), display.Printable(result.MaskKey(key)), why):
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	if demo != nil {
		if err := s.demo(ctx, cloud, "demo/"+filepath.Base(s.flags.demo), demo); err != nil && ctx.Err() == nil {
			cloud.Close() //nolint:errcheck // the other error counts
			return err
		}
		for len(results) > 0 {
			<-results // has just been shown as a table
		}
	}
	if ctx.Err() == nil {
		s.howTo(cloud)
	}
	var shown sync.WaitGroup
	shown.Go(func() { s.showResults(ctx, cloud, results, ignored) })
	s.served = true
	<-ctx.Done()
	shown.Wait()
	fmt.Fprintln(s.stderr, message.Text("\nStopping ..."))
	return cloud.Close()
}

// demo uploads the picture like any program would and shows what became of it.
func (s *session) demo(ctx context.Context, cloud *sandbox.Cloud, key string, content []byte) error {
	// A document of an earlier demo would end the waiting at once.
	previous, err := cloud.Object(ctx, key+sandbox.ResultSuffix)
	if err != nil {
		return err
	}
	done := s.step(message.Sprintf("Uploading %s and waiting for its document (the OCR engine loads its models first)", s.flags.demo))
	if err := cloud.Upload(ctx, key, content); err != nil {
		done(err)
		return err
	}
	if previous != nil {
		err = cloud.Runtime.Wait(ctx) // the function will find it unchanged
	}
	var document sandbox.Document
	if err == nil {
		_, document, err = cloud.Await(ctx, key)
	}
	done(err)
	if err != nil {
		return err
	}
	_, shown := s.masked(key, document)
	picture := filepath.Join(cloud.Folder, filepath.FromSlash(key))
	message.Fprintf(s.stdout, "\n  picture   %s\n  document  %s\n\n%s\n", picture, picture+sandbox.ResultSuffix, cardTable(shown))
	if previous != nil {
		fmt.Fprintln(s.stdout, message.Text("  (recognised in an earlier run: the picture has not changed, so nothing was paid again)"))
	}
	return nil
}

// howTo says where things are and what can be done with them.
func (s *session) howTo(c *sandbox.Cloud) {
	message.Fprintf(s.stdout, `The sandbox is running. Drop in a picture of an ID card's front:

  browser   %[14]s
  copy      cp card.jpg %[1]s/
  HTTP      curl --data-binary @card.jpg -H 'Content-Type: image/jpeg' %[2]s/recognitions
  ossutil   ossutil cp card.jpg oss://%[3]s/ -e %[4]s --force-path-style --region %[5]s -i %[6]s -k %[7]s
  OSS SDK   endpoint %[4]s (path style, region %[5]s, V4 or V1),
            bucket %[3]s, AccessKey ID %[6]s, AccessKey secret %[7]s

  the document comes beside the picture:  %[1]s/card.jpg%[8]s
  events that FC gave up:                 %[9]s
  retries and ages of events:             %[15]s (--async-speedup)
  OCR API:                                %[10]s
                                          AppKey %[11]s, AppSecret %[12]s, AppCode %[13]s
  faults, ledger, requests:               %[14]s (docs/sandbox.md)

Ctrl-C stops it.

`, c.Folder, c.TriggerURL, c.Bucket, c.OSSEndpoint, sandbox.Region, sandbox.AccessKeyID, sandbox.AccessKeySecret,
		sandbox.ResultSuffix, c.FailureDir, c.OCREndpoint, sandbox.AppKey, sandbox.AppSecret, sandbox.AppCode,
		c.ManagementURL, pace(c.Runtime.Settings().Speedup))
}

// pace says how fast events are retried and grow old.
func pace(speedup float64) string {
	if speedup == 1 {
		return message.Text("as on FC")
	}
	return message.Sprintf("%g times as fast as on FC", speedup)
}

// showResults prints a line for each document that is written, and for each file that is not taken.
func (s *session) showResults(ctx context.Context, cloud *sandbox.Cloud, results, ignored <-chan string) {
	for {
		var key string
		select {
		case key = <-results:
		case line := <-ignored:
			fmt.Fprintln(s.stdout, line)
			continue
		case <-ctx.Done():
			return
		}
		document, err := cloud.Document(ctx, key)
		if err != nil {
			if ctx.Err() == nil {
				fmt.Fprintf(s.stderr, "%s: %s\n", display.Printable(result.MaskKey(key)), display.Printable(err.Error()))
			}
			continue
		}
		fmt.Fprintln(s.stdout, cardLine(s.masked(key, document)))
	}
}

// masked is a key and a document as they are shown: with what is personal masked, unless the flag says otherwise.
func (s *session) masked(key string, d sandbox.Document) (string, sandbox.Document) {
	if s.flags.noMask {
		return key, d
	}
	card := result.Card(d.Card).Mask()
	d.Card.Name, d.Card.BirthDate, d.Card.Address, d.Card.IDNumber = card.Name, card.BirthDate, card.Address, card.IDNumber
	return result.MaskKey(key), d
}

// cardLine is a document on one line, in printable characters: keys and documents can hold anything.
func cardLine(key string, d sandbox.Document) string {
	when := d.CompletedAt.Local().Format(time.TimeOnly)
	if !d.Recognized() {
		again := ""
		if d.Error.Retryable {
			again = message.Text(" (FC tries again)")
		}
		return display.Printable(fmt.Sprintf("%s ✘ %s  %s: %s%s", when, key, d.Error.Code, d.Error.Message, again))
	}
	fields := []string{d.Card.Name, d.Card.Sex, d.Card.Ethnicity, d.Card.BirthDate, d.Card.IDNumber, d.Card.Address}
	mark := "✔"
	if !d.Validation.Valid {
		mark = "?"
	}
	return display.Printable(fmt.Sprintf("%s %s %s  %s", when, mark, key, strings.Join(fields, "  ")))
}

// cardTable is a document as a table with a mark for each field: ✔ read and consistent, ✘ not read or inconsistent.
func cardTable(d sandbox.Document) string {
	var b strings.Builder
	if !d.Recognized() {
		fmt.Fprintf(&b, "  ✘ %s\n", display.Printable(fmt.Sprintf("%s  %s: %s", d.Status, d.Error.Code, d.Error.Message)))
		return b.String()
	}
	// A check that could not be made does not speak against a field.
	passed := func(checks ...*bool) bool {
		return !slices.ContainsFunc(checks, func(check *bool) bool { return check != nil && !*check })
	}
	for _, row := range []struct {
		label      message.Key
		value      string
		consistent bool
	}{
		{"name", d.Card.Name, true},
		{"sex", d.Card.Sex, passed(d.Validation.Sex)},
		{"ethnicity", d.Card.Ethnicity, true},
		{"birth date", d.Card.BirthDate, passed(d.Validation.BirthDate)},
		{"address", d.Card.Address, true},
		{"ID number", d.Card.IDNumber, passed(d.Validation.CheckDigit, d.Validation.Region)},
	} {
		mark := "✔"
		if row.value == "" || !row.consistent {
			mark = "✘"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", mark, display.Pad(message.Text(row.label), 11), display.Printable(row.value))
	}
	return b.String()
}
