package marketfake_test

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/sandbox/marketfake"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, charged int) *httptest.Server {
	t.Helper()
	s, err := marketfake.New(marketfake.Config{
		ProductCode: "cmapi1", ProductName: "OCR", Capacity: 100, Charged: func() int { return charged }, Keys: map[string]string{"id": "secret"},
	})
	require.NoError(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server
}

// signed returns the parameters of a call, signed by the vendor's own library.
func signed(method string, more map[string]string) url.Values {
	parameters := openapiutil.Query(map[string]any{
		"Action": "DescribeApiMetering", "Version": "2015-11-01", "Format": "JSON", "AccessKeyId": "id", "SignatureMethod": "HMAC-SHA1",
		"SignatureVersion": "1.0", "SignatureNonce": rand.Text(), "Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05Z"),
	})
	for name, value := range more {
		parameters[name] = tea.String(value)
	}
	values := url.Values{}
	for name, value := range parameters {
		values.Set(name, tea.StringValue(value))
	}
	values.Set("Signature", tea.StringValue(openapiutil.GetRPCSignature(parameters, tea.String(method), tea.String("secret"))))
	return values
}

func read(t *testing.T, response *http.Response, err error) (int, string) {
	t.Helper()
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestTheMeteringIsThatOfTheLedger(t *testing.T) {
	t.Parallel()
	server := start(t, 30)
	response, err := http.Get(server.URL + "/?" + signed("GET", map[string]string{"pageNum": "1", "productCode": "cmapi1"}).Encode())
	status, body := read(t, response, err)
	require.Equal(t, http.StatusOK, status, body)
	var out struct {
		Code    string
		Success bool
		Count   int
		Result  []struct {
			ProductCode, Unit                     string
			TotalQuota, TotalUsage, TotalCapacity int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &out))
	assert.True(t, out.Success)
	require.Len(t, out.Result, 1)
	assert.Equal(t, []int{70, 30, 100}, []int{out.Result[0].TotalQuota, out.Result[0].TotalUsage, out.Result[0].TotalCapacity})

	form := signed("POST", map[string]string{"pageNum": "1", "Format": "XML", "type": "1"})
	response, err = http.Post(server.URL+"/", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	status, body = read(t, response, err)
	require.Equal(t, http.StatusOK, status, body)
	var document struct {
		XMLName xml.Name `xml:"DescribeApiMeteringResponse"`
		Result  []struct{ TotalQuota int }
	}
	require.NoError(t, xml.Unmarshal([]byte(body), &document))
	assert.Equal(t, 70, document.Result[0].TotalQuota)
}

func TestHeadersMayBeSignedInstead(t *testing.T) {
	t.Parallel()
	request, err := http.NewRequest(http.MethodPost, start(t, 0).URL+"/?pageNum=1", nil)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"x-acs-action": "DescribeApiMetering", "x-acs-version": "2015-11-01", "x-acs-date": time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		"x-acs-signature-nonce": rand.Text(), "host": request.URL.Host,
		"x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		request.Header.Set(name, value)
	}
	headers := map[string]*string{}
	for name := range request.Header {
		headers[strings.ToLower(name)] = tea.String(request.Header.Get(name))
	}
	authorization := openapiutil.GetAuthorization(&tea.Request{
		Method: tea.String("POST"), Pathname: tea.String("/"), Query: map[string]*string{"pageNum": tea.String("1")}, Headers: headers,
	}, tea.String("ACS3-HMAC-SHA256"), tea.String("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), tea.String("id"), tea.String("secret"))
	request.Header.Set("Authorization", tea.StringValue(authorization))
	response, err := http.DefaultClient.Do(request)
	status, body := read(t, response, err)
	assert.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, `"TotalQuota":100`)
}

func TestWhatIsNotAskedRightlyIsRefused(t *testing.T) {
	t.Parallel()
	server := start(t, 130)
	for name, test := range map[string]struct {
		parameters map[string]string
		status     int
		text       string
	}{
		"no page":         {nil, 400, "MissingpageNum"},
		"a bad page":      {map[string]string{"pageNum": "0"}, 400, "InvalidParameter"},
		"another product": {map[string]string{"pageNum": "1", "productCode": "cmapi2"}, 200, `"Result":[]`},
		"another kind":    {map[string]string{"pageNum": "1", "type": "2"}, 200, `"Result":[]`},
		"beyond the end":  {map[string]string{"pageNum": "2"}, 200, `"Result":[]`},
		"more than all":   {map[string]string{"pageNum": "1"}, 200, `"TotalQuota":0`},
		"another action":  {map[string]string{"Action": "CreateOrder"}, 404, "InvalidAction.NotFound"},
		"another key":     {map[string]string{"AccessKeyId": "other"}, 404, "InvalidAccessKeyId.NotFound"},
	} {
		response, err := http.Get(server.URL + "/?" + signed("GET", test.parameters).Encode())
		status, body := read(t, response, err)
		assert.Equal(t, test.status, status, name)
		assert.Contains(t, body, test.text, name)
	}
}
