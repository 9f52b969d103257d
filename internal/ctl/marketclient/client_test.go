package marketclient_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/acsapi"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/marketclient"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func client(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) acsapi.Client {
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	return acsapi.Client{Endpoint: server.URL, Credentials: credentials.Static(credentials.Credentials{AccessKeyID: "id", AccessKeySecret: "canary"}),
		Sleep: func(context.Context, time.Duration) error { return nil }}
}

// The response of the documentation (help.aliyun.com/document_detail/447490.html), with the members that its SDKs know beside.
func TestTheMeterOfTheDocumentationIsRead(t *testing.T) {
	api := client(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "GET /?pageNum=1&productCode=cmapi00040001&type=1", r.Method+" "+r.URL.RequestURI())
		assert.Equal(t, "DescribeApiMetering", r.Header.Get("x-acs-action"))
		assert.Equal(t, "2015-11-01", r.Header.Get("x-acs-version"))
		assert.Contains(t, r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 Credential=id,")
		w.Header().Set("Date", "Wed, 25 Nov 2026 08:00:00 GMT")
		fmt.Fprint(w, `{"RequestId":"62FC432C55A1A63534A6CB34","Code":"200","Result":[{"ProductCode":"cmapi00040001","ProductName":"身份证实名认证-身份证实名",
			"TotalQuota":98,"TotalUsage":220,"TotalCapacity":318,"Unit":"次","AliyunPk":1022778557490001}],"PageNumber":1,"Success":true,"Count":1,"PageSize":20,"Message":"成功","Version":"1.0","Fatal":false}`)
	})
	meters, at, err := marketclient.Meters(t.Context(), api, "cmapi00040001", marketclient.CallPackage)
	require.NoError(t, err)
	assert.Equal(t, []marketclient.Meter{{Product: "cmapi00040001", Name: "身份证实名认证-身份证实名", Used: 220, Left: 98, Capacity: 318, Unit: "次", Account: 1022778557490001}}, meters)
	assert.True(t, time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC).Equal(at), "the time is the API's")
}

func TestAllPagesAreReadAndTwoPackagesOfOneProductAddedUp(t *testing.T) {
	calls := 0
	api := client(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		switch r.URL.Query().Get("pageNum") {
		case "1":
			fmt.Fprint(w, `{"Count":3,"Result":[{"ProductCode":"b","TotalUsage":1,"TotalQuota":9,"TotalCapacity":10},{"ProductCode":"a","TotalUsage":5}]}`)
		case "2":
			fmt.Fprint(w, `{"Count":3,"Result":[{"ProductCode":"b","TotalUsage":100,"TotalQuota":0,"TotalCapacity":100}]}`)
		default:
			t.Error("a page too many")
		}
	})
	meters, _, err := marketclient.Meters(t.Context(), api, "", marketclient.AnyPackage)
	require.NoError(t, err)
	assert.Equal(t, []marketclient.Meter{{Product: "a", Used: 5}, {Product: "b", Used: 101, Left: 9, Capacity: 110}}, meters)
	assert.Equal(t, 2, calls)
}

func TestAPageThatNeverEndsDoes(t *testing.T) {
	calls := 0
	api := client(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		fmt.Fprint(w, `{"Count":1000000,"Result":[{"ProductCode":"a"}]}`)
	})
	_, _, err := marketclient.Meters(t.Context(), api, "a", marketclient.AnyPackage)
	require.NoError(t, err)
	assert.Equal(t, 100, calls)
}

func TestARefusalIsToldWithItsCodeOnly(t *testing.T) {
	for _, test := range []struct {
		status        int
		body, want    string
		configuration bool
		calls         int
	}{
		{403, `{"Code":"Forbidden.RAM","Message":"canary"}`, "code Forbidden.RAM, status 403", true, 1},
		{200, `{"Success":false,"Code":"SYSTEM_ERROR","Message":"canary"}`, "the request was refused", true, 1},
		{200, `<xml>canary`, "code BadAnswer", false, 1},
		{503, `canary`, "status 503", false, 7},
	} {
		calls := 0
		api := client(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		_, _, err := marketclient.Meters(t.Context(), api, "", marketclient.AnyPackage)
		require.ErrorContains(t, err, "Alibaba Cloud Market: ")
		assert.ErrorContains(t, err, test.want)
		assert.NotContains(t, err.Error(), "canary")
		assert.Equal(t, test.configuration, acsapi.Configuration(err), test.body)
		assert.Equal(t, test.calls, calls)
	}
}
