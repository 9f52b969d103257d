package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/erase"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/ctl/pause"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"

	"github.com/spf13/cobra"
)

// eraseOptions say what is erased.
type eraseOptions struct {
	keys     []string
	prefix   string
	idNumber string
	yes      bool
	wait     bool
}

func newErase(s *settings) *cobra.Command {
	var o eraseOptions
	c := &cobra.Command{
		Use:   "erase {KEY... | --prefix PREFIX | --id-number -}",
		Short: "Erase images with their documents, claims and all versions",
		Long: `Erase images with everything that is kept of them in the bucket: picture, document, review, claim, all old versions and delete markers, and the entry of the index of OCR_REUSE that names the image. Without --yes nothing is erased, and what would be is listed.

ID numbers are read from standard input only, one a line, as arguments are seen by other users and kept by the shell. Found are images whose key, document or saved answer holds the number, in any version; pictures are not read. --prefix narrows that down.

No image is erased while the function processes it: erasing takes its claim, with the function's OCR_APP_SECRET or OCR_APP_CODE. Without these it reads the claim before and after it removes the image. An image that is being processed is left, and the latest end of its lease is printed (at most 24 hours); --wait waits.

The receipt, one line an image, holds the SHA-256 of key and documents and nothing else of them. What is outside the bucket is not touched: logs (which hold masked keys), exports, replicas, and what the OCR provider keeps. The exit code is 1 if anything is left.`,
		Example: `  ocrctl erase -b cards -r cn-hangzhou 2026/a.jpg
  ocrctl erase -b cards -r cn-hangzhou 2026/a.jpg --yes
  ocrctl erase -b cards -r cn-hangzhou --prefix 2019/ --yes -o json > receipt.json
  ocrctl erase --sandbox --id-number - < numbers.txt`,
		Args: cobra.ArbitraryArgs,
	}
	s.listingFlags(c, &o.prefix, &s.parallel)
	flags := c.Flags()
	flags.Lookup("prefix").Usage = string(message.Key("erase all images whose keys begin with this `prefix`; with --id-number search only these"))
	flags.StringVar(&o.idNumber, "id-number", "", "erase the images of ID numbers, which are read from standard input; the only `value` is -")
	flags.BoolVarP(&o.yes, "yes", "y", false, "erase; without it, only list what would be erased")
	flags.BoolVar(&o.wait, "wait", false, "wait for the function where it is at work")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.keys = args
		return s.erase(c.Context(), o)
	}
	return c
}

func (o eraseOptions) check(k result.Keys) error {
	switch {
	case o.idNumber != "" && o.idNumber != "-":
		return message.Errorf("--id-number takes - only: numbers are read from standard input, as an argument is seen by others")
	case len(o.keys) > 0 && (o.prefix != "" || o.idNumber != ""):
		return message.Errorf("name either keys, or --prefix, --id-number - or both")
	case len(o.keys) == 0 && o.prefix == "" && o.idNumber == "":
		return message.Errorf("nothing named; accepted are keys of images, --prefix PREFIX, and --id-number -")
	}
	for _, key := range o.keys {
		if image, own := erase.ImageOf(k, key); !own || image != key {
			return message.Errorf("%q is no image's key; name the image, and its document and claim go with it", result.MaskKey(key))
		}
	}
	return nil
}

func (s *settings) erase(ctx context.Context, o eraseOptions) error {
	conf, err := s.localConfig()
	if err != nil {
		return err
	}
	if err := o.check(keys(conf)); err != nil {
		return usageError{err}
	}
	eraser, err := s.newEraser(ctx, conf)
	if err != nil {
		return err
	}
	if o.wait {
		eraser.Wait = s.waitForLease
	}
	images, unreadable, err := s.imagesToErase(ctx, eraser, o)
	if err != nil {
		return err
	}
	if !o.yes {
		err = s.listErasable(ctx, eraser, images)
	} else {
		err = s.eraseAll(ctx, eraser, images)
	}
	if unreadable > 0 {
		s.note("%d versions of documents or claims cannot be read (archived, refused or too large); they may hold a number", unreadable)
		err = errors.Join(err, exitError{code: exitFailed})
	}
	return err
}

func (s *settings) newEraser(ctx context.Context, conf config.Config) (*erase.Eraser, error) {
	opened, err := s.openBucket(conf)
	if err != nil {
		return nil, err
	}
	e := &erase.Eraser{Bucket: opened, Keys: keys(conf)}
	if secret := first(string(conf.AppSecret), string(conf.AppCode)); secret != "" {
		store, err := s.openAsFunction(ctx, conf)
		if err != nil {
			return nil, err
		}
		e.FenceWith(store, secret)
	}
	return e, nil
}

