// Package sandboxinfo is the discovery file on which a running sandbox says where its services listen and with which keys. The sandbox writes it
// and its clients read it; it never holds a key that opens anything but a sandbox on loopback.
package sandboxinfo

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fc-idcard-ocr/internal/message"
)

// FileName is the discovery file's name in the sandbox's folder, and its path (with a slash before it) on the sandbox's HTTP port.
const FileName = "sandbox.json"

// DefaultDir is the sandbox's folder if none is named.
const DefaultDir = ".sandbox"

// Info is the content of the discovery file.
type Info struct {
	Dir     string `json:"dir"`     // the sandbox's folder, as an absolute path
	OSS     string `json:"oss"`     // endpoint of the object store, path style
	OCR     string `json:"ocr"`     // full URL of the ocrIdCard API
	FC      string `json:"fc"`      // endpoint of the Function Compute API (version 2023-03-30)
	Trigger string `json:"trigger"` // the function's HTTP trigger
	Console string `json:"console"` // the web console and the management port
	Market  string `json:"market"`  // endpoint of the market's API (version 2015-11-01)
	MNS     string `json:"mns"`     // endpoint of the message queues

	Region   string `json:"region"`
	Bucket   string `json:"bucket"`
	Function string `json:"function"`
	Account  string `json:"account"` // account ID

	FailureQueue string `json:"failureQueue"` // queue of the events that were given up
	ProductCode  string `json:"productCode"`  // of the OCR API in the market

	AsyncSpeedup float64 `json:"asyncSpeedup"` // how much faster than on Function Compute events are retried and grow old

	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
	AppKey          string `json:"appKey"`
	AppSecret       string `json:"appSecret"`
}

// Write puts the discovery file into the sandbox's folder, whole or not at all.
func (a Info) Write(dir string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, FileName)
	if err = os.WriteFile(name+".new", append(text, '\n'), 0o600); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		os.Remove(name + ".new") //nolint:errcheck // the first error is returned
	}
	return err
}

// Running reports whether a sandbox runs in the folder, and returns its discovery file. One that was killed leaves its file behind, and
// another one may have its ports now; so the sandbox itself is asked.
func Running(dir string) (Info, bool) {
	told, err := Find(dir)
	if err != nil {
		return Info{}, false
	}
	answered, err := Find(told.Trigger)
	return answered, err == nil && answered == told
}

// Remove takes the discovery file away when the sandbox ends.
func Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ServeHTTP answers with the discovery file.
func (a Info) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a) //nolint:errcheck // the caller has left
}

// Find reads the discovery file of a running sandbox. where is the sandbox's folder, the discovery file itself, or the http:// URL of one of the
// sandbox's ports that serves it; empty means DefaultDir. Addresses that are not on loopback are refused.
func Find(where string) (Info, error) {
	if where == "" {
		where = DefaultDir
	}
	text, err := read(where)
	if err != nil {
		return Info{}, err
	}
	var a Info
	if err := json.Unmarshal(text, &a); err != nil {
		return Info{}, message.Errorf("sandbox: the note at %s is not one of a sandbox: it is not the JSON that was expected", where)
	}
	for name, endpoint := range map[string]string{"oss": a.OSS, "ocr": a.OCR, "fc": a.FC} {
		if !loopback(endpoint) {
			return Info{}, message.Errorf("sandbox: the note at %s has no loopback address for %q; expected one like http://127.0.0.1:9001", where, name)
		}
	}
	return a, nil
}

func read(where string) ([]byte, error) {
	if strings.Contains(where, "://") {
		if !loopback(where) {
			return nil, message.Errorf("sandbox: %q is no address of a sandbox; expected a folder, or a URL like http://127.0.0.1:9000", where)
		}
		client := &http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(strings.TrimSuffix(where, "/") + "/" + FileName)
		if err != nil {
			return nil, message.Errorf("sandbox: nothing answers at %s; start it with `go run ./cmd/sandbox`", where)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, message.Errorf("sandbox: what answers at %s is not a sandbox (status %d)", where, response.StatusCode)
		}
		return io.ReadAll(io.LimitReader(response.Body, 1<<20))
	}
	name := where
	if info, err := os.Stat(where); err == nil && info.IsDir() {
		name = filepath.Join(where, FileName)
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, message.Errorf("sandbox: there is no %s, so no sandbox runs there; start it with `go run ./cmd/sandbox`, or name its folder", name)
	}
	return text, err
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}
