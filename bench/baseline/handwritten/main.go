// Command handwritten makes the requests of one image in the normal case with net/http only: APPEND claim, HEAD document and
// image concurrently, POST, HEAD image, PUT document, DELETE claim. It handles no failures. It is the baseline for the CPU time
// of an image and, with BASELINE_SOURCE=data, for the memory that an image takes.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

var (
	endpoint  = os.Getenv("OCR_ENDPOINT")
	appKey    = os.Getenv("OCR_APP_KEY")
	appSecret = os.Getenv("OCR_APP_SECRET")
	ossURL    = os.Getenv("OSS_ENDPOINT")
	plainData = os.Getenv("BASELINE_SOURCE") == "data"
	client    = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
)

type event struct {
	Events []struct {
		Region string `json:"region"`
		OSS    struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object struct {
				Key  string `json:"key"`
				ETag string `json:"eTag"`
			} `json:"object"`
		} `json:"oss"`
	} `json:"events"`
}

func main() { fc.Start(handle) }

func handle(ctx context.Context, e event) (string, error) {
	for _, r := range e.Events {
		f, _ := fccontext.FromContext(ctx)
		s := store{bucket: r.OSS.Bucket.Name, region: r.Region, keys: f.Credentials}
		if err := image(s, r.OSS.Object.Key, r.OSS.Object.ETag, f.RequestID); err != nil {
			return "", err
		}
	}
	return "done", nil
}

func image(s store, key, etag, requestID string) error {
	nonce := uuid()
	claim, err := json.Marshal(map[string]any{"owner": uuid(), "requestId": requestID, "etag": etag, "nonce": nonce, "leaseEnd": time.Now().Add(time.Minute)})
	if err != nil {
		return err
	}
	if _, err := s.do("POST", key+".ocr.claim", url.Values{"append": {""}, "position": {"0"}}, "application/x-ndjson", claim); err != nil {
		return err
	}
	headed := make(chan error)
	go func() {
		_, err := s.do("HEAD", key+".ocr.json", nil, "", nil)
		headed <- err
	}()
	_, err = s.do("HEAD", key, nil, "", nil)
	if missing := <-headed; err != nil || missing == nil {
		return fmt.Errorf("unexpected responses to HEAD: %v, %v", err, missing)
	}
	form := url.Values{"need_more_info": {"1"}}
	if plainData {
		content, err := s.do("GET", key, nil, "", nil)
		if err != nil {
			return err
		}
		form.Set("imgData", base64.StdEncoding.EncodeToString(content))
	} else {
		form.Set("imgUrl", s.presign(key))
	}
	card, err := recognize(form, nonce)
	if err != nil {
		return err
	}
	if !plainData { // check that the image was not replaced
		if _, err := s.do("HEAD", key, nil, "", nil); err != nil {
			return err
		}
	}
	document, err := json.MarshalIndent(map[string]any{"schemaVersion": 1, "status": "recognized", "raw": card, "requestId": requestID, "completedAt": time.Now()}, "", "  ")
	if err != nil {
		return err
	}
	if _, err := s.do("PUT", key+".ocr.json", nil, "application/json; charset=utf-8", document); err != nil {
		return err
	}
	_, err = s.do("DELETE", key+".ocr.claim", nil, "", nil)
	log.Printf("%s image done", requestID)
	return err
}

func recognize(form url.Values, nonce string) (json.RawMessage, error) {
	signed := map[string]string{"x-ca-key": appKey, "x-ca-nonce": nonce, "x-ca-timestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	names := []string{"x-ca-key", "x-ca-nonce", "x-ca-timestamp"}
	const accept, contentType = "application/json; charset=utf-8", "application/x-www-form-urlencoded; charset=UTF-8"
	text := "POST\n" + accept + "\n\n" + contentType + "\n\n"
	for _, name := range names {
		text += name + ":" + signed[name] + "\n"
	}
	text += "/ocrIdCard"
	separator := "?"
	for _, name := range []string{"imgData", "imgUrl", "need_more_info"} {
		if form.Has(name) {
			text += separator + name + "=" + form.Get(name)
			separator = "&"
		}
	}
	request, err := http.NewRequest("POST", endpoint, strings.NewReader(strings.ReplaceAll(form.Encode(), "+", "%20")))
	if err != nil {
		return nil, err
	}
	for name, value := range signed {
		request.Header.Set(name, value)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("X-Ca-Signature-Headers", strings.Join(names, ","))
	request.Header.Set("X-Ca-Signature", base64.StdEncoding.EncodeToString(sum([]byte(appSecret), text)))
	body, err := send(request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Body json.RawMessage `json:"showapi_res_body"`
	}
	return answer.Body, json.Unmarshal(body, &answer)
}

// store is a bucket, addressed by path.
type store struct {
	bucket, region string
	keys           fccontext.Credentials
}

func (s store) do(method, key string, query url.Values, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, ossURL+"/"+s.bucket+"/"+escape(key), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.URL.RawQuery = strings.ReplaceAll(query.Encode(), "append=&", "append&")
	now := time.Now().UTC()
	headers := map[string]string{"x-oss-content-sha256": "UNSIGNED-PAYLOAD", "x-oss-date": now.Format("20060102T150405Z"), "x-oss-security-token": s.keys.SecurityToken}
	if contentType != "" {
		headers["content-type"] = contentType
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Authorization", "OSS4-HMAC-SHA256 Credential="+s.keys.AccessKeyId+"/"+s.scope(now)+",Signature="+s.sign(method, key, request.URL.RawQuery, headers, now))
	return send(request)
}

func (s store) presign(key string) string {
	now := time.Now().UTC()
	query := url.Values{"x-oss-signature-version": {"OSS4-HMAC-SHA256"}, "x-oss-credential": {s.keys.AccessKeyId + "/" + s.scope(now)},
		"x-oss-date": {now.Format("20060102T150405Z")}, "x-oss-expires": {"300"}, "x-oss-security-token": {s.keys.SecurityToken}}
	raw := strings.ReplaceAll(query.Encode(), "+", "%20")
	return ossURL + "/" + s.bucket + "/" + escape(key) + "?" + raw + "&x-oss-signature=" + s.sign("GET", key, raw, nil, now)
}

func (s store) scope(now time.Time) string {
	return now.Format("20060102") + "/" + s.region + "/oss/aliyun_v4_request"
}

func (s store) sign(method, key, query string, headers map[string]string, now time.Time) string {
	canonical := method + "\n/" + s.bucket + "/" + escape(key) + "\n" + query + "\n"
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		canonical += name + ":" + headers[name] + "\n"
	}
	canonical += "\n\nUNSIGNED-PAYLOAD"
	hashed := sha256.Sum256([]byte(canonical))
	signing := []byte("aliyun_v4" + s.keys.AccessKeySecret)
	for part := range strings.SplitSeq(s.scope(now), "/") {
		signing = sum(signing, part)
	}
	return hex.EncodeToString(sum(signing, "OSS4-HMAC-SHA256\n"+now.Format("20060102T150405Z")+"\n"+s.scope(now)+"\n"+hex.EncodeToString(hashed[:])))
}

func send(request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return body, err
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func escape(key string) string {
	return strings.ReplaceAll(url.PathEscape(key), "%2F", "/")
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
