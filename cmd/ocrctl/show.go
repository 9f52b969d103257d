package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
)

// openLife is how long the URL of a picture that is opened can be fetched.
const openLife = 5 * time.Minute

func newShow(s *settings) *cobra.Command {
	var open bool
	var age time.Duration
	c := &cobra.Command{
		Use:   "show KEY",
		Short: "Show one image's document beside its checks, and what helps",
		Long: `Show one image's document beside its checks, and what helps and what that costs. Names, addresses and ID numbers are masked unless --no-mask is given. Nothing is written, and nothing is paid.

With --open the picture itself is opened in the browser ($BROWSER, else the system's), by a signed URL that is good for five minutes and is not printed.`,
		Example: `  ocrctl show -b cards -r cn-hangzhou 2026/a.jpg
  ocrctl show --sandbox a.jpg --no-mask --open`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return message.Errorf("%d arguments; expected is the key of one image", len(args))
			}
			return nil
		},
	}
	s.bucketFlags(c)
	claimAgeFlag(c.Flags(), &age)
	c.Flags().BoolVar(&open, "open", false, "open the picture in the browser")
	c.RunE = func(c *cobra.Command, args []string) error { return s.show(c.Context(), args[0], age, open) }
	return c
}

func (s *settings) show(ctx context.Context, key string, age time.Duration, open bool) error {
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	if !keys(conf).IsImage(key) {
		return usageError{message.Errorf("%q is no image: its key ends with none of %s (IMAGE_SUFFIXES)", s.key(key), strings.Join(conf.ImageSuffixes, ", "))}
	}
	image, err := inventory.Find(ctx, bucket, inventory.Options{Keys: keys(conf), ClaimAge: age, Read: true}, key, time.Now())
	if errors.Is(err, inventory.ErrNoImage) {
		return exitError{exitFailed, message.Text("there is no such image in the bucket")}
	}
	if err != nil {
		return err
	}
	if err := s.printImage(image); err != nil {
		return err
	}
	if open {
		return s.openPicture(ctx, bucket, key)
	}
	return nil
}

func (s *settings) printImage(i inventory.Image) error {
	help := strings.ReplaceAll(imageHint(i), "KEY", s.typed(i.Key))
	if s.json() {
		return s.print(struct {
			Key      string            `json:"key"`
			State    inventory.State   `json:"state"`
			Cause    string            `json:"cause,omitempty"`
			Image    *ossclient.Object `json:"image"`
			Document *result.Document  `json:"document,omitempty"`
			Hint     string            `json:"hint,omitempty"`
		}{i.Key, i.State, i.Cause, i.Image, i.Document, help})
	}
	var b strings.Builder
	row := cardRow(&b)
	fmt.Fprintf(&b, "%s: %s\n", display.Printable(s.key(i.Key)), message.Text(stateWords[i.State]))
	row("image", message.Sprintf("%d bytes, %s, ETag %s", i.Image.Size, i.Image.LastModified.UTC().Format(time.RFC3339), i.Image.ETag))
	if i.Cause != "" {
		row("document", message.Sprintf("cannot be read: %s", explain(i.Cause)))
	}
	if d := i.Document; d != nil {
		s.printDocument(&b, row, *d)
		charged := 0
		if d.OCR.Charged {
			charged = 1
		}
		row("cost", message.Sprintf("%d calls charged, and %d possible extra charges", charged, d.OCR.PossibleExtraCharges))
	}
	row("what helps", help)
	_, err := fmt.Fprint(s.stdout, b.String())
	return err
}

// typed is a key as somebody can type it in a command, or the word KEY if it is not shown as it is.
func (s *settings) typed(key string) string {
	if s.key(key) != key || display.Printable(key) != key || strings.Contains(key, "'") {
		return "KEY"
	}
	return "'" + key + "'"
}

// stateWords say where an image stands.
var stateWords = map[inventory.State]message.Key{
	inventory.Missing: "no document", inventory.Outdated: "its document is older than it is", inventory.Stale: "its document is about another version",
	inventory.InProgress: "in work", inventory.StaleClaim: "its work broke off", inventory.Unreadable: "its document cannot be read", inventory.Documented: "has a document",
}

// openPicture opens the picture in a browser. The URL, with which anybody can fetch it, is not printed.
func (s *settings) openPicture(ctx context.Context, bucket *ossclient.Bucket, key string) error {
	url, err := bucket.SignURL(ctx, key, openLife)
	if err != nil {
		return err
	}
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if browser := os.Getenv("BROWSER"); browser != "" {
		command = []string{browser}
	} else if command == nil {
		command = []string{"xdg-open"}
	}
	if err := exec.CommandContext(ctx, command[0], append(command[1:], url)...).Run(); err != nil {
		return message.Errorf("the picture could not be opened with %s; name a browser in BROWSER", command[0])
	}
	return nil
}