func (s *settings) waitForLease(ctx context.Context, until time.Time) error {
	s.note("waiting for an invocation of the function until %s at most", until.UTC().Format(time.RFC3339))
	return pause.For(ctx, min(time.Until(until)+time.Second, 15*time.Second))
}

// imagesToErase finds the images that are meant.
func (s *settings) imagesToErase(ctx context.Context, e *erase.Eraser, o eraseOptions) (images []string, unreadable int, err error) {
	switch {
	case o.idNumber != "":
		numbers, err := s.readNumbers()
		if err != nil {
			return nil, 0, err
		}
		found, err := e.WithNumbers(ctx, o.prefix, numbers, s.parallel)
		return found.Images, found.Unreadable, err
	case o.prefix != "":
		images, err = e.UnderPrefix(ctx, o.prefix)
		return images, 0, err
	}
	return o.keys, 0, nil
}

// readNumbers reads ID numbers from standard input.
func (s *settings) readNumbers() (numbers []string, err error) {
	lines := bufio.NewScanner(s.stdin)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		number, ok := erase.Number(text)
		if !ok {
			return nil, usageError{message.Errorf("line %d of standard input is no ID number; expected are 18 characters (17 digits and a digit or X), or the 15 digits of an old card", n)}
		}
		numbers = append(numbers, number)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, usageError{message.Errorf("no ID number on standard input; expected is one a line")}
	}
	return numbers, nil
}

// listErasable lists what --yes would erase.
func (s *settings) listErasable(ctx context.Context, e *erase.Eraser, images []string) error {
	objects, found := 0, 0
	for _, key := range images {
		f, err := e.Find(ctx, key)
		if err != nil {
			return err
		}
		if f.Objects() == 0 {
			s.note("there is nothing of %s", display.Printable(s.key(key)))
			continue
		}
		objects, found = objects+f.Objects(), found+1
		if s.json() {
			if err := s.print(map[string]any{"key": key, "images": f.Images, "documents": f.Documents, "reviews": f.Reviews, "claims": f.Claims, "deleteMarkers": f.Markers, "indexEntries": len(f.IndexEntries)}); err != nil {
				return err
			}
			continue
		}
		message.Fprintf(s.stdout, "%s: versions of picture %d, document %d, review %d, claim %d; delete markers %d; index entries %d\n",
			display.Printable(s.key(key)), f.Images, f.Documents, f.Reviews, f.Claims, f.Markers, len(f.IndexEntries))
	}
	s.note("nothing was erased; --yes erases %d objects and versions of %d images", objects, found)
	return nil
}

// eraseAll erases the images and prints a receipt for each. One that cannot be erased does not keep the others.
func (s *settings) eraseAll(ctx context.Context, e *erase.Eraser, images []string) error {
	objects, erased, left := 0, 0, 0
	for _, key := range images {
		receipt, err := e.Erase(ctx, key)
		objects += receipt.Objects
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case ossclient.Configuration(err) && receipt.Objects == 0 && !ossclient.OfObject(err):
			return err // of no image anything will be erased
		case err != nil:
			left++
			s.note("%s: %v", display.Printable(s.key(key)), err)
		default:
			erased++
		}
		if receipt.Objects == 0 {
			continue
		}
		if err := s.printReceipt(receipt, err == nil); err != nil {
			return err
		}
	}
	s.note("erased %d objects and versions of %d images; %d are left", objects, erased, left)
	if left > 0 {
		return exitError{code: exitFailed}
	}
	return nil
}

// printReceipt prints what is kept as evidence: the same words in every language.
func (s *settings) printReceipt(r erase.Receipt, whole bool) error {
	if s.json() {
		return s.print(struct {
			At    string `json:"at"`
			Whole bool   `json:"whole"` // nothing of the image is left
			erase.Receipt
		}{time.Now().UTC().Format(time.RFC3339), whole, r})
	}
	state := "erased"
	if !whole {
		state = "erased in part"
	}
	_, err := fmt.Fprintf(s.stdout, "%s %s: key sha256:%s, %d objects and versions", time.Now().UTC().Format(time.RFC3339), state, r.KeySHA256, r.Objects)
	for _, sum := range r.DocumentsSHA256 {
		_, err = fmt.Fprintf(s.stdout, ", document sha256:%s", sum)
	}
	if err == nil {
		_, err = fmt.Fprintln(s.stdout)
	}
	return err
}
