package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/ocrclient"
)

// address checks whether the OCR API's host has an address and takes connections.
func (e *examination) address(ctx context.Context) Finding {
	u, err := url.Parse(e.config.Endpoint)
	if err != nil || u.Hostname() == "" {
		return fail("correct OCR_ENDPOINT", "OCR_ENDPOINT is no URL")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fail(resolve, "the name %s cannot be resolved", u.Hostname())
	case err != nil:
		return fail("", "%s takes no connection on port %s", u.Hostname(), port).fixedBy("open the way out to port %s (firewall, proxy, VPC without NAT)", port)
	}
	defer connection.Close()
	if u.Scheme == "https" {
		secure := tls.Client(connection, &tls.Config{ServerName: u.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			return fail("something on the way (a proxy?) answers in its place, or this machine lacks root certificates", "the TLS certificate of %s is not accepted", u.Hostname())
		}
	}
	return ok("%s answers", u.Hostname())
}

const resolve message.Key = "check the name server and OCR_ENDPOINT"

// clock compares this machine's with a server's.
func (e *examination) clock(ctx context.Context) Finding {
	endpoint := e.OSSEndpoint
	if endpoint == "" {
		endpoint = e.config.Endpoint
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	if err != nil {
		return skip("no server to compare with")
	}
	before := e.Now()
	response, err := e.HTTP.Do(r)
	if err != nil {
		return skip("no server answered")
	}
	response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return skip("the server told no time")
	}
	skew := before.Sub(theirs).Truncate(time.Second)
	const fix message.Key = "set this machine's clock (NTP); signatures are refused when it is more than 15 minutes off"
	switch {
	case skew.Abs() >= allowedSkew:
		return fail(fix, "this machine's clock is %s off", skew)
	case skew.Abs() > time.Minute:
		return warn(fix, "this machine's clock is %s off", skew)
	}
	return ok("less than a minute off")
}

// localKey tries the key of this machine.
func (e *examination) localKey(ctx context.Context) Finding {
	if !hasKey(e.Config) {
		return skip("none is set here (OCR_APP_KEY and OCR_APP_SECRET, or OCR_APP_CODE)")
	}
	return e.try(ctx, e.Config)
}

// functionKey tries the key of the function, and identifies it by its last characters.
func (e *examination) functionKey(ctx context.Context) Finding {
	switch {
	case e.described == nil:
		return skip("the function's variables cannot be read")
	case !hasKey(e.config):
		return fail("give the function OCR_APP_KEY and OCR_APP_SECRET, or OCR_APP_CODE", "the function has no key")
	}
	f := e.try(ctx, e.config)
	f.Detail = ending(e.config) + ": " + f.Detail
	if f.Result == OK && hasKey(e.Config) && (e.Config.AppKey != e.config.AppKey || e.Config.AppSecret != e.config.AppSecret || e.Config.AppCode != e.config.AppCode) {
		return warn("deploy the key of this machine, or take the function's", "%s; this machine has another key or secret (%s)", f.Detail, ending(e.Config))
	}
	return f
}

// ending names a key by its last four characters, which is enough to tell two apart and too little to use one.
func ending(c config.Config) string {
	name, key := "AppKey", string(c.AppKey)
	if c.AppCode != "" {
		name, key = "AppCode", string(c.AppCode)
	}
	if len(key) < 8 {
		return name
	}
	return name + " …" + key[len(key)-4:]
}

// try makes a call that the provider refuses free of charge: its picture is none ("错误的 imgData", ret_code -1). The gateway has
// checked key, signature and quota by then.
func (e *examination) try(ctx context.Context, c config.Config) Finding {
	var auth ocrclient.Auth = ocrclient.AppKey{Key: string(c.AppKey), Secret: string(c.AppSecret)}
	take := message.Key("take AppKey and AppSecret of one application from 云市场 > 已购买的服务 (not those of a RAM user), and see that the application is authorised for the API")
	if c.AppCode != "" {
		auth = ocrclient.AppCode(c.AppCode)
		take = "take the AppCode from 云市场 > 已购买的服务, without the word APPCODE before it, and see that simple authentication is on for the API"
	}
	answer, err := (&ocrclient.Client{Endpoint: c.Endpoint, Auth: auth}).Recognize(ctx, ocrclient.Request{Image: []byte("not a picture: ocrctl doctor")})
	var failed *ocrclient.Error
	switch {
	case err == nil && answer.Charged:
		return warn("tell the provider: a call with no picture in it should be free", "it is accepted, but the call was counted as charged")
	case err == nil && answer.Code() == ocrclient.QuotaExhausted:
		return fail("buy more calls in the cloud market", "the provider reports that the calls are used up")
	case err == nil:
		return ok("accepted (a call without a picture, free of charge)")
	case !errors.As(err, &failed):
		return fail("correct the variables", "%v", err)
	}
	fix := map[ocrclient.Code]message.Key{
		ocrclient.Unauthorized:   take,
		ocrclient.QuotaExhausted: "buy more calls in the cloud market, and see that the account is not in arrears",
		ocrclient.ClockSkew:      setClock,
		ocrclient.BadRequest:     "correct OCR_ENDPOINT: the gateway knows no such address",
		ocrclient.Throttled:      "wait, or have the provider's limit raised; on a test domain of the gateway there are 1,000 calls a day",
	}[failed.Code]
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		fix = resolve
	case failed.Outcome == ocrclient.NotSent:
		fix = "open the way out to the OCR API: see the finding on its address"
	case fix == "" && failed.RequestID != "":
		fix = "try again later; give the gateway's request ID to its operator if it stays"
	case fix == "":
		fix = "try again later; what answers may not be the gateway, so check OCR_ENDPOINT and proxies if it stays"
	}
	return fail(fix, "%s", strings.TrimPrefix(failed.Error(), "ocrIdCard call "))
}
