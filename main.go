// Command fc-idcard-ocr is the function: it recognises the ID-card images that events and HTTP requests name. Its
// configuration comes from the environment; see docs/configuration.md.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fc-idcard-ocr/handler"
	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/claim"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fc/messages"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

// version is set by the linker.
var version = "dev"

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed log pipe must not kill the process: some images are already paid for
	log.SetOutput(sdkLogFilter{os.Stderr})
	if len(os.Args) > 1 {
		os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
	}
	c, err := config.Parse(os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, "fc-idcard-ocr:", err)
		os.Exit(1)
	}
	events := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: c.LogLevel}))
	h := newHandler(c, events)
	limitMemory(c.ImageSource)
	if os.Getenv("FC_RUNTIME_API") != "" {
		fc.RegisterInitializerFunction(h.Initialize)
		fc.Start(invoke(h)) // never returns
		return
	}
	if err := serve(h, events); err != nil {
		events.Error("the server ended", "reason", err.Error())
		os.Exit(1)
	}
}

// command is what the binary does with arguments; Function Compute gives it none.
func command(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 || strings.TrimLeft(args[0], "-") != "check" {
		fmt.Fprintln(stderr, "fc-idcard-ocr: the only argument is -check, which checks the configuration in the environment and ends")
		return 2
	}
	if err := config.Check(os.Environ()); err != nil {
		fmt.Fprintln(stderr, "fc-idcard-ocr:", err)
		return 1
	}
	fmt.Fprintln(stdout, "configuration ok")
	return 0
}

// newHandler wires the handler to the real store and the real API.
func newHandler(c config.Config, log *slog.Logger) *handler.Handler {
	buckets := bucket.New(bucket.Config{Endpoint: c.OSSEndpoint, PublicEndpoint: c.OSSPublicEndpoint, PublicCNAME: c.OSSPublicCNAME,
		PutTags: c.Tags(false), AppendTags: c.Tags(true), Encryption: c.ResultEncryption})
	api := ocrclient.NewHTTPClient()
	var auth ocrclient.Auth = ocrclient.AppKey{Key: string(c.AppKey), Secret: string(c.AppSecret)}
	if c.AppCode != "" {
		auth = ocrclient.AppCode(c.AppCode)
	}
	ocr := &ocrclient.Client{Endpoint: c.Endpoint, Auth: auth, HTTP: api, UserAgent: "fc-idcard-ocr/" + version}
	keys := result.Keys{ImageSuffixes: c.ImageSuffixes, ImageExclude: c.ImageExclude, ResultSuffix: c.ResultSuffix, ClaimSuffix: c.ClaimSuffix}
	images := processor.New(processor.Options{
		Open: func(name, region string, k bucket.Credentials, log *slog.Logger) (processor.Bucket, error) {
			return buckets.Open(name, region, k, log)
		},
		OCR:         ocr,
		ImageSource: c.ImageSource, Details: c.Details, Timeout: c.Timeout, MaxAttempts: c.MaxAttempts, RateLimit: c.RateLimit,
		DailyLimit: c.DailyLimit, BudgetBucket: c.BudgetBucket, PictureBudget: firstBucket(c.HTTPAllow), SecondLook: c.SecondLook, Reuse: c.Reuse,
		RemoveWithImage: c.RemoveWithImage,
		Retention:       result.NewRetention(c),
		OnLostAnswer:    c.OnLostAnswer, URLTTL: c.OSSURLTTL, Keys: keys, MaxImageBytes: c.MaxImageBytes,
		ClaimKey: claim.NewKey(cmp.Or(string(c.AppSecret), string(c.AppCode))),
		Region:   os.Getenv("FC_REGION"),
		OnResume: func() { buckets.CloseIdleConnections(); api.CloseIdleConnections() },
		Log:      log,
	})
	return handler.New(handler.Options{
		Processor: images, Keys: keys, MaxImageBytes: c.MaxImageBytes, HTTPAllow: c.HTTPAllow, RemoveWithImage: c.RemoveWithImage,
		BodyBytes:          instanceMemory() / 2,                // the other half is for what else an image takes, and for garbage
		RequireControlPath: os.Getenv("FC_FUNCTION_NAME") != "", // a name that only FC and the sandbox set
		Version:            version, PublicConfig: c.Public(), Warm: ocr.Warm, Log: log,
	})
}

// firstBucket returns the bucket of the first entry of HTTP_ALLOW, empty if there is none.
func firstBucket(allow []string) string {
	if len(allow) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(allow[0], "/")
	return name
}

// limitMemory keeps the garbage of large pictures within the instance's memory: FC kills an instance that exceeds it, and
// with it the answer of a paid call. A quarter is left for what is not Go's heap. GOMEMLIMIT overrides it.
// Where pictures are read, garbage is collected a quarter earlier, which is little work beside encoding them. GOGC overrides it.
func limitMemory(source config.ImageSource) {
	if memory := instanceMemory(); memory > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory / 4 * 3)
	}
	if source == config.Data && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(75)
	}
}

// instanceMemory is what FC gives the instance, in bytes; 0 if it does not tell.
func instanceMemory() int64 {
	megabytes, err := strconv.ParseInt(os.Getenv("FC_FUNCTION_MEMORY_SIZE"), 10, 32)
	if err != nil {
		return 0
	}
	return max(megabytes, 0) << 20
}

// invoke adapts the handler to the Go runtime, which hands over the payload as it came only to a func of exactly []byte,
// and takes the type of an error as a word.
func invoke(h *handler.Handler) func(context.Context, []byte) (json.RawMessage, error) {
	return func(ctx context.Context, payload []byte) (json.RawMessage, error) {
		inv := processor.Invocation{}
		if f, ok := fccontext.FromContext(ctx); ok {
			inv.RequestID, inv.RetryCount, inv.Region = f.RequestID, f.RetryCount, f.Region
			inv.Credentials = bucket.Credentials{AccessKeyID: f.Credentials.AccessKeyId, AccessKeySecret: f.Credentials.AccessKeySecret, SecurityToken: f.Credentials.SecurityToken}
		}
		inv.Deadline, _ = ctx.Deadline()
		answer, err := h.Invoke(ctx, inv, payload)
		if err != nil {
			failed := result.AsError(err)
			return nil, messages.InvokeResponse_Error{Type: string(failed.Code), Message: failed.Message}
		}
		return answer, nil
	}
}

// serve is the custom runtime. Connections stay open as long as FC wants them, and SIGTERM lets running images finish.
func serve(h *handler.Handler, log *slog.Logger) error {
	port := "9000"
	for _, name := range []string{"FC_CUSTOM_LISTEN_PORT", "FC_SERVER_PORT"} {
		if value := os.Getenv(name); value != "" {
			port = value
		}
	}
	// FC_SERVER_HOST is the sandbox's, which serves on loopback only; FC itself wants all interfaces.
	server := &http.Server{Addr: net.JoinHostPort(os.Getenv("FC_SERVER_HOST"), port), Handler: h.CustomRuntime(), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 20 * time.Minute}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Debug("serving", "port", port, "version", version)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 85*time.Second) // FC gives PreStop and stop 90 s at most
	defer cancel()
	if err := server.Shutdown(grace); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}
