// Package console serves the console's page for the sandbox: it opens the sandbox's bucket and function like any program beside it would,
// and adds what only the sandbox knows, the requests of each image.
package console

import (
	"errors"
	"log/slog"
	"time"

	page "fc-idcard-ocr/internal/console"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/fcclient"
	"fc-idcard-ocr/internal/ctl/ossclient"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
)

// Activity is where the console learns what happens; *management.Server is one.
type Activity interface {
	Requests() []management.Request
	Subscribe() (notices <-chan management.Notice, cancel func())
}

// Config is the sandbox as the console needs it. All fields but Samples, AsyncTrigger and Log are required.
type Config struct {
	Bucket, Region, OSSEndpoint  string
	AccessKeyID, AccessKeySecret string
	Keys                         result.Keys
	Function                     string // its name on the Function Compute API, which is at TriggerURL
	TriggerURL                   string
	AsyncTrigger                 bool // the HTTP trigger takes asynchronous requests
	Activity                     Activity
	Ledger                       *gateway.Ledger
	GaveUp                       func(key string) bool
	Samples                      map[string][]byte
	Log                          *slog.Logger
}

// New returns the console. Its Run has to run beside it.
func New(config Config) (*page.Server, error) {
	if config.Activity == nil || config.Ledger == nil || config.GaveUp == nil || config.TriggerURL == "" {
		return nil, errors.New("console: Config is incomplete: all fields but Samples, AsyncTrigger and Log are required")
	}
	keys := credentials.Static(credentials.Credentials{AccessKeyID: config.AccessKeyID, AccessKeySecret: config.AccessKeySecret})
	bucket, err := ossclient.Open(ossclient.Config{Bucket: config.Bucket, Region: config.Region, Endpoint: config.OSSEndpoint, Credentials: keys})
	if err != nil {
		return nil, err
	}
	return page.New(page.Config{
		Bucket: bucket, Keys: config.Keys, Region: config.Region, Sandbox: true, Reviewer: "sandbox", Log: config.Log,
		Function: &fcclient.Client{Endpoint: config.TriggerURL, Function: config.Function, Credentials: keys},
		Activity: &activity{config, time.Now()}, Samples: config.Samples,
		Relist: 2 * time.Second, // files that are copied into the folder or removed from it make no request
	})
}
