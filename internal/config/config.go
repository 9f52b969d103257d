// Package config turns the environment into a Config and reports every problem of it at once, each with the variable's
// name and what is accepted. It never reads credentials of OSS (they come with each invocation) and never prints a secret.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Secret is a value that cannot be printed by accident. Convert it with string(s) where it is used.
type Secret string

// String hides the secret; so do %v, %s, encoders and structured logs.
func (Secret) String() string { return "(hidden)" }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ImageSource says how a picture reaches the OCR provider.
type ImageSource string

// The three sources. Auto sends a signed URL, and the picture itself if the provider could not read the URL.
const (
	Auto ImageSource = "auto"
	URL  ImageSource = "url"
	Data ImageSource = "data"
)

// LostAnswer says what to do about a call that may have been charged although its answer never came.
type LostAnswer string

// The two policies: Retry pays once more at most, Park never pays again.
const (
	Retry LostAnswer = "retry"
	Park  LostAnswer = "park"
)

// Config is the whole configuration. The env tag is the variable's name, accepts what it takes, in words for messages.
type Config struct {
	AppKey       Secret        `env:"OCR_APP_KEY" accepts:"the AppKey of the application that bought the API"`
	AppSecret    Secret        `env:"OCR_APP_SECRET" accepts:"the AppSecret that belongs to OCR_APP_KEY"`
	AppCode      Secret        `env:"OCR_APP_CODE" accepts:"an AppCode, instead of AppKey and AppSecret"`
	Endpoint     string        `env:"OCR_ENDPOINT" envDefault:"https://idcare7.market.alicloudapi.com/ocrIdCard" accepts:"an https:// URL (http:// for loopback addresses only)"`
	Details      bool          `env:"OCR_DETAILS" envDefault:"true" accepts:"true or false"`
	ImageSource  ImageSource   `env:"OCR_IMAGE_SOURCE" envDefault:"auto" accepts:"auto, url or data"`
	Timeout      time.Duration `env:"OCR_TIMEOUT" envDefault:"45s" accepts:"a duration from 100ms to 10m, such as 45s"`
	MaxAttempts  int           `env:"OCR_MAX_ATTEMPTS" envDefault:"3" accepts:"a whole number from 1 to 10"`
	RateLimit    float64       `env:"OCR_RATE_LIMIT" envDefault:"0" accepts:"calls per second from 0 (no limit) to 10000, such as 5 or 0.5"`
	DailyLimit   int           `env:"OCR_DAILY_LIMIT" envDefault:"0" accepts:"calls per day over all instances, a whole number from 0 (no limit) to 1000000000"`
	BudgetBucket string        `env:"OCR_BUDGET_BUCKET" accepts:"the bucket that holds the calls of the day for OCR_DAILY_LIMIT; empty: the image's own, and for pictures in requests the first of HTTP_ALLOW"`
	SecondLook   bool          `env:"OCR_SECOND_LOOK" envDefault:"true" accepts:"true or false"`
	Reuse        bool          `env:"OCR_REUSE" envDefault:"false" accepts:"true or false"`
	Raw          bool          `env:"OCR_RAW" envDefault:"true" accepts:"true or false"`
	OnLostAnswer LostAnswer    `env:"OCR_ON_LOST_ANSWER" envDefault:"retry" accepts:"retry or park"`

	OSSEndpoint       string        `env:"OSS_ENDPOINT" accepts:"an https:// address without path (http:// for loopback addresses only)"`
	OSSPublicEndpoint string        `env:"OSS_PUBLIC_ENDPOINT" accepts:"an https:// address without path that the OCR provider can reach (http:// for loopback addresses only)"`
	OSSPublicCNAME    bool          `env:"OSS_PUBLIC_CNAME" envDefault:"false" accepts:"true or false"`
	OSSURLTTL         time.Duration `env:"OSS_URL_TTL" envDefault:"5m" accepts:"a duration longer than OCR_TIMEOUT and at most 168h, such as 5m"`

	ImageSuffixes []string `env:"IMAGE_SUFFIXES" envDefault:".jpg,.jpeg,.png,.bmp,.webp,.heic" accepts:"comma-separated endings of image keys, such as .jpg,.png"`
	ImageExclude  []string `env:"IMAGE_EXCLUDE" accepts:"comma-separated endings of keys, or patterns of whole keys with *, ? and [a-z], such as -back.jpg,tmp/*"`
	ResultSuffix  string   `env:"RESULT_SUFFIX" envDefault:".ocr.json" accepts:"an ending that no image key has, such as .ocr.json"`
	ClaimSuffix   string   `env:"CLAIM_SUFFIX" envDefault:".ocr.claim" accepts:"an ending that no image key and no result has, such as .ocr.claim"`
	MaxImageBytes int64    `env:"MAX_IMAGE_BYTES" envDefault:"20971520" accepts:"a whole number of bytes from 1 to 20971520 (OSS processes no larger pictures)"`

	ResultFields     []string `env:"RESULT_FIELDS" envDefault:"name,sex,ethnicity,birthDate,address,idNumber" accepts:"a comma-separated choice of name,sex,ethnicity,birthDate,address,idNumber"`
	ResultTags       []string `env:"RESULT_TAGS" envDefault:"fc-idcard-ocr=document" accepts:"up to 10 comma-separated key=value pairs of letters, digits, blanks and + - = . _ : /, such as team=cards, or none"`
	RemoveWithImage  bool     `env:"REMOVE_WITH_IMAGE" envDefault:"false" accepts:"true or false"`
	ResultEncryption string   `env:"RESULT_ENCRYPTION" accepts:"AES256, KMS or KMS:<key id>"`

	HTTPAllow []string   `env:"HTTP_ALLOW" accepts:"comma-separated bucket or bucket/prefix, compared literally, such as cards,scans/2026/"`
	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info" accepts:"debug, info, warn or error"`
}

