package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"

	"fc-idcard-ocr/internal/console"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

// consoleFlags are what the command line says.
type consoleFlags struct {
	prefix, reviewer   string
	parallel, port     int
	price              float64
	claimAge, interval time.Duration
	readOnly           bool
}

func newConsole(s *settings) *cobra.Command {
	var f consoleFlags
	c := &cobra.Command{
		Use:   "console",
		Short: "Serve a web page for the bucket on this machine: numbers, work list, reviews",
		Long: `Serve a web page for the bucket on this machine: numbers that filter the list, the images that need somebody, each picture
beside its document, and reviews. It listens on 127.0.0.1 only, at an address that cannot be guessed and is printed at
the start. It uses your credentials and stores nothing on disk. Ctrl-C ends it.

Names, addresses, ID numbers and images are hidden until you reveal them on the page. Every change must be confirmed there:
recognising images again shows the cost first and needs --account, because the function does it; a review writes
<image>.ocr.reviewed.json and does not change the document.

The bucket is listed every --interval while the page is open, a request for each 1,000 objects, and each document is read
once: 100,000 images are about 300 listing and 100,000 reading requests at the start, and 50 MB of memory.`,
		Example: `  ocrctl console -b cards -r cn-hangzhou --prefix 2026/
  ocrctl console -b cards -r cn-hangzhou --account 1234567890123456 --price 0.02
  ocrctl console --sandbox`,
		Args: noArguments,
	}
	flags := c.Flags()
	s.listingFlags(c, &f.prefix, &f.parallel)
	s.functionFlags(flags)
	flags.IntVar(&f.port, "port", 0, "`port` to listen on; 0 takes a free one")
	flags.Float64Var(&f.price, "price", 0, "`price` of a call, in yuan")
	flags.StringVar(&f.reviewer, "reviewer", "", "`name` that reviews are signed with (default the name of who is logged in)")
	flags.BoolVar(&f.readOnly, "read-only", false, "offer neither actions nor reviews")
	claimAgeFlag(flags, &f.claimAge)
	flags.DurationVar(&f.interval, "interval", time.Minute, "`time` between two listings while the page is open; at least 1s")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case f.port < 0 || f.port > 65535:
			return usageError{message.Errorf("--port %d: accepted is 0 (a free one) to 65535", f.port)}
		case !(f.price >= 0 && f.price < 1e6):
			return usageError{message.Errorf("--price %v: accepted is 0 or more, such as 0.02", f.price)}
		case f.interval < time.Second:
			return usageError{message.Errorf("--interval %s: accepted is 1s or more", f.interval)}
		}
		return s.console(c.Context(), f)
	}
	return c
}

// console serves the page until ctx ends.
func (s *settings) console(ctx context.Context, f consoleFlags) error {
	s.parallel = f.parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	config := console.Config{
		Bucket: bucket, Keys: keys(conf), Region: s.region, Prefix: f.prefix, Price: f.price, Parallel: f.parallel, Relist: f.interval, ClaimAge: f.claimAge,
		Log: slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if !f.readOnly {
		if config.Reviewer = first(f.reviewer, loginName()); config.Reviewer == "" {
			s.note("Reviews are off: nobody is logged in by name; give one with --reviewer.")
		}
		function, err := s.consoleFunction()
		if err != nil {
			return err
		}
		if function == nil {
			s.note("Without --account the page can recognise nothing again.")
		} else {
			config.Function = function
		}
	}
	page, err := console.New(config)
	if err != nil {
		return err
	}
	for _, err := range bucket.List(ctx, f.prefix, "") { // a page that can show nothing is not served
		if err != nil {
			return err
		}
		break
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	if err != nil {
		return usageError{message.Errorf("--port %d: %w", f.port, err)}
	}
	token := rand.Text()
	url := "http://" + listener.Addr().String() + "/" + token + "/"
	if s.json() {
		err = s.print(map[string]string{"url": url})
	} else {
		_, err = fmt.Fprintln(s.stdout, url)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.note("Open this address in a browser on this machine; whoever has it sees what you may see. Ctrl-C ends it.")
	return serve(ctx, listener, console.WithToken(token, page), page.Run)
}

// serve serves the handler and runs run beside it until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, run func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		run(ctx)
	}()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // what is streamed has no other end
	err := server.Serve(listener)
	cancel()
	<-ran
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// consoleFunction is the function's client, nil if no account is known.
func (s *settings) consoleFunction() (*fcclient.Client, error) {
	if s.sandboxInfo == nil && first(s.fcEndpoint, os.Getenv("OCRCTL_FC_ENDPOINT"), s.accountID, os.Getenv("OCRCTL_ACCOUNT")) == "" {
		return nil, nil
	}
	return s.functions()
}

// loginName is the name of who runs this; empty if it has none.
func loginName() string {
	if who, err := user.Current(); err == nil {
		return first(who.Username)
	}
	return ""
}
