package console_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/console/browser"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/gobuild"
	"fc-idcard-ocr/internal/sandbox/ocrengine"
	"fc-idcard-ocr/internal/sandbox/sandboxtest"
)

var function string // the function binary of this module

func TestMain(m *testing.M) { sandboxtest.Main(m, gobuild.Function, &function) }

const idNumber = "11010119040307001X"

// reader sees a card in every JPEG, whose sex does not fit its ID number, and none in anything else.
type reader struct{}

func (reader) Read(_ context.Context, image []byte) (ocrengine.Card, error) {
	if http.DetectContentType(image) != "image/jpeg" {
		return ocrengine.Card{}, nil
	}
	return ocrengine.Card{Name: "张三", Sex: "女", Ethnicity: "汉", BirthDate: "1904-03-07", Address: "北京市东城区样本胡同12号", IDNumber: idNumber}, nil
}

func start(t *testing.T, change ...func(*sandbox.Options)) *sandbox.Cloud {
	t.Helper()
	options := sandbox.Options{Dir: t.TempDir(), Function: function, Reader: reader{}, Logs: t.Output(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, each := range change {
		each(&options)
	}
	cloud, err := sandbox.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	return cloud
}

const specimen = "../../../testdata/cards/scan-01.jpg"

// visit opens the console in a browser. Whatever the page reports as a problem, or asks of another host, fails the test.
func visit(t *testing.T, cloud *sandbox.Cloud, languages string) context.Context {
	t.Helper()
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
	page, stop, err := browser.Start(limited, languages)
	require.NoError(t, err)
	t.Cleanup(func() { stop(); cancel() })
	chromedp.ListenTarget(page, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page fails: %s", event.ExceptionDetails.Error())
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(event.Request.URL, cloud.ManagementURL) && !strings.HasPrefix(event.Request.URL, "data:") {
				t.Errorf("the page asks for %s", event.Request.URL)
			}
		}
	})
	require.NoError(t, chromedp.Run(page, network.Enable(), runtime.Enable(), chromedp.Navigate(cloud.ManagementURL+"/"),
		chromedp.WaitVisible("#connection.good", chromedp.ByQuery)))
	return page
}

// eventually waits until the text of the element contains what is expected.
func eventually(t *testing.T, page context.Context, selector, expected string) {
	t.Helper()
	limited, cancel := context.WithTimeout(page, 20*time.Second)
	defer cancel()
	err := chromedp.Run(limited, chromedp.Poll(fmt.Sprintf(`(document.querySelector(%q)?.innerText || "").includes(%q)`, selector, expected), nil))
	if err != nil {
		t.Fatalf("%s does not come to contain %q: %v; it is %q", selector, expected, err, text(t, page, selector))
	}
}

