package main

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cloud is an object store and an OCR API in memory, as cheap as possible: they check nothing and never fail, so that the
// measurement is of the program in front of them. The tests of this package also run all programs against internal/sandbox,
// which does check.
type cloud struct {
	server  *httptest.Server
	latency time.Duration // of the OCR API

	mu       sync.Mutex
	objects  map[string][]byte
	requests map[string]int // by operation, and "connections"
}

// The bucket's name, and the only one.
const bucketName = "cards"

const recognised = `{"showapi_res_code":0,"showapi_res_error":"","showapi_res_id":"642644970de376872d071c9f","showapi_fee_num":1,` +
	`"showapi_res_body":{"msg":"识别成功!","flag":true,"ret_code":0,"idNo":"11010519491231002X","name":"样张","sex":"女","nationality":"汉",` +
	`"birthday":"1949-12-31","addr":"北京市朝阳区样本胡同12号院3号楼4单元501室"}}`

func newCloud() *cloud {
	c := &cloud{objects: map[string][]byte{}, requests: map[string]int{}}
	c.server = httptest.NewUnstartedServer(c)
	c.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.count("connections")
		}
	}
	c.server.Start()
	return c
}

func (c *cloud) close() { c.server.Close() }

// environment is what programs need to find the cloud.
func (c *cloud) environment() []string {
	return []string{"OSS_ENDPOINT=" + c.server.URL, "OSS_PUBLIC_ENDPOINT=" + c.server.URL, "OCR_ENDPOINT=" + c.server.URL + "/ocrIdCard"}
}

// ServeHTTP implements http.Handler.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ocrIdCard" {
		io.Copy(io.Discard, r.Body)
		c.count("OCR")
		time.Sleep(c.latency)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, recognised)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/"+bucketName+"/")
	c.mu.Lock()
	defer c.mu.Unlock()
	op := r.Method
	if r.URL.Query().Has("append") {
		op = "APPEND"
	}
	c.requests[op]++
	object, exists := c.objects[key]
	switch {
	case op == "APPEND" && r.URL.Query().Get("position") != strconv.Itoa(len(object)):
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `<Error><Code>PositionNotEqualToLength</Code></Error>`)
		return
	case op == "APPEND":
		object = append(object, body...)
		c.objects[key] = object
		w.Header().Set("x-oss-next-append-position", strconv.Itoa(len(object)))
	case op == "PUT":
		object = body
		c.objects[key] = object
	case op == "DELETE":
		delete(c.objects, key)
		w.WriteHeader(http.StatusNoContent)
		return
	case !exists:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"`+etag(object)+`"`)
	w.Header().Set("x-oss-hash-crc64ecma", strconv.FormatUint(crc64.Checksum(object, crcTable), 10))
	if op == "GET" || op == "HEAD" {
		w.Header().Set("Content-Length", strconv.Itoa(len(object)))
		w.Write(object)
	}
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func etag(content []byte) string {
	sum := md5.Sum(content)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (c *cloud) count(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[op]++
}

// counts returns the number of requests by operation since the last call.
func (c *cloud) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := c.requests
	c.requests = map[string]int{}
	return counted
}

// documents counts the documents there are.
func (c *cloud) documents() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.objects {
		if strings.HasSuffix(key, ".ocr.json") {
			n++
		}
	}
	return n
}

// upload stores an image without a request and returns its event.
func (c *cloud) upload(key string, content []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects[key] = content
	return fmt.Appendf(nil, `{"events":[{"eventName":"ObjectCreated:PutObject","eventSource":"acs:oss","region":"cn-hangzhou",`+
		`"oss":{"bucket":{"name":%q},"object":{"key":%q,"eTag":%q,"size":%d}}}]}`, bucketName, key, etag(content), len(content))
}
