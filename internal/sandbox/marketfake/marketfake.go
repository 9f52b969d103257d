// Package marketfake is the sandbox's API of the Alibaba Cloud market (version 2015-11-01), as far as the project's tools call it:
// DescribeApiMetering, answered from what the gateway charged. It takes both signatures of Alibaba Cloud's OpenAPI and is meant
// for loopback only. It knows one product, which was bought as one package of calls.
package marketfake

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/sandbox/acsauth"
)

const version = "2015-11-01"

// kinds of what was bought, the parameter type.
const (
	kindPackage  = "1"
	kindResource = "2"
)

// Config says what is served.
type Config struct {
	// ProductCode and ProductName are those of the OCR API.
	ProductCode, ProductName string
	// Capacity is how many calls were bought.
	Capacity int
	// Charged returns how many calls were charged so far.
	Charged func() int
	// Account is the account ID.
	Account int64
	// Keys are the AccessKeys that may call, ID to secret.
	Keys map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server serves the API.
type Server struct {
	config   Config
	verifier *acsauth.Verifier
}

// New returns a Server. It fails if the configuration is incomplete.
func New(config Config) (*Server, error) {
	if config.ProductCode == "" || config.Charged == nil || config.Capacity < 0 {
		return nil, errors.New("marketfake: Config.ProductCode and Config.Charged are required, and Config.Capacity must not be negative")
	}
	return &Server{config: config, verifier: &acsauth.Verifier{Version: version, Keys: config.Keys, Now: config.Now}}, nil
}

// metering is the answer of DescribeApiMetering (https://help.aliyun.com/document_detail/447490.html).
type metering struct {
	XMLName    xml.Name  `json:"-" xml:"DescribeApiMeteringResponse"`
	RequestID  string    `json:"RequestId" xml:"RequestId"`
	Code       string    `json:"Code" xml:"Code"`
	Message    string    `json:"Message" xml:"Message"`
	Success    bool      `json:"Success" xml:"Success"`
	Fatal      bool      `json:"Fatal" xml:"Fatal"`
	Version    string    `json:"Version" xml:"Version"`
	Count      int       `json:"Count" xml:"Count"`
	PageNumber int       `json:"PageNumber" xml:"PageNumber"`
	PageSize   int       `json:"PageSize" xml:"PageSize"`
	Result     []product `json:"Result" xml:"Result"`
}

type product struct {
	AliyunPk    int64  `json:"AliyunPk" xml:"AliyunPk"`
	ProductCode string `json:"ProductCode" xml:"ProductCode"`
	ProductName string `json:"ProductName" xml:"ProductName"`
	// TotalQuota is what is left of TotalCapacity after TotalUsage.
	TotalQuota    int    `json:"TotalQuota" xml:"TotalQuota"`
	TotalUsage    int    `json:"TotalUsage" xml:"TotalUsage"`
	TotalCapacity int    `json:"TotalCapacity" xml:"TotalCapacity"`
	Unit          string `json:"Unit" xml:"Unit"`
}

// failure is the answer to a request that is refused.
type failure struct {
	XMLName   xml.Name `json:"-" xml:"Error"`
	RequestID string   `json:"RequestId" xml:"RequestId"`
	HostID    string   `json:"HostId" xml:"HostId"`
	Code      string   `json:"Code" xml:"Code"`
	Message   string   `json:"Message" xml:"Message"`
}

const maxBody = 64 << 10

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the caller has left, or sends what no call needs
	}
	parameters := r.URL.Query()
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); mediaType == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			answer(w, "JSON", http.StatusBadRequest, failure{RequestID: id, HostID: r.Host, Code: "InvalidParameter", Message: "The form cannot be decoded."})
			return
		}
		for name, values := range form {
			parameters[name] = append(parameters[name], values...)
		}
	}
	// Signed in headers, the answer is JSON; else Format decides, and XML is the default.
	format, action := "JSON", r.Header.Get("x-acs-action")
	var refused *acsauth.Refusal
	if action != "" {
		refused = s.verifier.CheckHeaders(r, body)
	} else {
		action, format = parameters.Get("Action"), strings.ToUpper(parameters.Get("Format"))
		refused = s.verifier.CheckParameters(r.Method, parameters)
	}
	if refused == nil && action != "DescribeApiMetering" {
		refused = &acsauth.Refusal{Status: http.StatusNotFound, Code: "InvalidAction.NotFound", Message: "Specified api is not found, please check your url and method."}
	}
	if refused == nil {
		var out metering
		if out, refused = s.describe(parameters); refused == nil {
			out.RequestID = id
			answer(w, format, http.StatusOK, out)
			return
		}
	}
	answer(w, format, refused.Status, failure{RequestID: id, HostID: r.Host, Code: refused.Code, Message: refused.Message})
}

// describe answers with the product, if the parameters ask for it.
func (s *Server) describe(parameters url.Values) (metering, *acsauth.Refusal) {
	text := parameters.Get("pageNum")
	if text == "" {
		return metering{}, &acsauth.Refusal{Status: http.StatusBadRequest, Code: "MissingpageNum", Message: "pageNum is mandatory for this action."}
	}
	page, err := strconv.Atoi(text)
	kind := parameters.Get("type")
	if err != nil || page < 1 || kind != "" && kind != kindPackage && kind != kindResource {
		return metering{}, &acsauth.Refusal{Status: http.StatusBadRequest, Code: "InvalidParameter", Message: "pageNum must be 1 or more, type 1 (package) or 2 (resource package)."}
	}
	out := metering{Code: "200", Message: "成功", Success: true, Version: "1.0", PageNumber: page, PageSize: 20, Result: []product{}}
	code := parameters.Get("productCode")
	if (code != "" && code != s.config.ProductCode) || kind == kindResource {
		return out, nil
	}
	out.Count = 1
	if page == 1 {
		used := s.config.Charged()
		out.Result = append(out.Result, product{
			AliyunPk: s.config.Account, ProductCode: s.config.ProductCode, ProductName: s.config.ProductName,
			TotalQuota: max(0, s.config.Capacity-used), TotalUsage: used, TotalCapacity: s.config.Capacity, Unit: "次",
		})
	}
	return out, nil
}

func answer(w http.ResponseWriter, format string, status int, document any) {
	if format == "JSON" {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(document) //nolint:errcheck // the caller has left
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)      //nolint:errcheck // the caller has left
	xml.NewEncoder(w).Encode(document) //nolint:errcheck // likewise
}

// newRequestID makes an ID of the service's form: a UUID in upper case.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails since Go 1.24
	h := strings.ToUpper(hex.EncodeToString(b[:]))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
