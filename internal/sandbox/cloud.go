// Package sandbox assembles the local cloud: the object store, the OCR gateway, Function Compute around the real
// function binary, and the OCR engine. It listens on loopback only, and nothing that is deployed imports it.
package sandbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fc-idcard-ocr/deploy"
	"fc-idcard-ocr/internal/loopback"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/console"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/gateway"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/management"
	"fc-idcard-ocr/internal/sandbox/marketfake"
	"fc-idcard-ocr/internal/sandbox/mnsfake"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/ossfake"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
)

// Who may call the sandbox's services. They are no secrets: they open nothing but a sandbox on loopback, and staying
// the same they can stand in scripts.
const (
	AccessKeyID     = "sandbox"
	AccessKeySecret = "sandbox-access-key-secret"
	AppKey          = "100000001"
	AppSecret       = "sandbox-app-secret"
	AppCode         = "sandbox-app-code"
	Region          = "cn-hangzhou"
)

// What stands for the deployment's failure queue and for what was bought in the market.
const (
	FailureQueue = "idcard-ocr-failures"
	ProductCode  = "cmapi00000001"
	// Capacity is how many calls were bought, unless the gateway has a quota.
	Capacity = 10_000
)

// Suffixes of the results, as the function has them by default.
const (
	ResultSuffix = ".ocr.json"
	ClaimSuffix  = ".ocr.claim"
)

// Cloud is a running sandbox. Start makes one; it has to be closed.
type Cloud struct {
	OSS     *ossfake.Server
	Gateway *gateway.Server
	Runtime *fcfake.Runtime
	// Failures holds the events that were given up, in the queue FailureQueue.
	Failures *mnsfake.Server
	// Management orders faults and records requests.
	Management *management.Server
	// Keys may be given further credentials, or have some removed.
	Keys *ossfake.MemoryKeyring

	// Bucket is the watched bucket, Folder the folder of its objects, FailureDir that of the events given up.
	Bucket, Folder, FailureDir string
	// OSSEndpoint, OCREndpoint, TriggerURL and ManagementURL are where the services listen. The console is at
	// ManagementURL, the market's API and the message queues at MarketEndpoint.
	OSSEndpoint, OCREndpoint, TriggerURL, ManagementURL, MarketEndpoint string

	log         *slog.Logger
	engine      *ocrengine.Engine
	environment []string // of the function
	servers     []*http.Server
	cancel      context.CancelFunc
	watcher     sync.WaitGroup
	infoWritten bool // the discovery file is in the folder
	closing     sync.Once

	// quietTime is the longest time in which nothing may happen while an event is under way.
	quietTime time.Duration
	active    atomic.Pointer[time.Time] // when an object changed or an invocation ended

	mu       sync.Mutex
	changed  chan struct{}     // closed and replaced whenever a result may have come
	failed   map[string]string // object key -> why FC gave its last event up
	watchErr error             // why files copied into the folder are not noticed any more
}

// Start starts a sandbox. ctx bounds the start only; Close ends the sandbox.
func Start(ctx context.Context, options Options) (_ *Cloud, err error) {
	if options.Dir == "" {
		return nil, message.Errorf("sandbox: Options.Dir is missing")
	}
	if options.Bucket == "" {
		options.Bucket = "cards"
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Dir, err = filepath.Abs(options.Dir); err != nil {
		return nil, err
	}
	c := &Cloud{
		Bucket:     options.Bucket,
		Folder:     filepath.Join(options.Dir, "oss", options.Bucket),
		FailureDir: filepath.Join(options.Dir, "failures"),
		Keys:       ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: AccessKeyID, AccessKeySecret: AccessKeySecret}),
		log:        options.Log,
		changed:    make(chan struct{}),
		failed:     map[string]string{},
	}
	c.touch()
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()

	if err := CheckFolder(options.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.FailureDir, 0o700); err != nil {
		return nil, message.Errorf("sandbox: the folder cannot be written, choose another one: %w", err)
	}
	listeners, err := listen(options.Port)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, listener := range listeners { // those that no server has taken over
			listener.Close()
		}
	}()
	if options.Function == "" {
		options.Function = filepath.Join(options.Dir, "function")
		if err := gobuild.Build(ctx, gobuild.Function, options.Function); err != nil {
			return nil, err
		}
	}
	reader := options.Reader
	if reader == nil {
		c.engine, err = ocrengine.Start(running, ocrengine.Config{Dir: options.EngineDir, Workers: options.EngineWorkers, Log: options.Log})
		if err != nil {
			return nil, err
		}
		reader = c.engine
	}
	if err := c.startServices(running, options, reader, listeners); err != nil {
		return nil, err
	}
	listeners = nil
	c.watcher.Go(func() {
		if err := c.OSS.Watch(running); err != nil && running.Err() == nil {
			c.log.Error("files copied into the bucket's folder are not noticed any more", "reason", err)
			c.mu.Lock()
			c.watchErr = err
			c.mu.Unlock()
		}
	})
	if err := c.Runtime.Warm(ctx); err != nil {
		return nil, message.Errorf("sandbox: the function does not start: %w", err)
	}
	if err := c.info().Write(c.dir()); err != nil {
		return nil, message.Errorf("sandbox: the folder cannot be written, choose another one: %w", err)
	}
	c.infoWritten = true
	return c, nil
}

