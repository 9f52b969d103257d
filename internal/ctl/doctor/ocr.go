package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// address checks whether the OCR API's host has an address and takes connections.
func (t Target) address(ctx context.Context) Finding {
	u, err := url.Parse(t.Config.Endpoint)
	if err != nil {
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
		return fail("check the name server and OCR_ENDPOINT", "the name %s cannot be resolved", u.Hostname())
	case err != nil:
		return fail("open the way out to port "+port+" (firewall, proxy, VPC without NAT)", "%s takes no connection on port %s", u.Hostname(), port)
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

// clock compares this machine's with a server's.
func (t Target) clock(ctx context.Context) Finding {
	endpoint := t.OSSEndpoint
	if endpoint == "" {
		endpoint = t.Config.Endpoint
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	if err != nil {
		return skip("no server to compare with")
	}
	before := t.Now()
	response, err := t.HTTP.Do(r)
	if err != nil {
		return skip("no server answered")
	}
	response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return skip("the server told no time")
	}
	skew := before.Sub(theirs).Truncate(time.Second)
	const fix = setClock + "; signatures are refused when it is more than 15 minutes off"
	switch {
	case skew.Abs() >= allowedSkew:
		return fail(fix, "this machine's clock is %s off", skew)
	case skew.Abs() > time.Minute:
		return warn(fix, "this machine's clock is %s off", skew)
	}
	return ok("less than a minute off")
}

// key makes a call that the provider refuses free of charge: its picture is none ("错误的 imgData", ret_code -1). The gateway has
// checked key, signature and quota by then.
func (t Target) key(ctx context.Context) Finding {
	c := t.Config
	var auth ocrclient.Auth = ocrclient.AppKey{Key: string(c.AppKey), Secret: string(c.AppSecret)}
	if c.AppCode != "" {
		auth = ocrclient.AppCode(c.AppCode)
	}
	answer, err := (&ocrclient.Client{Endpoint: c.Endpoint, Auth: auth}).Recognize(ctx, ocrclient.Request{Image: []byte("not a picture: ocrctl doctor")})
	var failed *ocrclient.Error
	switch {
	case err == nil && answer.Charged:
		return warn("tell the provider: a call with no picture in it should be free", "key and signature are accepted, but the call was counted as charged")
	case err == nil && answer.Code() == ocrclient.QuotaExhausted:
		return fail("buy more calls in the cloud market", "the provider reports that the calls are used up")
	case err == nil:
		return ok("key and signature are accepted (a call without a picture, free of charge)")
	case !errors.As(err, &failed):
		return fail("correct the variables", "%v", err)
	}
	fixes := map[ocrclient.Code]string{
		ocrclient.Unauthorized:   "take AppKey and AppSecret from 云市场 > 已购买的服务 (not those of a RAM user), and see that the application is authorised for the API",
		ocrclient.QuotaExhausted: "buy more calls in the cloud market, and see that the account is not in arrears",
		ocrclient.ClockSkew:      setClock,
		ocrclient.BadRequest:     "correct OCR_ENDPOINT: the gateway knows no such address",
	}
	fix := fixes[failed.Code]
	if fix == "" {
		fix = "try again later; give the gateway's request ID to its operator if it stays"
	}
	return fail(fix, "%v", failed)
}
