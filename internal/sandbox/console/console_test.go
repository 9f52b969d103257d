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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/sandbox"
	"fc-idcard-ocr/internal/sandbox/console/browser"
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

func start(t *testing.T) *sandbox.Cloud {
	t.Helper()
	cloud, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), Function: function, Reader: reader{}, Logs: t.Output(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
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

func TestADroppedCardIsShownBesideItsPicture(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	page := visit(t, cloud, "en")
	path, err := filepath.Abs(specimen)
	require.NoError(t, err)
	require.NoError(t, chromedp.Run(page, chromedp.SetUploadFiles("#files", []string{path}, chromedp.ByQuery)))
	eventually(t, page, "#detail-title", "console/scan-01.jpg")
	eventually(t, page, "#card", "张三")
	eventually(t, page, "#verdict", "a check fails")
	eventually(t, page, "#steps li:last-child", "done")
	eventually(t, page, "#rows", "recognised")
	eventually(t, page, "#cost", "1 OCR call, 1 charged")

	card := text(t, page, "#card")
	assert.Contains(t, card, "does not fit the ID number", "女 does not")
	assert.Contains(t, card, "consistent")
	assert.Contains(t, card, "110101***********X")
	var steps []string
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(`[...document.querySelectorAll("#steps li")].map(li => li.innerText.replace("\n", " "))`, &steps)))
	assert.Equal(t, []string{"Claim done", "Look done", "Recognise done", "Write done", "Release done"}, steps)
	var shown, hidden bool
	require.NoError(t, chromedp.Run(page,
		chromedp.Poll(`document.querySelector("#picture").naturalWidth > 100`, &shown),
		chromedp.Evaluate(fmt.Sprintf(`!document.documentElement.outerHTML.includes(%q)`, idNumber), &hidden)))
	assert.True(t, hidden, "the ID number is nowhere before it is asked for")

	require.NoError(t, chromedp.Run(page, chromedp.Click("#reveal", chromedp.ByQuery)))
	eventually(t, page, "#card", idNumber)
	require.NoError(t, chromedp.Run(page, chromedp.Click("#reveal", chromedp.ByQuery)))
	eventually(t, page, "#card", "110101***********X")
	require.NoError(t, chromedp.Run(page, chromedp.Click("#rows button.id", chromedp.ByQuery)))
	eventually(t, page, "#rows", idNumber)

	require.NoError(t, chromedp.Run(page, chromedp.Click("#language", chromedp.ByQuery)))
	eventually(t, page, "#card", "与身份证号不符")
	var lang string
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(`document.documentElement.lang`, &lang)))
	assert.Equal(t, "zh-CN", lang)
}

func TestADroppedPictureWithoutCardSaysWhy(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))))
	cloud := start(t)
	page := visit(t, cloud, "en")
	drop := func(name string, content []byte) {
		bytesOf := strings.ReplaceAll(strings.Trim(fmt.Sprint(content), "[]"), " ", ",")
		require.NoError(t, chromedp.Run(page, chromedp.Evaluate(fmt.Sprintf(`{
			const data = new DataTransfer();
			data.items.add(new File([new Uint8Array([%s])], %q));
			document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
		}`, bytesOf, name), nil)))
	}
	drop("cat.png", picture.Bytes())
	eventually(t, page, "#verdict", "not recognised: NotRecognized")
	eventually(t, page, "#verdict", "No ID number was found")
	eventually(t, page, "#live", "console/cat.png: not recognised")
	drop("notes.txt", []byte("x"))
	eventually(t, page, "#problem", "notes.txt was not uploaded: the name must end in one of .jpg")

	require.NoError(t, chromedp.Run(page, chromedp.SetValue("#filter", "recognized", chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("#filter").dispatchEvent(new Event("change"))`, nil)))
	eventually(t, page, "#none", "No images")
	require.NoError(t, chromedp.Run(page, chromedp.SetValue("#filter", "unrecognized", chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("#filter").dispatchEvent(new Event("change"))`, nil)))
	eventually(t, page, "#rows", "console/cat.png")
}

func TestThePageCanBeUsedWithAScreenReaderAndTheKeyboard(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	content, err := os.ReadFile(specimen)
	require.NoError(t, err)
	require.NoError(t, cloud.Upload(t.Context(), "a.jpg", content))
	_, _, err = cloud.Await(t.Context(), "a.jpg")
	require.NoError(t, err)
	require.NoError(t, cloud.Runtime.Wait(t.Context()))
	page := visit(t, cloud, "zh-CN,zh;q=0.9,en;q=0.5")
	eventually(t, page, "#rows", "a.jpg")
	eventually(t, page, "#drop", "拖放到这里")
	require.NoError(t, chromedp.Run(page, chromedp.Click("#language", chromedp.ByQuery),
		chromedp.Focus("#rows button", chromedp.ByQuery), chromedp.KeyEvent("\r")))
	eventually(t, page, "#card", "张三")

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
	assert.Contains(t, named["button"], "切换到中文")
	assert.Contains(t, named["button"], "Show ID number: a.jpg")
	assert.Contains(t, named["combobox"], "Status")
	assert.Contains(t, append(named["image"], named["img"]...), "Picture a.jpg")
	assert.Contains(t, named["table"], "Images")
	assert.Contains(t, named["columnheader"], "ID number")
	assert.NotEmpty(t, named["heading"])
	var focused string
	require.NoError(t, chromedp.Run(page, chromedp.Evaluate(`document.activeElement.id`, &focused)))
	assert.Equal(t, "detail", focused, "who chooses an image is led to it")
}