// startServices makes OSS, gateway and runtime and serves them on the listeners.
func (c *Cloud) startServices(running context.Context, options Options, reader gateway.Reader, listeners []net.Listener) (err error) {
	c.TriggerURL = "http://" + listeners[0].Addr().String()
	c.OSSEndpoint = "http://" + listeners[1].Addr().String()
	c.MarketEndpoint = "http://" + listeners[2].Addr().String()
	c.OCREndpoint = c.MarketEndpoint + gateway.Path

	c.ManagementURL = "http://" + listeners[3].Addr().String()
	if err := c.startManagement(&options); err != nil {
		return err
	}
	config := options.Gateway
	config.Apps, config.AppCodes, config.Reader = map[string]string{AppKey: AppSecret}, []string{AppCode}, reader
	if config.Log == nil {
		config.Log = c.log
	}
	if c.Gateway, err = gateway.New(config); err != nil {
		return err
	}
	keys := map[string]string{AccessKeyID: AccessKeySecret}
	c.Failures = mnsfake.New(mnsfake.Config{Queues: []string{FailureQueue}, Keys: keys})
	market, err := marketfake.New(marketfake.Config{
		ProductCode: ProductCode, ProductName: "身份证识别", Capacity: cmp.Or(config.Quota, Capacity), Charged: c.Gateway.Ledger.Charged, Keys: keys,
	})
	if err != nil {
		return err
	}
	if c.Runtime, err = fcfake.New(c.runtimeConfig(options)); err != nil {
		return err
	}
	c.quietTime = c.Runtime.QuietTime() + ossfake.SettleLimit
	policies := [][]byte{deploy.RolePolicy(c.Bucket, "")}
	if options.removesWithImage() {
		policies = append(policies, deploy.RemovalPolicy(c.Bucket, ""))
	}
	policy, err := ossfake.ParsePolicy(policies...)
	if err != nil {
		return err
	}
	c.OSS, err = ossfake.New(ossfake.Config{
		Dir: filepath.Dir(c.Folder), Region: Region, Buckets: []string{c.Bucket}, Keys: c.Keys, Log: c.log,
		Policy: policy, Versioning: options.Versioning, OnEvent: func(event ossfake.Event) { c.notify(options, event) },
		DecodeHEIC: c.decodeHEIC(),
		OnIgnored: func(bucket, key, why string) {
			if bucket == c.Bucket && IsImage(key) && options.OnIgnored != nil {
				options.OnIgnored(key, why)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	page, err := console.New(console.Config{
		Bucket: c.Bucket, Region: Region, OSSEndpoint: c.OSSEndpoint, AccessKeyID: AccessKeyID, AccessKeySecret: AccessKeySecret,
		Keys:     result.Keys{ImageSuffixes: ImageSuffixes, ResultSuffix: ResultSuffix, ClaimSuffix: ClaimSuffix},
		Function: functionName, TriggerURL: c.TriggerURL, AsyncTrigger: options.Mode != fcfake.ModeCustom,
		Activity: c.Management, Ledger: c.Gateway.Ledger, GaveUp: c.gaveUp, Samples: options.Samples, Log: c.log,
	})
	if err != nil {
		return err
	}
	c.watcher.Go(func() { page.Run(running) })
	for n, service := range []struct {
		name    string
		handler http.Handler
		wrap    func(http.Handler) http.Handler
	}{
		{management.ServiceTrigger, c.triggerMux(c.Runtime.HTTPTrigger()), options.WrapTrigger},
		{management.ServiceOSS, c.OSS, options.WrapOSS},
		{management.ServiceGateway, c.Gateway, options.WrapGateway},
		{"", c.Management.Handler(c.Gateway, page), nil},
	} {
		if service.name != "" {
			service.handler = loopback.RequireHost(service.handler, refuseHost)
			service.handler = c.Management.Wrap(service.name, service.handler)
		}
		if service.wrap != nil {
			service.handler = service.wrap(service.handler)
		}
		if service.name == management.ServiceGateway {
			service.handler = gatewayMux(service.handler, market, c.Failures)
		}
		server := &http.Server{
			Handler: service.handler, ReadHeaderTimeout: 30 * time.Second,
			ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
		}
		c.servers = append(c.servers, server)
		go server.Serve(listeners[n]) //nolint:errcheck // ends with Close
	}
	return nil
}

// decodeHEIC is what the OCR engine can do for the object store; nil without the engine.
func (c *Cloud) decodeHEIC() func(context.Context, []byte) ([]byte, error) {
	if c.engine == nil {
		return nil
	}
	return c.engine.JPEG
}

// startManagement makes the management port and puts it in front of what the options have.
func (c *Cloud) startManagement(options *Options) (err error) {
	c.Management, err = management.New(management.Config{
		ExpireCredentials: func() int { return c.Keys.ExpireTokens(time.Now()) },
		Bucket:            watchedBucket{c},
		Chaos:             options.Chaos,
		Failures:          c.failures,
	})
	if err != nil {
		return err
	}
	if options.Deliver == nil {
		options.Deliver = c.Management.Deliver
	}
	intercept, onCall := options.Gateway.Intercept, options.Gateway.OnCall
	options.Gateway.Intercept = func(call gateway.Call) gateway.Fault {
		fault := c.Management.Intercept(call)
		if intercept != nil && fault.String() == "" {
			fault = intercept(call)
		}
		return fault
	}
	options.Gateway.OnCall = func(call gateway.Call) {
		c.Management.OnCall(call)
		if onCall != nil {
			onCall(call)
		}
	}
	return nil
}

func (c *Cloud) runtimeConfig(options Options) fcfake.Config {
	config := fcfake.Config{
		Mode: options.Mode, Command: options.Function, Region: Region, AccountID: accountID, FunctionName: functionName, MaxInstances: options.MaxInstances,
		Concurrency: options.Concurrency, Timeout: options.Timeout, Freeze: options.Freeze, Async: options.Async,
		Logs: options.Logs, Log: c.log, StopGrace: time.Second,
		InitializerTimeout: 10 * time.Second, // as in s.yaml
	}
	c.environment = append([]string{
		"OCR_ENDPOINT=" + c.OCREndpoint, "OCR_APP_KEY=" + AppKey, "OCR_APP_SECRET=" + AppSecret,
		"OSS_ENDPOINT=" + c.OSSEndpoint, "OSS_PUBLIC_ENDPOINT=" + c.OSSEndpoint, "HTTP_ALLOW=" + c.Bucket,
	}, options.Env...)
	config.Env = c.environment
	if config.Mode == "" {
		config.Mode = fcfake.ModeGo1
	}
	if config.MaxInstances == 0 && config.Concurrency == 0 {
		config.MaxInstances, config.Concurrency = 4, 1
		if config.Mode == fcfake.ModeCustom {
			config.MaxInstances, config.Concurrency = 1, 4
		}
	}
	life := options.CredentialsLife
	if life == 0 {
		life = 36 * time.Hour
	}
	config.Credentials = func() fcfake.Credentials {
		credentials := fcfake.Credentials{
			AccessKeyID: "STS." + randomHex(12), AccessKeySecret: randomHex(20), SecurityToken: randomHex(64),
		}
		c.Keys.Add(ossfake.Credentials{
			AccessKeyID: credentials.AccessKeyID, AccessKeySecret: credentials.AccessKeySecret,
			SecurityToken: credentials.SecurityToken, Expires: time.Now().Add(life),
		})
		return credentials
	}
	config.OnInvocation = func(record fcfake.Record) {
		c.touch()
		if options.OnInvocation != nil {
			options.OnInvocation(record)
		}
	}
	intercept := options.Async.Intercept
	config.Async.Intercept = func(payload []byte) *fcfake.SystemError {
		if refused := c.Management.InterceptEvent(strings.Join(keysOf(string(payload)), ",")); refused != nil || intercept == nil {
			return refused
		}
		return intercept(payload)
	}
	onSuccess, onFailure := options.Async.OnSuccess, options.Async.OnFailure
	config.Async.OnSuccess = func(destination fcfake.Destination) {
		c.mu.Lock()
		for _, key := range keysOf(destination.RequestPayload) { // an event from the failure queue, say
			delete(c.failed, key)
		}
		c.mu.Unlock()
		if onSuccess != nil {
			onSuccess(destination)
		}
	}
	config.Async.OnFailure = func(destination fcfake.Destination) {
		c.fileFailure(destination)
		if onFailure != nil {
			onFailure(destination)
		}
	}
	return config
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	return hex.EncodeToString(b)
}

// Close stops everything: first the function, which may still need the others. It takes at most about two seconds.
func (c *Cloud) Close() error {
	var errs []error
	c.closing.Do(func() {
		if c.infoWritten {
			errs = append(errs, sandboxinfo.Remove(c.dir()))
		}
		if c.Runtime != nil {
			errs = append(errs, c.Runtime.Close())
		}
		c.cancel()
		for _, server := range c.servers {
			errs = append(errs, server.Close())
		}
		c.watcher.Wait()
		if c.engine != nil {
			errs = append(errs, c.engine.Close())
		}
		if c.OSS != nil {
			errs = append(errs, c.OSS.Close())
		}
	})
	return errors.Join(errs...)
}
