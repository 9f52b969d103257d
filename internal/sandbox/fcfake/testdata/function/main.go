// Command function is a function for the tests of the runtime: it does what the payload says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

type order struct {
	Do       string `json:"do"`
	Millis   int    `json:"millis"`
	File     string `json:"file"`
	OKOn     int    `json:"okOn"`
	RawPath  string `json:"rawPath"`
	Response any    `json:"response"`
}

type seen struct {
	RequestID, AccessKeyID, AccessKeySecret, SecurityToken, Region, Name, Memory, EnvAccessKeyID string
	RetryCount, Timeout, PID                                                                     int
	DeadlineIn                                                                                   time.Duration
	Env                                                                                          []string
}

func do(ctx context.Context, payload []byte, s seen) (any, error) {
	var o order
	if err := json.Unmarshal(payload, &o); err != nil {
		return nil, fmt.Errorf("not an order: %w", err)
	}
	switch o.RawPath {
	case "":
	case "/quiet":
		return nil, nil
	default:
		return json.RawMessage(payload), nil
	}
	switch o.Do {
	case "echo":
		return json.RawMessage(payload), nil
	case "see":
		deadline, _ := ctx.Deadline()
		s.DeadlineIn = time.Until(deadline)
		s.PID, s.Env, s.EnvAccessKeyID = os.Getpid(), os.Environ(), os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID")
		return s, nil
	case "respond":
		return o.Response, nil
	case "fail":
		return nil, errors.New("as ordered")
	case "fail until":
		if s.RetryCount < o.OKOn {
			return nil, errors.New("not yet")
		}
		return s, nil
	case "panic":
		panic("as ordered")
	case "exit":
		os.Exit(7)
	case "print":
		fmt.Print("a line\nhalf")
		fmt.Fprintln(os.Stderr, " a line")
		return nil, nil
	case "sleep":
		select {
		case <-time.After(time.Duration(o.Millis) * time.Millisecond):
			return "slept", nil
		case <-ctx.Done(): // ignored: the runtime has to end it
			select {}
		}
	case "child":
		child := exec.Command("sleep", "3600")
		if err := child.Start(); err != nil {
			return nil, err
		}
		return child.Process.Pid, nil
	}
	return nil, fmt.Errorf("unknown order %q", o.Do)
}

func mark(text string) {
	if name := os.Getenv("MARKS"); name != "" {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(file, text)
		file.Close()
	}
}

func main() {
	switch os.Getenv("START") {
	case "fail":
		fmt.Fprintln(os.Stderr, "OCR_APP_KEY is missing")
		os.Exit(1)
	case "hang":
		time.Sleep(time.Hour) // the Go runtime would end a process that waits for nothing
	}
	if os.Getenv("ON_SIGTERM") != "" {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		go func() {
			<-terminated
			if os.Getenv("ON_SIGTERM") == "mark" {
				mark("terminated")
				os.Exit(0)
			}
		}()
	}
	if os.Getenv("FC_RUNTIME_API") != "" {
		fc.RegisterInitializerFunction(func(context.Context) {
			if os.Getenv("INITIALIZER") == "fail" {
				panic("not initialized")
			}
			mark("initialized")
		})
		fc.RegisterPreStopFunction(func(context.Context) { mark("stopping") })
		fc.Start(func(ctx context.Context, payload json.RawMessage) (any, error) {
			c, _ := fccontext.FromContext(ctx)
			return do(ctx, payload, seen{
				RequestID: c.RequestID, AccessKeyID: c.Credentials.AccessKeyId, AccessKeySecret: c.Credentials.AccessKeySecret,
				SecurityToken: c.Credentials.SecurityToken, Region: c.Region, Name: c.Function.Name, Memory: c.Function.Memory,
				RetryCount: c.RetryCount, Timeout: c.Function.Timeout,
			})
		})
	}

	http.HandleFunc("POST /initialize", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("INITIALIZER") == "fail" {
			w.Header().Set("x-fc-status", "404")
			w.WriteHeader(404)
			return
		}
		mark("initialized")
	})
	http.HandleFunc("GET /pre-stop", func(http.ResponseWriter, *http.Request) { mark("stopping") })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Fc-Control-Path") == "/http-invoke" {
			w.Header().Set("X-Fc-Secret", "dropped")
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			if r.URL.Path == "/exit" {
				os.Exit(7)
			}
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s host=%s id=%t faked=%q body=%s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host,
				r.Header.Get("X-Fc-Access-Key-Id") != "", r.Header.Get("X-Fc-Fake"), body)
			return
		}
		h := r.Header.Get
		retries, _ := strconv.Atoi(h("X-Fc-Retry-Count"))
		timeout, _ := strconv.Atoi(h("X-Fc-Function-Timeout"))
		millis, _ := strconv.ParseInt(h("X-Fc-Function-Deadline"), 10, 64)
		ctx, cancel := context.WithDeadline(r.Context(), time.UnixMilli(millis))
		defer cancel()
		result, err := do(ctx, body, seen{
			RequestID: h("X-Fc-Request-Id"), AccessKeyID: h("X-Fc-Access-Key-Id"), AccessKeySecret: h("X-Fc-Access-Key-Secret"),
			SecurityToken: h("X-Fc-Security-Token"), Region: h("X-Fc-Region"), Name: h("X-Fc-Function-Name"),
			Memory: h("X-Fc-Function-Memory"), RetryCount: retries, Timeout: timeout,
		})
		if err != nil {
			w.Header().Set("x-fc-status", "404")
			w.WriteHeader(404)
			result = map[string]string{"errorMessage": err.Error(), "errorType": "errorString"}
		}
		json.NewEncoder(w).Encode(result)
	})
	fmt.Println(http.ListenAndServe("127.0.0.1:"+strings.TrimSpace(os.Getenv("FC_SERVER_PORT")), nil))
	os.Exit(1)
}
