package config

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxURLTTL     = 7 * 24 * time.Hour // of a V4 signed URL (x-oss-expires, OSS error 0002-00000232)
	maxImageBytes = 20 << 20           // of a picture that x-oss-process takes
	maxSuffix     = 64                 // bytes, of the 1,023 of an object key
)

func (p *problems) authentication() {
	switch c := p.config; {
	case c.AppCode != "" || (c.AppKey != "" && c.AppSecret != ""):
	case c.AppKey != "":
		p.add("OCR_APP_SECRET", "missing beside OCR_APP_KEY")
	case c.AppSecret != "":
		p.add("OCR_APP_KEY", "missing beside OCR_APP_SECRET")
	default:
		p.add("OCR_APP_KEY", "missing; set OCR_APP_KEY and OCR_APP_SECRET, or OCR_APP_CODE")
	}
	for name, secret := range map[string]Secret{"OCR_APP_KEY": p.config.AppKey, "OCR_APP_SECRET": p.config.AppSecret, "OCR_APP_CODE": p.config.AppCode} {
		if strings.ContainsFunc(string(secret), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			p.add(name, "holds a control character or line break")
		}
	}
}

func (p *problems) ocr() {
	c := p.config
	p.endpoint("OCR_ENDPOINT", c.Endpoint, true)
	p.oneOf("OCR_IMAGE_SOURCE", string(c.ImageSource), string(Auto), string(URL), string(Data))
	p.oneOf("OCR_ON_LOST_ANSWER", string(c.OnLostAnswer), string(Retry), string(Park))
	p.require("OCR_TIMEOUT", c.Timeout >= 100*time.Millisecond && c.Timeout <= 10*time.Minute, c.Timeout)
	p.require("OCR_MAX_ATTEMPTS", c.MaxAttempts >= 1 && c.MaxAttempts <= 10, c.MaxAttempts)
	p.require("OCR_RATE_LIMIT", c.RateLimit >= 0 && c.RateLimit <= 10000, c.RateLimit)
}

func (p *problems) oss() {
	c := p.config
	p.endpoint("OSS_ENDPOINT", c.OSSEndpoint, false)
	p.endpoint("OSS_PUBLIC_ENDPOINT", c.OSSPublicEndpoint, false)
	switch {
	case c.OSSPublicCNAME && c.OSSPublicEndpoint == "":
		p.add("OSS_PUBLIC_ENDPOINT", "missing although OSS_PUBLIC_CNAME is true: it is the custom domain")
	case strings.Contains(c.OSSPublicEndpoint, "-internal.aliyuncs.com"):
		p.add("OSS_PUBLIC_ENDPOINT", "%q is an internal address, which the OCR provider cannot reach", c.OSSPublicEndpoint)
	}
	p.require("OSS_URL_TTL", c.OSSURLTTL > c.Timeout && c.OSSURLTTL <= maxURLTTL, c.OSSURLTTL)
	p.require("MAX_IMAGE_BYTES", c.MaxImageBytes >= 1 && c.MaxImageBytes <= maxImageBytes, c.MaxImageBytes)
}

// suffixes refuses every configuration in which a result or claim could be taken for an image, or one for the other: the
// function would then call itself, and pay, without end.
func (p *problems) suffixes() {
	c := p.config
	c.ImageSuffixes = slices.DeleteFunc(trimmed(c.ImageSuffixes), func(s string) bool { return s == "" })
	if len(c.ImageSuffixes) == 0 {
		p.add("IMAGE_SUFFIXES", "no suffix in it")
	}
	for _, image := range c.ImageSuffixes {
		if !utf8.ValidString(image) { // as no key is: OSS wants UTF-8
			p.add("IMAGE_SUFFIXES", "%q is not UTF-8", image)
		}
	}
	for _, own := range []struct{ variable, suffix string }{{"RESULT_SUFFIX", c.ResultSuffix}, {"CLAIM_SUFFIX", c.ClaimSuffix}} {
		if !utf8.ValidString(own.suffix) {
			p.add(own.variable, "%q is not UTF-8", own.suffix)
		}
		if len(own.suffix) > maxSuffix || strings.ContainsFunc(own.suffix, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' }) {
			p.add(own.variable, "%q is longer than %d bytes or holds a blank, slash or control character", own.suffix, maxSuffix)
		}
		for _, image := range c.ImageSuffixes {
			if overlap(own.suffix, image) {
				p.add(own.variable, "%q could be taken for an image by %q of IMAGE_SUFFIXES", own.suffix, image)
			}
		}
	}
	if overlap(c.ResultSuffix, c.ClaimSuffix) {
		p.add("CLAIM_SUFFIX", "%q and RESULT_SUFFIX %q could be taken for each other", c.ClaimSuffix, c.ResultSuffix)
	}
}

// overlap reports whether one key can end in both suffixes.
func overlap(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

func (p *problems) httpAllow() {
	c := p.config
	c.HTTPAllow = slices.DeleteFunc(trimmed(c.HTTPAllow), func(s string) bool { return s == "" })
	for _, entry := range c.HTTPAllow {
		bucket, _, _ := strings.Cut(entry, "/")
		if !ValidBucket(bucket) {
			p.add("HTTP_ALLOW", "%q does not begin with a bucket name (3 to 63 lower-case letters, digits and dashes; no wildcards)", entry)
		}
	}
}

// ValidBucket reports whether s is a bucket name by OSS's rules: 3 to 63 lower-case letters, digits and dashes, no dash at
// either end.
func ValidBucket(s string) bool {
	return len(s) >= 3 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}

func trimmed(list []string) []string {
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func (p *problems) oneOf(variable, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(variable, "%q is not one of them", value)
	}
}

func (p *problems) require(variable string, ok bool, value any) {
	if !ok {
		p.add(variable, "%v is out of range", value)
	}
}

func (p *problems) endpoint(variable, raw string, withPath bool) {
	if raw == "" {
		return // the default is made from the region
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		p.add(variable, "not an http(s) URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.add(variable, "has a user, query or fragment")
	case !withPath && strings.Trim(u.Path, "/") != "":
		p.add(variable, "has the path %q", u.Path)
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		p.add(variable, "unencrypted http:// to %q", u.Hostname())
	}
}

// Loopback reports whether a host, as url.URL.Hostname returns it, is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
