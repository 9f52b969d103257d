package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/spf13/cobra"
)

func newRecognize(s *settings) *cobra.Command {
	var details, source string
	c := &cobra.Command{
		Use:   "recognize FILE... | -",
		Short: "Recognise pictures on this machine, straight through the OCR API",
		Long: `Recognise pictures on this machine, straight through the OCR API: no bucket and no function take part. "-" reads one picture from standard input. Every call is paid, also for a picture that was recognised before.

Calls are retried, charges counted and cards checked as the function does it, by the same code and with the same variables (OCR_APP_KEY, OCR_APP_SECRET or OCR_APP_CODE, OCR_ENDPOINT, OCR_TIMEOUT, OCR_MAX_ATTEMPTS, OCR_ON_LOST_ANSWER, MAX_IMAGE_BYTES). With --output json each picture gives one line {"file","document"} or {"file","error"}, or all three if an answer came that cannot be read and may have been charged.`,
		Example: `  ocrctl recognize card.jpg
  ocrctl recognize --no-mask *.jpg
  ocrctl recognize --source url 'https://example.com/card.jpg'
  ocrctl recognize --sandbox testdata/cards/scan-01.jpg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return message.Errorf("no picture named; accepted are files, and URLs with --source url")
			}
			return nil
		},
	}
	c.Flags().StringVar(&details, "details", "", "ask for more than the number: `true or false` [OCR_DETAILS] (default true)")
	completeWords(c, "details", []string{"true", "false"})
	c.Flags().StringVar(&source, "source", "data", "how pictures reach the provider: data (FILE is a file that is sent) or url (FILE is a URL that the provider fetches)")
	completeWords(c, "source", []string{"data", "url"})
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"jpg", "jpeg", "png", "bmp", "webp", "heic", "JPG", "JPEG", "PNG"}, cobra.ShellCompDirectiveFilterFileExt
	}
	c.RunE = func(c *cobra.Command, files []string) error {
		if source != "data" && source != "url" {
			return usageError{message.Errorf("--source %q: accepted are data and url", source)}
		}
		conf, err := s.config(true)
		if err != nil {
			return err
		}
		switch details {
		case "":
		case "true", "false":
			conf.Details = details == "true"
		default:
			return usageError{message.Errorf("--details %q: accepted are true and false", details)}
		}
		return s.recognize(c.Context(), conf, source == "url", files)
	}
	return c
}

func (s *settings) recognize(ctx context.Context, conf config.Config, byURL bool, files []string) error {
	pictures := make([][]byte, len(files)) // read before anything is paid
	for i, file := range files {
		var err error
		if pictures[i], err = s.picture(file, byURL, conf.MaxImageBytes); err != nil {
			return usageError{err}
		}
	}
	api := newRecognizer(conf, byURL)
	defer s.whenInterrupted(ctx, "Stopping after the picture in work, whose call may be paid already. Ctrl-C again ends at once, and loses its result.")()
	failed, configuration := 0, false
	for i, file := range files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r := api.recognize(ctx, file, pictures[i], conf)
		pictures[i] = nil
		if r.Document == nil || r.Document.Status != result.Recognized {
			failed++
		}
		configuration = configuration || (r.Error != nil && wrongSetUp[r.Error.Code])
		if err := s.printRecognition(r); err != nil {
			return message.Errorf("the outcome of picture %d cannot be written, so no more of the %d are recognised: %w", i+1, len(files), err)
		}
	}
	switch {
	case configuration:
		return exitError{code: exitConfiguration}
	case failed > 0:
		return exitError{code: exitFailed}
	}
	return nil
}

// wrongSetUp are the codes that no other picture would change.
var wrongSetUp = map[result.Code]bool{result.Unauthorized: true, result.QuotaExhausted: true, result.ClockSkew: true, result.BadRequest: true}

// picture reads a file, or checks a URL.
func (s *settings) picture(file string, byURL bool, limit int64) ([]byte, error) {
	if byURL {
		u, err := url.Parse(file)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
			return nil, message.Errorf("--source url: an argument is no http(s) URL")
		}
		return []byte(file), nil
	}
	var from io.Reader = s.stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		from = opened
	}
	picture, err := io.ReadAll(io.LimitReader(from, limit+1))
	switch {
	case err != nil:
		return nil, err
	case len(picture) == 0:
		return nil, message.Errorf("%s is empty; expected a picture", file)
	case int64(len(picture)) > limit:
		return nil, message.Errorf("%s has more than %d bytes (MAX_IMAGE_BYTES)", file, limit)
	}
	return picture, nil
}

// recognition is what became of one picture.
type recognition struct {
	File     string           `json:"file"`
	Document *result.Document `json:"document,omitempty"`
	Error    *result.Error    `json:"error,omitempty"`
}

// recognizer processes pictures as the function does: retries, charges and checks are the same.
type recognizer struct {
	images *processor.Processor
	byURL  bool
}

func newRecognizer(c config.Config, byURL bool) recognizer {
	var auth ocrclient.Auth = ocrclient.AppKey{Key: string(c.AppKey), Secret: string(c.AppSecret)}
	if c.AppCode != "" {
		auth = ocrclient.AppCode(c.AppCode)
	}
	var calls processor.OCRClient = &ocrclient.Client{Endpoint: c.Endpoint, Auth: auth, UserAgent: "ocrctl/" + version}
	if byURL {
		calls = urlCalls{calls}
	}
	return recognizer{byURL: byURL, images: processor.New(processor.Options{
		OCR: calls, ImageSource: config.Data, Details: c.Details, Timeout: c.Timeout, MaxAttempts: c.MaxAttempts, RateLimit: c.RateLimit,
		OnLostAnswer: c.OnLostAnswer, SecondLook: c.SecondLook, Retention: result.Retention{DropRaw: !c.Raw, Fields: c.ResultFields},
	})}
}

// urlCalls sends what was given as a picture as the address of one.
type urlCalls struct{ next processor.OCRClient }

func (u urlCalls) Recognize(ctx context.Context, r ocrclient.Request) (*ocrclient.Response, error) {
	r.ImageURL, r.Image = string(r.Image), nil
	return u.next.Recognize(ctx, r)
}

func (a recognizer) recognize(ctx context.Context, file string, picture []byte, c config.Config) recognition {
	const between = 6 * time.Second // pauses of retries, and the rest
	deadline := time.Now().Add(time.Duration(c.MaxAttempts+1) * (c.Timeout + between))
	o := a.images.ProcessPicture(ctx, processor.Invocation{Deadline: deadline}, processor.Picture{Image: picture, Size: int64(len(picture))})
	if o.Status == result.Failed {
		r := recognition{File: file, Error: o.Err}
		if o.Document != nil && o.Document.RawText != "" {
			r.Document = o.Document
		}
		return r
	}
	if a.byURL {
		o.Document.OCR.ImageSource, o.Document.Image.Size = config.URL, 0
	}
	return recognition{File: file, Document: o.Document}
}

// printRecognition shows one picture's outcome.
func (s *settings) printRecognition(r recognition) error {
	if s.json() {
		return s.print(r)
	}
	file := r.File
	if strings.Contains(file, "://") { // a signed URL is a secret
		file, _, _ = strings.Cut(file, "?")
	}
	file = display.Printable(s.key(file))
	if r.Error != nil {
		text := message.Sprintf("%s: failed, %s: %s\n", file, r.Error.Code, display.Printable(r.Error.Message))
		if s.noMask && r.Document != nil {
			text += fmt.Sprintf("  %s %q\n", display.Pad(message.Text("answer"), 10), r.Document.RawText)
		}
		_, err := io.WriteString(s.stdout, text)
		return err
	}
	var b strings.Builder
	row := cardRow(&b)
	fmt.Fprintf(&b, "%s: %s (%s)\n", file, r.Document.Status, paid(r.Document))
	s.printDocument(&b, row, *r.Document)
	_, err := io.WriteString(s.stdout, b.String())
	return err
}

// paid says what the calls of a document cost.
func paid(d *result.Document) string {
	text := message.Text("free")
	if d.OCR.Charged {
		text = message.Text("charged")
	}
	if d.OCR.PossibleExtraCharges > 0 {
		text += message.Sprintf(", and perhaps %d calls more", d.OCR.PossibleExtraCharges)
	}
	return text
}

// cardRow returns a function that prints a named value; an empty one is left out.
func cardRow(b *strings.Builder) func(name message.Key, value string) {
	return func(name message.Key, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %s %s\n", display.Pad(message.Text(name), 10), display.Printable(value))
		}
	}
}

// printDocument shows card, checks and failure of a document, masked unless they may be seen.
func (s *settings) printDocument(b *strings.Builder, row func(name message.Key, value string), d result.Document) {
	if !s.noMask {
		d = d.Mask()
	}
	if d.Error != nil {
		fmt.Fprintf(b, "  %s: %s\n", display.Printable(string(d.Error.Code)), display.Printable(d.Error.Message))
	}
	if d.Card != nil {
		row("name", d.Card.Name)
		row("sex", d.Card.Sex)
		row("ethnicity", d.Card.Ethnicity)
		row("birth date", d.Card.BirthDate)
		row("address", d.Card.Address)
		row("ID number", d.Card.IDNumber)
		row("valid", valid(d.Validation))
	}
}

// valid says in words what the checks found.
func valid(v *result.Validation) string {
	if v == nil {
		return message.Text("not checked")
	}
	reasons := make([]string, len(v.Reasons))
	for i, reason := range v.Reasons {
		reasons[i] = string(reason)
	}
	switch {
	case v.Verdict == "" && !v.Valid: // of a release before 0.2, which had no reasons
		return message.Text("no")
	case v.Valid:
		return message.Text("yes")
	case v.Verdict == result.Doubtful:
		return message.Sprintf("doubtful: %s", strings.Join(reasons, ", "))
	}
	return message.Sprintf("no: %s", strings.Join(reasons, ", "))
}
