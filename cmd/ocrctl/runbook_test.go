package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"fc-idcard-ocr/internal/sandbox/sandboxinfo"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// platform adds to the local cloud what the runbook needs of Function Compute and SMQ beside it: the reserved concurrency and a failure queue.
type platform struct {
	*cloud
	mns *httptest.Server

	state    sync.Mutex
	reserved int64
	messages []string // bodies, of what failed
	deleted  int
}

func startPlatform(t *testing.T) *platform {
	p := &platform{cloud: start(t), reserved: 10}
	found, err := sandboxinfo.Find(p.dir)
	require.NoError(t, err)
	target, err := url.Parse(found.FC)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which is signed
	}}
	fc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2023-03-30/functions/idcard-ocr/concurrency" {
			proxy.ServeHTTP(w, r)
			return
		}
		p.state.Lock()
		defer p.state.Unlock()
		if r.Method == http.MethodPut {
			var config struct{ ReservedConcurrency int64 }
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&config))
			p.reserved = config.ReservedConcurrency
		}
		fmt.Fprintf(w, `{"functionArn":"acs:fc:cn-hangzhou:1234:functions/idcard-ocr","reservedConcurrency":%d}`, p.reserved)
	}))
	t.Cleanup(fc.Close)
	found.FC = fc.URL
	require.NoError(t, found.Write(p.dir))
	p.mns = httptest.NewServer(http.HandlerFunc(p.queue))
	t.Cleanup(p.mns.Close)
	t.Setenv("OCRCTL_MNS_ENDPOINT", p.mns.URL)
	t.Setenv("OCRCTL_QUEUE", "")
	return p
}

func (p *platform) queue(w http.ResponseWriter, r *http.Request) {
	p.state.Lock()
	defer p.state.Unlock()
	message := func(body string) string {
		return "<Message><MessageId>m</MessageId><ReceiptHandle>r</ReceiptHandle><MessageBody>" + strings.ReplaceAll(body, "&", "&amp;") + "</MessageBody><EnqueueTime>1</EnqueueTime></Message>"
	}
	switch {
	case r.URL.Path == "/queues/idcard-ocr-failures":
		fmt.Fprintf(w, "<Queue><ActiveMessages>%d</ActiveMessages></Queue>", len(p.messages))
	case r.Method == http.MethodDelete:
		p.messages, p.deleted = p.messages[1:], p.deleted+1
		w.WriteHeader(http.StatusNoContent)
	case len(p.messages) == 0:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<Error><Code>MessageNotExist</Code></Error>")
	case r.URL.Query().Get("peekonly") == "true":
		fmt.Fprint(w, "<Messages>"+message(p.messages[0])+"</Messages>")
	default:
		fmt.Fprint(w, message(p.messages[0]))
	}
}

// fail puts the event of an image into the failure queue, as Function Compute does after the last retry.
func (p *platform) fail(key string) {
	event := fmt.Sprintf(`{"events":[{"eventName":"ObjectCreated:PutObject","region":"cn-hangzhou","oss":{"bucket":{"name":%q},"object":{"key":%q}}}]}`, bucketName, key)
	p.state.Lock()
	defer p.state.Unlock()
	p.messages = append(p.messages, fmt.Sprintf(`{"requestContext":{"functionArn":"acs:fc:cn-hangzhou:1234:functions/idcard-ocr"},"requestPayload":%q}`, event))
}

// call is run, taken apart.
func (p *platform) call(args ...string) (stdout, stderr string, code int) {
	r := p.run(args...)
	return r.stdout, r.stderr, r.code
}

func TestPauseTellsHowToGoOnAndResumeDoes(t *testing.T) {
	p := startPlatform(t)
	out, _, code := p.call("pause")
	require.Zero(t, code)
	assert.Contains(t, out, "ocrctl resume --concurrency 10")
	assert.Contains(t, out, "ocrctl backfill --all --since 20")
	assert.Zero(t, p.reserved)
	_, stderr, code := p.call("resume")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "--concurrency")
	assert.Zero(t, p.reserved)
	out, _, code = p.call("resume", "--concurrency", "7", "-o", "json")
	require.Zero(t, code)
	assert.JSONEq(t, `{"function":"idcard-ocr","paused":false,"concurrency":7}`, out)
	assert.EqualValues(t, 7, p.reserved)
}

func TestRedriveBringsAFailedEventToItsDocument(t *testing.T) {
	p := startPlatform(t)
	p.put("2026/a.jpg", "card")
	p.fail("2026/a.jpg")
	out, _, code := p.call("redrive", "--dry-run")
	require.Zero(t, code)
	assert.Contains(t, out, "1 messages are waiting; of the first 1, 1 would be submitted")
	assert.Empty(t, p.keys())
	out, _, code = p.call("redrive", "-o", "json", "--queue", "acs:mns:cn-hangzhou:1234567890123456:/queues/idcard-ocr-failures/messages")
	require.Zero(t, code)
	assert.JSONEq(t, `{"waiting":1,"submitted":1,"twice":0,"foreign":0,"looked":0}`, out)
	assert.Equal(t, []string{"2026/a.jpg"}, p.keys())
	assert.Equal(t, 1, p.deleted)
	for _, args := range [][]string{{"redrive", "--rate", "0"}, {"redrive", "--limit", "-1"}} {
		_, _, code = p.call(args...)
		assert.Equal(t, exitUsage, code, args)
	}
}

// commands are the lines of a manual's examples.
var commands = regexp.MustCompile("(?m)^ *((?:ocrctl|s|ossutil) .*)$")

// Each command of the runbook runs, in the order in which it stands there; those of Serverless Devs are run by the tests of deploy.
func TestEachCommandOfTheRunbookRuns(t *testing.T) {
	var first []string
	for _, name := range []string{"runbook.md", "runbook.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("../../docs", name))
		require.NoError(t, err)
		var lines []string
		for i, block := range strings.Split(string(text), "```") {
			if i%2 == 1 {
				for _, line := range commands.FindAllStringSubmatch(block, -1) {
					lines = append(lines, line[1])
				}
			}
		}
		if first == nil {
			first = lines
		}
		assert.Equal(t, first, lines, "both languages name the same commands")
	}
	require.Greater(t, len(first), 15)
	p := startPlatform(t)
	p.put("2026/a.jpg", "card")
	p.put("2026/wrong/b.jpg", "card")
	p.fail("2026/a.jpg")
	for _, line := range first {
		arguments := strings.Fields(line)
		if arguments[0] == "s" {
			assert.Regexp(t, `^s (deploy -y|secret add --key OCR_APP_SECRET --value NEW-APPSECRET -f)$`, line)
			continue
		}
		out, stderr, code := p.call(arguments[1:]...)
		if arguments[1] == "doctor" { // the test's function has fewer triggers than a real one
			assert.NotEqual(t, exitUsage, code, "%s\n%s%s", line, out, stderr)
			continue
		}
		assert.Zero(t, code, "%s\n%s%s", line, out, stderr)
	}
	assert.Zero(t, p.reserved, "the last of them is a pause")
	assert.Empty(t, p.messages)
}
