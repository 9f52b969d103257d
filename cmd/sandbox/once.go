package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/sandbox"
)

// once recognises the files in a sandbox of their own, prints the documents and leaves nothing behind.
func (s *session) once(ctx context.Context, files []string) (err error) {
	contents := make([][]byte, len(files))
	for n, file := range files {
		if !sandbox.IsImage(file) {
			return usageError{message.Errorf("%s: pictures end in one of %s", file, strings.Join(sandbox.ImageSuffixes, ", "))}
		}
		if contents[n], err = os.ReadFile(file); err != nil {
			return usageError{err}
		}
	}
	dir, err := os.MkdirTemp("", "fc-idcard-ocr-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cloud, err := s.start(ctx, dir, 0, func(o *sandbox.Options) {
		// Nobody is paying and nobody else is waiting: rather slow than failed.
		o.Timeout = 5 * time.Minute
		o.Env = []string{"OCR_TIMEOUT=60s"}
	})
	if err != nil {
		return err
	}
	defer cloud.Close()

	bar := s.bar(len(files))
	documents := make([]json.RawMessage, len(files))
	recognized := make([]bool, len(files))
	problems := make([]string, len(files))
	var group errgroup.Group
	group.SetLimit(8)
	for n, key := range keys(files) {
		group.Go(func() error {
			defer bar.Add(1) //nolint:errcheck // a display
			if err := cloud.Upload(ctx, key, contents[n]); err != nil {
				return message.Errorf("upload %s: %w", files[n], err)
			}
			raw, document, err := cloud.Await(ctx, key)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				problems[n] = err.Error()
			case !document.Recognized():
				problems[n] = document.Error.Code + ": " + document.Error.Message
			}
			documents[n], recognized[n] = raw, err == nil && document.Recognized()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	bar.Finish() //nolint:errcheck // a display

	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(documents); err != nil {
		return err
	}
	if _, err := s.stdout.Write(display.JSON(text.Bytes())); err != nil {
		return err
	}
	for n := range files {
		if !recognized[n] {
			message.Fprintf(s.stderr, "%s: not recognised: %s\n", display.Printable(files[n]), display.Printable(problems[n]))
			err = errNotRecognized
		}
	}
	return err
}

// keys gives each file an object key: its name, under a number if the name comes more than once.
func keys(files []string) []string {
	count := map[string]int{}
	for _, file := range files {
		count[filepath.Base(file)]++
	}
	keys := make([]string, len(files))
	for n, file := range files {
		keys[n] = filepath.Base(file)
		if count[keys[n]] > 1 {
			keys[n] = strconv.Itoa(n+1) + "/" + keys[n]
		}
	}
	return keys
}

// bar shows how many pictures are done, on a terminal only.
func (s *session) bar(n int) *progressbar.ProgressBar {
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetVisibility(isTerminal(s.stderr)),
		progressbar.OptionSetDescription(message.Text("Recognising")), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