func text(t *testing.T, page context.Context, selector string) (text string) {
	t.Helper()
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText || ""`, selector), &text)))
	return text
}

// evaluate runs an expression in the page, which may be a promise.
func evaluate[T any](t *testing.T, page context.Context, expression string) (value T) {
	t.Helper()
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(expression, &value, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })))
	return value
}

// until waits until the expression is true in the page.
func until(t *testing.T, page context.Context, expression string) {
	t.Helper()
	limited, cancel := context.WithTimeout(page, 20*time.Second)
	defer cancel()
	require.NoError(t, chromedp.Run(limited, chromedp.Poll(expression, nil)), expression)
}

// click waits until the element is there and clicks it.
func click(t *testing.T, page context.Context, selector string) {
	t.Helper()
	until(t, page, fmt.Sprintf(`(() => { const found = document.querySelector(%q); found?.click(); return Boolean(found); })()`, selector))
}

// open clicks the image of this key.
func open(t *testing.T, page context.Context, key string) {
	t.Helper()
	eventually(t, page, "#rows", key)
	evaluate[any](t, page, fmt.Sprintf(`[...document.querySelectorAll("#rows button.link")].find(b => b.textContent === %q).click()`, key))
	eventually(t, page, "#detail-title", key)
}

// drop drops files into the page: name, content, name, content ...
func drop(t *testing.T, page context.Context, files ...string) {
	t.Helper()
	var items strings.Builder
	for n := 0; n < len(files); n += 2 {
		bytesOf := strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(files[n+1])), "[]"), " ", ",")
		fmt.Fprintf(&items, "data.items.add(new File([new Uint8Array([%s])], %q));\n", bytesOf, files[n])
	}
	evaluate[any](t, page, `{ const data = new DataTransfer();
		`+items.String()+`
		document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})); }`)
}

// upload puts an image into the bucket and waits for its document.
func upload(t *testing.T, cloud *sandbox.Cloud, key string, content []byte) {
	t.Helper()
	require.NoError(t, cloud.Upload(t.Context(), key, content))
	_, _, err := cloud.Await(t.Context(), key)
	require.NoError(t, err)
}

func card(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(specimen)
	require.NoError(t, err)
	return content
}

func grey(t *testing.T) string {
	t.Helper()
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))))
	return picture.String()
}

const masked = "110***********001X"

func TestADroppedCardIsShownBesideItsPicture(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	page := visit(t, cloud, "en")
	// Every state that a step is ever shown in, as people saw "failed" for half a second.
	evaluate[any](t, page, `{ window.seen = new Set();
		new MutationObserver(() => document.querySelectorAll("#steps li").forEach(li => { seen.add(li.className); if (/trouble|failed/.test(li.className)) window.why = document.querySelector("#requests")?.textContent; })).observe(document.querySelector("#detail"), {childList: true, subtree: true}); }`)
	path, err := filepath.Abs(specimen)
	require.NoError(t, err)
	require.NoError(t, chromedp.Run(page, chromedp.SetUploadFiles("#files", []string{path}, chromedp.ByQuery)))
	eventually(t, page, "#detail-title", "console/scan-01.jpg")
	eventually(t, page, "#card", "张*")
	eventually(t, page, "#verdict", "a check fails")
	eventually(t, page, "#steps li:last-child", "done")
	eventually(t, page, "#rows", "contradictory")
	eventually(t, page, "#cost", "1 OCR call, 1 charged")

	shown := text(t, page, "#card")
	assert.Contains(t, shown, "does not fit the ID number", "女 does not")
	assert.Contains(t, shown, "consistent")
	assert.Contains(t, shown, masked)
	assert.Equal(t, []string{"Claim done", "Inspect done", "Recognise done", "Write done", "Release done"},
		evaluate[[]string](t, page, `[...document.querySelectorAll("#steps li")].map(li => li.innerText.replace("\n", " "))`))
	assert.Subset(t, []string{"done", "current", "waiting"}, evaluate[[]string](t, page, `[...seen]`), evaluate[string](t, page, `window.why ?? ""`))
	until(t, page, `document.querySelector("#picture").naturalWidth > 100`)
	assert.True(t, evaluate[bool](t, page, fmt.Sprintf(`!document.documentElement.outerHTML.includes(%q)`, idNumber)), "the ID number is nowhere before it is asked for")

	click(t, page, "#reveal")
	eventually(t, page, "#card", idNumber)
	click(t, page, "#reveal")
	eventually(t, page, "#card", masked)
	click(t, page, "#rows button.id")
	eventually(t, page, "#rows", idNumber)

	click(t, page, "#language")
	eventually(t, page, "#card", "与身份证号不符")
	assert.Equal(t, "zh-CN", evaluate[string](t, page, `document.documentElement.lang`))
}

func TestACallUnderWayIsNoFailure(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	rule := strings.NewReader(`{"endpoint":"gateway","phase":"latency","latencyMs":3000}`)
	response, body := ask(t, "POST", cloud.ManagementURL+"/faults", "", rule)
	require.Equal(t, http.StatusCreated, response.StatusCode, body)
	page := visit(t, cloud, "en")
	drop(t, page, "a.jpg", string(card(t)))
	eventually(t, page, "#steps li:nth-child(3)", "under way")
	evaluate[any](t, page, `import("/static/core.js").then(core => { core.go({image: ""}); })`) // what is shown again is asked for again
	open(t, page, "console/a.jpg")
	eventually(t, page, "#steps li:nth-child(3)", "under way")
	eventually(t, page, "#verdict", "Under way")
	eventually(t, page, "#steps li:nth-child(3)", "done")
}

func TestWhatIsKnownOfTheStepsIsToldTruthfully(t *testing.T) {
	t.Parallel()
	page := visit(t, start(t), "en")
	at := func(n int, rest string) string {
		return fmt.Sprintf(`{time: new Date(%d), service: "oss", status: 200, %s}`, n, rest)
	}
	claim, look, write, release := at(1, `step: "claim"`), at(2, `step: "look"`), at(8, `step: "write"`), at(9, `step: "release"`)
	url := at(4, `step: "recognize", caller: "presigned"`)
	call := func(rest string) string {
		return `{time: new Date(3), service: "gateway", step: "recognize", ` + rest + `}`
	}
	for name, test := range map[string]struct{ steps, image, expected string }{
		"nothing is recorded of a finished image": {"", `state: "consistent"`, "unknown unknown unknown unknown unknown"},
		"nothing has happened yet":                {"", `state: "waiting", known: true`, "current waiting waiting waiting waiting"},
		"a call is under way":                     {claim + look + call(`open: true`) + url, `state: "working", known: true`, "done done current waiting waiting"},
		"a call failed and is tried again":        {claim + look + call(`outcome: "refused"`) + url, `state: "working", known: true`, "done done trouble waiting waiting"},
		"nothing is tried again":                  {claim + look + call(`outcome: "refused"`) + write, `state: "failed", known: true`, "done done failed done skipped"},
		"all is done":                             {claim + look + call(`outcome: "recognized", charged: true`) + url + write + release, `state: "consistent", known: true`, "done done done done done"},
		"a redelivery finds the document":         {claim + look + release, `state: "consistent", known: true`, "done done skipped skipped done"},
	} {
		steps := strings.ReplaceAll(test.steps, "}{", "},{")
		got := evaluate[string](t, page, fmt.Sprintf(`import("/static/detail.js").then(d => d.progress([%s], {%s}).map(each => each[1]).join(" "))`, steps, test.image))
		assert.Equal(t, test.expected, got, name)
	}
}

func TestEqualBytesHaveTheirOwnCost(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Env = []string{"OCR_IMAGE_SOURCE=data"} })
	upload(t, cloud, "a.jpg", card(t))
	upload(t, cloud, "b.jpg", card(t))
	page := visit(t, cloud, "en")
	for _, key := range []string{"a.jpg", "b.jpg"} {
		open(t, page, key)
		eventually(t, page, "#cost", "1 OCR call, 1 charged")
	}
}

func TestTheDetailStaysInViewAndThePhoneHasAWayBack(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	for n := range 30 {
		require.NoError(t, cloud.Upload(t.Context(), fmt.Sprintf("%02d.png", n), []byte(grey(t))))
	}
	require.NoError(t, cloud.Runtime.Wait(t.Context()))
	page := visit(t, cloud, "en")
	until(t, page, `document.querySelectorAll("#rows tr").length === 30`)
	inView := `(() => { const box = document.querySelector("#detail-title")?.getBoundingClientRect(); return box && box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth; })()`
	click(t, page, "#rows tr:nth-child(28) button.link")
	until(t, page, inView)
	require.NoError(t, chromedp.Run(page, chromedp.KeyEvent(kb.Escape)))
	until(t, page, `document.querySelector("#detail").hidden && document.activeElement.closest("tr") === document.querySelector("#rows tr:nth-child(28)")`)

	require.NoError(t, chromedp.Run(page, chromedp.EmulateViewport(375, 700)))
	evaluate[any](t, page, `document.querySelector("#rows tr:nth-child(20)").scrollIntoView()`)
	before := evaluate[float64](t, page, `scrollY`)
	require.NotZero(t, before)
	click(t, page, "#rows tr:nth-child(22) button.link")
	until(t, page, inView)
	assert.True(t, evaluate[bool](t, page, `document.querySelector("#detail").getBoundingClientRect().width === innerWidth`))
	click(t, page, "#back")
	until(t, page, `document.querySelector("#detail").hidden`)
	assert.InDelta(t, before, evaluate[float64](t, page, `scrollY`), 50)
	assert.False(t, evaluate[bool](t, page, `document.documentElement.scrollWidth > innerWidth`), "nothing stands out on a phone")
	// The browser's own way back leads to the image again.
	evaluate[any](t, page, `history.back()`)
	until(t, page, inView)
}

func TestColumnsHaveRoomInBothLanguages(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	for _, languages := range []string{"en", "zh-CN"} {
		page := visit(t, cloud, languages)
		for _, width := range []int64{375, 1280, 1360, 2560} {
			require.NoError(t, chromedp.Run(page, chromedp.EmulateViewport(width, 900)))
			if width > 900 {
				open(t, page, "a.jpg")
			}
			until(t, page, `document.querySelector("#rows td.name").getBoundingClientRect().width >= 56`)
			assert.True(t, evaluate[bool](t, page, `document.documentElement.scrollWidth <= innerWidth`), "%s %d", languages, width)
			if width > 900 {
				assert.Len(t, evaluate[[]any](t, page, `[...new Set([...document.querySelectorAll("#steps li")].map(li => li.getBoundingClientRect().top))]`), 1, "the steps stand in one row")
			}
		}
	}
}

func TestWhatIsRefusedIsToldInFullAndCanBeClosed(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	page := visit(t, cloud, "zh-CN")
	drop(t, page, "notes.txt", "x", "empty.jpg", "", "list.pdf", "x", "cat.png", grey(t), "cat.png", grey(t))
	eventually(t, page, "#messages", "notes.txt 未上传：文件扩展名不受支持")
	eventually(t, page, "#messages", "empty.jpg 未上传：文件为空")
	eventually(t, page, "#messages", "list.pdf 未上传")
	eventually(t, page, "#messages", "cat.png 已存在，已存为 console/cat (2).png")
	eventually(t, page, "#rows", "console/cat (2).png")
	count := `document.querySelectorAll("#messages > div").length`
	require.InDelta(t, 4, evaluate[float64](t, page, count), 0)
	click(t, page, "#messages .close")
	assert.InDelta(t, 3, evaluate[float64](t, page, count), 0)
	assert.Equal(t, "控制台没有响应。程序是否仍在运行？", evaluate[string](t, page, `import("/static/core.js").then(core => core.ask("http://127.0.0.1:1/").catch(error => error.message))`))
	eventually(t, page, "#rows", "未识别")
	open(t, page, "console/cat.png")
	eventually(t, page, "#verdict", "没有找到身份证号码")
}

func TestALiveUpdateTakesNothingAway(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	upload(t, cloud, "b.jpg", card(t))
	page := visit(t, cloud, "en")
	open(t, page, "a.jpg")
	eventually(t, page, "#card", masked)
	evaluate[any](t, page, `{ const row = [...document.querySelectorAll("#rows tr")].find(tr => tr.innerText.includes("a.jpg")); row.querySelector("input").click(); row.querySelector(".id").click(); }`)
	eventually(t, page, "#rows", idNumber)
	eventually(t, page, "#selected", "1 selected")
	upload(t, cloud, "c.png", []byte(grey(t)))
	eventually(t, page, "#rows", "c.png")
	assert.Contains(t, text(t, page, "#rows"), idNumber)
	assert.True(t, evaluate[bool](t, page, `[...document.querySelectorAll("#rows tr")].find(tr => tr.innerText.includes("a.jpg")).querySelector("input").checked`))
	click(t, page, "#all")
	eventually(t, page, "#selected", "3 selected")
	click(t, page, "#unselect")
	require.NoError(t, os.Remove(filepath.Join(cloud.Folder, "b.jpg")))
	until(t, page, `!document.querySelector("#rows").innerText.includes("b.jpg")`)
	require.NoError(t, os.Remove(filepath.Join(cloud.Folder, "a.jpg")))
	until(t, page, `document.querySelector("#detail").hidden`)
	eventually(t, page, "#messages", "no such image any more")
}

func TestAnImageThatFunctionComputeGaveUpSaysSo(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(o *sandbox.Options) { o.Async.Speedup = 100 })
	response, body := ask(t, "POST", cloud.ManagementURL+"/faults", "", strings.NewReader(`{"endpoint":"gateway","phase":"throttle","every":true}`))
	require.Equal(t, http.StatusCreated, response.StatusCode, body)
	upload(t, cloud, "a.jpg", card(t))
	page := visit(t, cloud, "en")
	open(t, page, "a.jpg")
	eventually(t, page, "#verdict", "Failed: Throttled")
	eventually(t, page, "#verdict", "gave it up")
	assert.NotContains(t, text(t, page, "#detail"), "tried again.")
	assert.NotContains(t, text(t, page, "#steps"), "tried again")
	click(t, page, "#views [data-view=sandbox]")
	eventually(t, page, "#view-sandbox", "a.jpg")

	ask(t, "DELETE", cloud.ManagementURL+"/faults", "", nil)
	click(t, page, "#views [data-view=work]")
	eventually(t, page, "#view-work", "Throttled")
	eventually(t, page, "#view-work", "Lower the concurrency")
	evaluate[any](t, page, `[...document.querySelectorAll("#view-work button")].find(b => b.textContent.startsWith("Retry")).click()`)
	eventually(t, page, "#dialog", "up to 1 paid call")
	click(t, page, "#dialog button.primary")
	eventually(t, page, "#messages", "1 image handed to the function")
	eventually(t, page, "#view-work", "contradictory")
}

func TestAReviewStandsBesideThePaidDocument(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	paid, err := cloud.Object(t.Context(), "a.jpg.ocr.json")
	require.NoError(t, err)
	page := visit(t, cloud, "en")
	click(t, page, "#views [data-view=work]")
	eventually(t, page, "#view-work", "contradictory")
	evaluate[any](t, page, `[...document.querySelectorAll("#view-work button")].find(b => b.textContent === "Review").click()`)
	eventually(t, page, "#card", idNumber)
	require.NoError(t, chromedp.Run(page, chromedp.KeyEvent("e"), chromedp.SetValue("#edit-sex", "男", chromedp.ByQuery), chromedp.Focus("#edit-sex", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter)))
	eventually(t, page, "#messages", "Review stored: corrected; the card is now recognised")
	eventually(t, page, "#card", "was 女")
	stored, err := cloud.Object(t.Context(), "a.jpg.ocr.reviewed.json")
	require.NoError(t, err)
	review, err := result.ParseReview(stored)
	require.NoError(t, err)
	assert.Equal(t, result.Corrected, review.Decision)
	assert.Equal(t, "女", review.Before.Sex)
	assert.Equal(t, "男", review.After.Sex)
	assert.Equal(t, "sandbox", review.ReviewedBy)
	assert.Equal(t, result.Consistent, review.Validation.Verdict)
	unchanged, err := cloud.Object(t.Context(), "a.jpg.ocr.json")
	require.NoError(t, err)
	assert.Equal(t, string(paid), string(unchanged))
	click(t, page, "#views [data-view=work]")
	eventually(t, page, "#view-work", "Nothing needs you")
}

func TestStateIsInTheAddressAndASearchIsNot(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	upload(t, cloud, "b.png", []byte(grey(t)))
	page := visit(t, cloud, "en")
	eventually(t, page, "#rows", "a.jpg")
	click(t, page, "#tiles [data-filter=contradictory]")
	until(t, page, `document.querySelectorAll("#rows tr").length === 1`)
	open(t, page, "a.jpg")
	require.NoError(t, chromedp.Run(page, chromedp.Reload(), chromedp.WaitVisible("#detail-title", chromedp.ByQuery)))
	assert.Equal(t, "a.jpg", text(t, page, "#detail-title"))
	until(t, page, `document.querySelectorAll("#rows tr").length === 1 && document.querySelector("#tiles [data-filter=contradictory]").ariaPressed === "true"`)
	click(t, page, "#tiles [data-filter='']")
	until(t, page, `document.querySelectorAll("#rows tr").length === 2`)
	require.NoError(t, chromedp.Run(page, chromedp.SendKeys("#search", "040307001", chromedp.ByQuery)))
	until(t, page, `document.querySelectorAll("#rows tr").length === 1`)
	assert.Contains(t, text(t, page, "#rows"), "a.jpg")
	assert.NotContains(t, evaluate[string](t, page, `location.href + JSON.stringify(history.state) + JSON.stringify({...localStorage, ...sessionStorage})`), "040307")
}

func TestThePageCanBeUsedWithAScreenReaderAndTheKeyboard(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	require.NoError(t, cloud.Runtime.Wait(t.Context()))
	page := visit(t, cloud, "zh-CN,zh;q=0.9,en;q=0.5")
	eventually(t, page, "#rows", "a.jpg")
	eventually(t, page, "#drop", "拖放到这里")
	require.NoError(t, chromedp.Run(page, chromedp.Click("#language", chromedp.ByQuery),
		chromedp.Focus("#rows button", chromedp.ByQuery), chromedp.KeyEvent("\r")))
	eventually(t, page, "#card", "张*")

	// The library's own type for the tree does not know all that today's browsers say.
	type value struct {
		Value any `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			Ignored bool  `json:"ignored"`
			Role    value `json:"role"`
			Name    value `json:"name"`
		} `json:"nodes"`
	}
	require.NoError(t, chromedp.Run(page, chromedp.ActionFunc(func(ctx context.Context) error {
		return cdp.Execute(ctx, accessibility.CommandGetFullAXTree, accessibility.GetFullAXTree(), &tree)
	})))
	named := map[string][]string{}
	for _, node := range tree.Nodes {
		role, name := fmt.Sprint(node.Role.Value), strings.TrimSpace(fmt.Sprint(node.Name.Value))
		switch role {
		case "button", "combobox", "image", "img", "link", "heading", "region", "table", "columnheader", "textbox":
			if !node.Ignored {
				assert.NotContains(t, []string{"", "<nil>"}, name, "a %s without a name", role)
				named[role] = append(named[role], name)
			}
		}
	}
	assert.Contains(t, named["button"], "a.jpg")
	assert.Contains(t, named["button"], "切换到中文 (中文)", "what is seen is part of the name")
	assert.Contains(t, named["button"], masked)
	assert.Contains(t, named["combobox"], "Order")
	assert.Contains(t, append(named["image"], named["img"]...), "Picture a.jpg")
	assert.Contains(t, named["table"], "Images")
	assert.Contains(t, named["columnheader"], "ID number")
	assert.NotEmpty(t, named["heading"])
	var focused string
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(`document.activeElement.id`, &focused)))
	assert.Equal(t, "detail", focused, "who chooses an image is led to it")
	upload(t, cloud, "b.png", []byte(grey(t)))
	eventually(t, page, "#rows", "b.png")
	focusedKey := func() string {
		return evaluate[string](t, page, `document.activeElement.closest("tr")?.querySelector("button.link").textContent ?? ""`)
	}
	require.NoError(t, chromedp.Run(page, chromedp.KeyEvent(kb.Escape)))
	until(t, page, `document.querySelector("#detail").hidden`)
	assert.Equal(t, "a.jpg", focusedKey(), "Esc leads back to where one was")
	require.NoError(t, chromedp.Run(page, chromedp.KeyEvent(kb.ArrowUp)))
	assert.Equal(t, "b.png", focusedKey())
	require.NoError(t, chromedp.Run(page, chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent("x"), chromedp.KeyEvent("r")))
	eventually(t, page, "#selected", "1 selected")
	eventually(t, page, "#rows", idNumber)
	assert.Empty(t, evaluate[[]string](t, page, `[...document.querySelectorAll("button, select, a, input, summary")].filter(e => { const box = e.getBoundingClientRect(); return box.width && e.id !== "files" && Math.min(box.width, box.height) < 20; }).map(e => e.outerHTML)`))
	assert.InDelta(t, 1, evaluate[float64](t, page, `[...document.querySelector("#rows tr").querySelectorAll("button, input, a")].filter(e => e.tabIndex === 0).length`), 0, "one Tab stop per row")
}
