package sandbox

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/management"
	"fc-idcard-ocr/internal/sandbox/ossfake"
)

// Options is what can be chosen about a Cloud. The zero value of a field means the default that its comment gives.
type Options struct {
	// Dir is the folder for all that is kept: objects, documents of given-up events, the function binary. Required.
	Dir string
	// Bucket is the watched bucket, "cards" by default. Its objects are the files in Dir/oss/<bucket>.
	Bucket string
	// Function is the path of the function binary; empty: it is built from this module into Dir.
	Function string
	// Mode is how the function runs, fcfake.ModeGo1 by default.
	Mode fcfake.Mode
	// Port is the first of four ports: HTTP trigger, OSS, OCR gateway, management. 0 takes free ports.
	Port int
	// Env are further environment variables of the function, which win over those set here.
	Env []string

	// Reader reads the pictures for the gateway. nil starts the OCR engine in EngineDir with EngineWorkers children.
	Reader        gateway.Reader
	EngineDir     string
	EngineWorkers int

	// MaxInstances and Concurrency bound the function's processes, as in fcfake.Config. By default as many pictures are
	// recognised at a time as the one OCR engine can read within OCR_TIMEOUT: four.
	MaxInstances, Concurrency int
	// Timeout of an invocation, 1 minute by default.
	Timeout time.Duration
	// CredentialsLife is how long the credentials of an invocation are good for, 36 hours by default as on FC.
	CredentialsLife time.Duration
	// Freeze stops idle instances, as FC does.
	Freeze bool
	// Async configures the delivery of events. Its functions are called beside what the sandbox itself does with them.
	Async fcfake.AsyncConfig
	// Versioning switches the bucket's versioning on.
	Versioning bool
	// Gateway configures the gateway further; what the sandbox sets itself (Apps, AppCodes, Reader) is overwritten.
	Gateway gateway.Config

	// Samples are specimen cards that the console offers, by file name.
	Samples map[string][]byte

	// Chaos lets things go wrong at random; nil leaves that to the rules of the management port.
	Chaos *management.Chaos

	// Deliver, if set, stands between the bucket's notifications and the function: it gets each event that the trigger
	// matches, and calls invoke as often and whenever it likes. It must return soon. Without it, the management port
	// decides.
	Deliver func(event ossfake.Event, invoke func(ossfake.Event))
	// WrapOSS, WrapGateway and WrapTrigger stand in front of the services, for observers and faults.
	WrapOSS, WrapGateway, WrapTrigger func(http.Handler) http.Handler
	// OnInvocation is called for every invocation that ended, OnObject for every change of an object.
	OnInvocation func(fcfake.Record)
	OnObject     func(ossfake.Event)
	// OnIgnored is called for a file in the bucket's folder of which no document will come, and why.
	OnIgnored func(key, why string)
	// Logs gets what the function prints; nil discards.
	Logs io.Writer
	// Log gets what the sandbox has to say; nil discards.
	Log *slog.Logger
}
