package config

import (
	"net"
	"net/url"
	"path"
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
	c := p.config
	switch {
	case c.AppCode != "" || (c.AppKey != "" && c.AppSecret != ""):
	case c.AppKey != "":
		p.add("OCR_APP_SECRET", "missing beside OCR_APP_KEY")
	case c.AppSecret != "":
		p.add("OCR_APP_KEY", "missing beside OCR_APP_SECRET")
	default:
		p.add("OCR_APP_KEY", "missing; set OCR_APP_KEY and OCR_APP_SECRET, or OCR_APP_CODE")
	}
	for name, secret := range map[string]Secret{"OCR_APP_KEY": c.AppKey, "OCR_APP_SECRET": c.AppSecret, "OCR_APP_CODE": c.AppCode} {
		p.secret(name, string(secret))
	}
}

// secret refuses what no key, secret or code has in it, and shows nothing of it.
func (p *problems) secret(name, value string) {
	const scheme = "APPCODE "
	switch {
	case len(value) > len(scheme) && strings.EqualFold(value[:len(scheme)], scheme):
		p.add(name, "begins with APPCODE, which is the name of the scheme and no part of the code")
	case strings.ContainsAny(value, "\"'`"):
		p.add(name, "holds a quotation mark")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		p.add(name, "holds a control character or line break")
	case strings.Contains(value, " "):
		p.add(name, "holds a blank")
	case strings.ContainsFunc(value, func(r rune) bool { return r > 0x7f }):
		p.add(name, "holds a character outside ASCII, such as a full-width digit")
	}
}

func (p *problems) ocr() {
	c := p.config
	p.endpoint("OCR_ENDPOINT", c.Endpoint, true)
	p.oneOf("OCR_IMAGE_SOURCE", string(c.ImageSource), string(Auto), string(URL), string(Data))
	p.oneOf("OCR_ON_LOST_ANSWER", string(c.OnLostAnswer), string(Retry), string(Park))
	p.require("OCR_TIMEOUT", c.Timeout >= 100*time.Millisecond && c.Timeout <= 10*time.Minute, c.Timeout)
	p.require("OCR_MAX_ATTEMPTS", c.MaxAttempts >= 1 && c.MaxAttempts <= 10, c.MaxAttempts)
	p.require("OCR_DAILY_LIMIT", c.DailyLimit >= 0 && c.DailyLimit <= 1e9, c.DailyLimit)
	p.require("OCR_BUDGET_BUCKET", c.BudgetBucket == "" || ValidBucket(c.BudgetBucket), c.BudgetBucket)
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
	for _, image := range c.ImageSuffixes {
		if overlap(ReviewSuffix, image) && !overlap(c.ResultSuffix, image) {
			p.add("IMAGE_SUFFIXES", "reviews, which end in %q, could be taken for images by %q", ReviewSuffix, image)
		}
	}
	if overlap(c.ResultSuffix, c.ClaimSuffix) {
		p.add("CLAIM_SUFFIX", "%q and RESULT_SUFFIX %q could be taken for each other", c.ClaimSuffix, c.ResultSuffix)
	}
}

// exclude refuses what leaves no image. It takes nothing back of what suffixes refuses.
func (p *problems) exclude() {
	c := p.config
	c.ImageExclude = slices.DeleteFunc(trimmed(c.ImageExclude), func(s string) bool { return s == "" })
	for _, pattern := range c.ImageExclude {
		switch {
		case !utf8.ValidString(pattern):
			p.add("IMAGE_EXCLUDE", "%q is not UTF-8", pattern)
		case strings.Trim(pattern, "*") == "":
			p.add("IMAGE_EXCLUDE", "%q excludes every image", pattern)
		case strings.ContainsAny(pattern, "*?[") && badPattern(pattern):
			p.add("IMAGE_EXCLUDE", "%q cannot be read: \"[\" without \"]\", or a backslash at the end", pattern)
		}
	}
	excluded := func(image string) bool {
		return slices.ContainsFunc(c.ImageExclude, func(pattern string) bool {
			ending := strings.TrimLeft(pattern, "*")
			return !strings.Contains(ending, "*") && strings.HasSuffix(strings.ToLower(image), strings.ToLower(ending))
		})
	}
	if len(c.ImageSuffixes) > 0 && !slices.ContainsFunc(c.ImageSuffixes, func(image string) bool { return !excluded(image) }) {
		p.add("IMAGE_EXCLUDE", "excludes every image of IMAGE_SUFFIXES")
	}
}

func badPattern(pattern string) bool {
	_, err := path.Match(pattern, "")
	return err != nil
}

// ReviewSuffix is the ending of the keys of reviews, which lie beside images, too.
const ReviewSuffix = ".ocr.reviewed.json"

// overlap reports whether one key can end in both suffixes.
func overlap(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// CardFields are the fields of a card, by their names in a document.
var CardFields = []string{"name", "sex", "ethnicity", "birthDate", "address", "idNumber"}

const (
	maxTags     = 10 // of an object
	maxTagKey   = 128
	maxTagValue = 256
	noTags      = "none"
)

func (p *problems) results() {
	c := p.config
	c.ResultFields = slices.DeleteFunc(trimmed(c.ResultFields), func(s string) bool { return s == "" })
	for _, field := range c.ResultFields {
		p.oneOf("RESULT_FIELDS", field, CardFields...)
	}
	if len(c.ResultFields) == 0 {
		p.add("RESULT_FIELDS", "no field in it")
	}
	p.tags()
	key, isKMS := strings.CutPrefix(c.ResultEncryption, "KMS:")
	switch {
	case slices.Contains([]string{"", "AES256", "KMS"}, c.ResultEncryption):
	case !isKMS || key == "" || strings.ContainsFunc(key, func(r rune) bool { return !isPlain(r) && !strings.ContainsRune("-_/.:", r) }):
		p.add("RESULT_ENCRYPTION", "%q is none of them", c.ResultEncryption)
	}
}

func (p *problems) tags() {
	c := p.config
	c.ResultTags = slices.DeleteFunc(trimmed(c.ResultTags), func(s string) bool { return s == "" })
	if slices.Equal(c.ResultTags, []string{noTags}) {
		c.ResultTags = nil
	}
	if len(c.ResultTags) > maxTags {
		p.add("RESULT_TAGS", "%d tags", len(c.ResultTags))
	}
	seen := map[string]bool{}
	for _, tag := range c.ResultTags {
		key, value, ok := strings.Cut(tag, "=")
		switch {
		case !ok || key == "" || len(key) > maxTagKey || len(value) > maxTagValue:
			p.add("RESULT_TAGS", "%q is no key=value with up to %d and %d characters", tag, maxTagKey, maxTagValue)
		case strings.ContainsFunc(tag, func(r rune) bool { return !isPlain(r) && !strings.ContainsRune(" +-=._:/", r) }):
			p.add("RESULT_TAGS", "%q holds a character that a tag cannot have", tag)
		case seen[key]:
			p.add("RESULT_TAGS", "the key %q is there twice", key)
		}
		seen[key] = true
	}
}

func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
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