// Tags returns the object tags of documents, or those of claims, which have the value "claim" in place of the first tag's, so that a
// lifecycle rule can tell both apart.
func (c Config) Tags(ofClaims bool) map[string]string {
	tags := make(map[string]string, len(c.ResultTags))
	for i, pair := range c.ResultTags {
		key, value, _ := strings.Cut(pair, "=")
		if ofClaims && i == 0 {
			value = "claim"
		}
		tags[key] = value
	}
	return tags
}

// Names returns the names of all variables, in the order of Config.
func Names() []string {
	var names []string
	for field := range fields() {
		names = append(names, field.Tag.Get("env"))
	}
	return names
}

func fields() func(yield func(reflect.StructField) bool) {
	t := reflect.TypeFor[Config]()
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// Parse reads the configuration from an environment as os.Environ returns it. Blanks around a value do not count, and an
// empty value means the default. A variable that looks like a misspelt one of these is a problem. The error, if any, lists every
// problem, one per line.
func Parse(environ []string) (Config, error) {
	c, p := parse(environ)
	return *c, p.err()
}

func parse(environ []string) (*Config, *problems) {
	values := make(map[string]string)
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			values[name] = strings.TrimSpace(value)
		}
	}
	var c Config
	p := &problems{config: &c}
	p.names(values)
	p.characters(values)
	p.parse(values)
	p.authentication()
	p.ocr()
	p.oss()
	p.suffixes()
	p.exclude()
	p.results()
	p.httpAllow()
	return &c, p
}

// problems collects what is wrong, by variable.
type problems struct {
	config *Config
	found  []problem
}

type problem struct{ variable, what, accepts string }

func (p *problems) add(variable, format string, args ...any) {
	if !slices.ContainsFunc(p.found, func(f problem) bool { return f.variable == variable }) {
		p.found = append(p.found, problem{variable: variable, what: fmt.Sprintf(format, args...), accepts: accepts(variable)})
	}
}

// accepts says in words what a variable takes.
func accepts(variable string) string {
	for field := range fields() {
		if field.Tag.Get("env") == variable {
			return field.Tag.Get("accepts")
		}
	}
	for _, v := range deployment {
		if v.name == variable {
			return v.accepts
		}
	}
	return ""
}

func (p *problems) parse(values map[string]string) {
	err := env.ParseWithOptions(p.config, env.Options{Environment: values})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return
	}
	for _, each := range all.Errors {
		var parse env.ParseError
		if !errors.As(each, &parse) {
			continue
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		variable := field.Tag.Get("env")
		p.add(variable, "%q is not understood", values[variable])
	}
}

func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d problem", len(p.found))
	if len(p.found) > 1 {
		b.WriteByte('s')
	}
	for _, f := range p.found {
		fmt.Fprintf(&b, "\n  %s: %s; accepted: %s", f.variable, f.what, f.accepts)
	}
	return errors.New(b.String())
}

// Public returns the configuration by variable name as it may be shown: for secrets, only whether they are set.
func (c Config) Public() map[string]any {
	values := reflect.ValueOf(c)
	public := make(map[string]any, values.NumField())
	for field := range fields() {
		value := values.FieldByIndex(field.Index).Interface()
		switch v := value.(type) {
		case Secret:
			value = v != ""
		case time.Duration:
			value = v.String()
		}
		public[field.Tag.Get("env")] = value
	}
	return public
}
